/** Opening connections to PostgreSQL, in the ways that the settings allow and no other. */
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { ConnectionSettings } from './connection-settings.js'
import { isAboutTls, sourceError, stateOf } from './errors.js'
import type { TlsAttempt } from './tls-settings.js'

const limits = { connectMsMax: 10_000, keepAliveMs: 10_000 }

interface DialOptions {
  /** What `pg_stat_activity` says of the sessions. */
  readonly applicationName: string
  /** Hears once what an operator should know of the way that was taken. */
  readonly warn: (warning: SyncWarning) => void
  /** What the connections are for, in errors: `for checkpoints`. */
  readonly purpose?: string
  /** Called when a connection breaks, whether or not it is in use. */
  readonly onBroken?: (client: pg.Client) => void
}

/** Makes connections to one place. The way that led there first is kept to. */
export class Dial {
  readonly #settings: ConnectionSettings
  readonly #options: DialOptions
  #attempt: TlsAttempt | undefined

  constructor(settings: ConnectionSettings, options: DialOptions) {
    this.#settings = settings
    this.#options = options
  }

  /** @throws SyncError */
  async connect(): Promise<pg.Client> {
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
    throw forPurpose(connectError(failure, this.#settings), this.#options.purpose)
  }

  #client(attempt: TlsAttempt): pg.Client {
    const { host, port, database, user, password, channelBinding } = this.#settings
    const config: pg.ClientConfig = {
      ...{ host, port, database, user, password },
      ssl: attempt.kind === 'plain' ? false : tlsOptions(attempt),
      enableChannelBinding: channelBinding,
      application_name: this.#options.applicationName,
      connectionTimeoutMillis: limits.connectMsMax,
      keepAlive: true,
      keepAliveInitialDelayMillis: limits.keepAliveMs,
    }
    // Without it the driver would look into the environment.
    const client = new pg.Client(Object.assign(config, { sslnegotiation: 'postgres' }))
    // A connection that breaks while idle is noticed here; one in use rejects its query as well.
    client.on('error', () => this.#options.onBroken?.(client))
    return client
  }

  #accepted(attempt: TlsAttempt): void {
    if (this.#attempt === undefined && attempt.warning !== undefined) {
      const code = attempt.kind === 'plain' ? 'plaintext' : 'tls_unverified'
      this.#options.warn({ code, message: attempt.warning })
    }
    this.#attempt = attempt
  }
}

/** Closes the socket at once, without waiting for the server. */
export function destroy(client: pg.Client): void {
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

/** Where there is more than one server, a failure must say which it is about. */
function forPurpose(error: SyncError, purpose: string | undefined): SyncError {
  if (purpose === undefined) return error
  return new SyncError(error.code, `${error.message} (${purpose})`, { ...error.details, cause: error.cause })
}

function connectError(error: unknown, { host, port }: ConnectionSettings): SyncError {
  const known = sourceError(error, `connecting to ${host}:${port}`)
  if (known.code !== 'E_TLS') return known
  if (isNotOffered(error)) {
    return new SyncError('E_TLS', `PostgreSQL at ${host}:${port} offers no TLS`, {
      hint: 'Turn it on at the server (ssl = on), or say sslmode=disable in the connection string: then nothing is encrypted.',
      cause: known.cause,
    })
  }
  const reason = error instanceof Error ? error.message : 'unknown failure'
  return new SyncError('E_TLS', `The TLS of PostgreSQL at ${host}:${port} is not to be trusted: ${reason}`, {
    hint: 'Name the certificate of its authority with sslrootcert in the connection string, or say sslmode=require, which takes any certificate.',
    cause: known.cause,
  })
}

function tlsOptions({ context, verify }: Extract<TlsAttempt, { kind: 'tls' }>): ConnectionOptions {
  return {
    secureContext: context(),
    rejectUnauthorized: verify !== 'none',
    ...(verify === 'chain' ? { checkServerIdentity: () => undefined } : {}),
  }
}
