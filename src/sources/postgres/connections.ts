/** The connections of one source: opened on demand, kept for reuse, thrown away when anything is wrong with them. */
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { ConnectionSettings, TlsAttempt } from './connection-settings.js'
import { sourceError } from './errors.js'
import { Session, type SessionLimits } from './session.js'

const limits = { idleMax: 6, connectMsMax: 10_000, keepAliveMs: 10_000 }

export interface ConnectionsOptions extends SessionLimits {
  /** What `pg_stat_activity` says of the sessions. @defaultValue `surreal-sync` */
  readonly applicationName?: string
}

export class Connections {
  readonly applicationName: string
  readonly #settings: ConnectionSettings
  readonly #warn: (warning: SyncWarning) => void
  readonly #limits: SessionLimits
  readonly #idle: pg.Client[] = []
  #verify: ((session: Session) => Promise<void>) | undefined
  #attempt: TlsAttempt | undefined

  constructor(settings: ConnectionSettings, warn: (warning: SyncWarning) => void, options: ConnectionsOptions = {}) {
    const { applicationName = 'surreal-sync', ...limits } = options
    this.applicationName = applicationName
    this.#settings = settings
    this.#limits = limits
    this.#warn = warn
  }

  /** From now on every new connection must pass this before it is used: it may lead to another server. */
  verify(check: ((session: Session) => Promise<void>) | undefined): void {
    this.#verify = check
  }

  /** A session of its own until it is released. @throws SyncError */
  async session(): Promise<Session> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return this.#session(idle)
    const session = this.#session(await this.#connect())
    try {
      await this.#verify?.(session)
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Runs work with a session. A session whose work failed is not used again. */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.session()
    try {
      const result = await work(session)
      session.release()
      return result
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Closes what is idle. Sessions in use are closed when they are released. */
  async close(): Promise<void> {
    const idle = this.#idle.splice(0)
    await Promise.all(idle.map((client) => client.end().catch(() => undefined)))
  }

  #session(client: pg.Client): Session {
    return new Session(client, (broken) => this.#release(client, broken), this.#limits)
  }

  #release(client: pg.Client, broken: boolean): void {
    if (!broken && this.#idle.length < limits.idleMax) this.#idle.push(client)
    else destroy(client)
  }

  async #connect(): Promise<pg.Client> {
    const attempts = this.#attempt === undefined ? this.#settings.tls : [this.#attempt]
    let failure: unknown
    for (const attempt of attempts) {
      const client = this.#client(attempt)
      try {
        await client.connect()
        this.#accepted(attempt)
        return client
      } catch (error) {
        destroy(client)
        failure = error
        if (!isAboutTls(error)) break
      }
    }
    throw this.#connectError(failure)
  }

  #client(attempt: TlsAttempt): pg.Client {
    const { host, port, database, user, password, channelBinding } = this.#settings
    const client = new pg.Client({
      host,
      port,
      database,
      user,
      password,
      ssl: attempt.kind === 'plain' ? false : tlsOptions(attempt),
      enableChannelBinding: channelBinding,
      application_name: this.applicationName,
      connectionTimeoutMillis: limits.connectMsMax,
      keepAlive: true,
      keepAliveInitialDelayMillis: limits.keepAliveMs,
    })
    // A connection that breaks while idle is noticed here; one in use rejects its query as well.
    client.on('error', () => {
      const index = this.#idle.indexOf(client)
      if (index >= 0) this.#idle.splice(index, 1)
    })
    return client
  }

  #accepted(attempt: TlsAttempt): void {
    if (this.#attempt === undefined && attempt.kind === 'plain' && attempt.warn) {
      this.#warn({
        code: 'plaintext',
        message: `PostgreSQL at ${this.#settings.host} offers no TLS: the connection is not encrypted`,
      })
    }
    this.#attempt = attempt
  }

  #connectError(error: unknown): SyncError {
    const { host, port } = this.#settings
    if (isAboutTls(error)) {
      return new SyncError(
        'E_TLS',
        `PostgreSQL at ${host}:${port} and this client do not agree on TLS: ${error instanceof Error ? error.message : 'unknown failure'}`,
        {
          hint: 'Say sslmode=disable, require, verify-ca or verify-full in the connection string, with sslrootcert for a private authority.',
          cause: error,
        },
      )
    }
    return sourceError(error, `connecting to ${host}:${port}`)
  }
}

/** Closes the socket at once, without waiting for the server. */
function destroy(client: pg.Client): void {
  client.end().catch(() => undefined)
  const stream: unknown = Reflect.get(Reflect.get(client, 'connection') ?? {}, 'stream')
  if (typeof stream === 'object' && stream !== null && 'destroy' in stream && typeof stream.destroy === 'function') {
    stream.destroy()
  }
}

function isAboutTls(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (/server does not support SSL/.test(error.message)) return true
  const code: unknown = Reflect.get(error, 'code')
  return (
    typeof code === 'string' &&
    /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|HOSTNAME_MISMATCH)/.test(code)
  )
}

function tlsOptions({ ca, cert, key, verify }: Extract<TlsAttempt, { kind: 'tls' }>): ConnectionOptions {
  return {
    ca,
    cert,
    key,
    rejectUnauthorized: verify !== 'none',
    ...(verify === 'chain' ? { checkServerIdentity: () => undefined } : {}),
  }
}
