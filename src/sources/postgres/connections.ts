/** The connections of one source: opened on demand, kept for reuse, thrown away when anything is wrong with them. */
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { ConnectionSettings } from './connection-settings.js'
import { isAboutTls, sourceError, stateOf } from './errors.js'
import { Session, type SessionLimits } from './session.js'
import type { TlsAttempt } from './tls-settings.js'

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
  #closed = false

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
    this.#closed = true
    const idle = this.#idle.splice(0)
    await Promise.all(idle.map((client) => client.end().catch(() => undefined)))
  }

  #session(client: pg.Client): Session {
    return new Session(client, (broken) => this.#release(client, broken), this.#limits)
  }

  #release(client: pg.Client, broken: boolean): void {
    if (!broken && !this.#closed && this.#idle.length < limits.idleMax) this.#idle.push(client)
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
        if (!isForNext(attempt, error)) break
      }
    }
    throw connectError(failure, this.#settings)
  }

  #client(attempt: TlsAttempt): pg.Client {
    const { host, port, database, user, password, channelBinding } = this.#settings
    const config: pg.ClientConfig = {
      ...{ host, port, database, user, password },
      ssl: attempt.kind === 'plain' ? false : tlsOptions(attempt),
      enableChannelBinding: channelBinding,
      application_name: this.applicationName,
      connectionTimeoutMillis: limits.connectMsMax,
      keepAlive: true,
      keepAliveInitialDelayMillis: limits.keepAliveMs,
    }
    // Without it the driver would look into the environment.
    const client = new pg.Client(Object.assign(config, { sslnegotiation: 'postgres' }))
    // A connection that breaks while idle is noticed here; one in use rejects its query as well.
    client.on('error', () => {
      const index = this.#idle.indexOf(client)
      if (index >= 0) this.#idle.splice(index, 1)
    })
    return client
  }

  #accepted(attempt: TlsAttempt): void {
    if (this.#attempt === undefined && attempt.warning !== undefined) {
      const code = attempt.kind === 'plain' ? 'plaintext' : 'tls_unverified'
      this.#warn({ code, message: attempt.warning })
    }
    this.#attempt = attempt
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

/** Whether another way to connect is to be tried. A certificate that does not hold is no reason to do without one. */
function isForNext({ next }: TlsAttempt, error: unknown): boolean {
  if (next === 'never') return false
  return isNotOffered(error) || (next === 'refused' && (isAboutTls(error) || stateOf(error) === noEntry))
}

/** pg_hba.conf lets nobody in who comes like this. */
const noEntry = '28000'

function isNotOffered(error: unknown): boolean {
  return error instanceof Error && /server does not support SSL/.test(error.message)
}

function connectError(error: unknown, { host, port }: ConnectionSettings): SyncError {
  const known = sourceError(error, `connecting to ${host}:${port}`)
  if (known.code !== 'E_TLS') return known
  if (isNotOffered(error)) {
    return new SyncError('E_TLS', `PostgreSQL at ${host}:${port} offers no TLS`, {
      hint: 'Turn it on at the server (ssl = on), or say sslmode=disable in the connection string: then nothing is encrypted.',
      cause: error,
    })
  }
  const reason = error instanceof Error ? error.message : 'unknown failure'
  return new SyncError('E_TLS', `The TLS of PostgreSQL at ${host}:${port} is not to be trusted: ${reason}`, {
    hint: 'Name the certificate of its authority with sslrootcert in the connection string, or say sslmode=require, which takes any certificate.',
    cause: error,
  })
}

function tlsOptions({ context, verify }: Extract<TlsAttempt, { kind: 'tls' }>): ConnectionOptions {
  return {
    secureContext: context(),
    rejectUnauthorized: verify !== 'none',
    ...(verify === 'chain' ? { checkServerIdentity: () => undefined } : {}),
  }
}
