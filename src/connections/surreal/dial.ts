/** Opening connections: to a server, to an engine in this process, or by a function that the caller gave. */
import { createRemoteEngines, type EngineFactory, type Engines, Surreal } from 'surrealdb'
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import type { Address } from './address.js'
import type { Dial, Link } from './connection.js'
import { embeddedEngines } from './embedded-engines.js'
import { reachHint, toSyncError } from './errors.js'
import { webSocketEngine } from './one-shot-web-socket-engine.js'
import { RawCborCodec } from './raw-cbor.js'
import { selectExisting } from './select-database.js'
import { pause, settle } from './settle.js'
import { fetchWith, type TlsSettings } from './tls.js'

/** Who signs in, and which database is used. */
export interface Credentials {
  readonly namespace: string
  readonly database: string
  readonly username?: string
  readonly password?: string
  /** In place of a name and a password. */
  readonly token?: SurrealToken
  /** Where the user is defined. By default all three are tried, from the root down. */
  readonly authLevel?: AuthLevel
}

/** A token (JWT), or a function that gets one: it is called for every new connection. */
export type SurrealToken = string | (() => string | Promise<string>)

/** What a user of SurrealDB is a user of. */
export type AuthLevel = 'root' | 'namespace' | 'database'

interface DialOptions {
  readonly address: Address
  readonly credentials: Credentials
  readonly connectTimeoutMs: number
  readonly tls?: TlsSettings
}

/** Connects to a server by ws, wss, http or https. */
export function remoteDial(options: DialOptions): Dial {
  const levels = new SignInLevels(options.credentials)
  const engines = () => remoteEngines(options.tls)
  return (abortable) => levels.try((level) => openUrl(options, engines, level, abortable))
}

/** A file stays locked for a moment after it was closed. */
const lockAttemptsMax = 20
const lockDelayMs = 100

/** Opens an engine in this process. Every lane gets the same one, because a database file has one opener. */
export function embeddedDial(options: DialOptions): Dial {
  // The engine trusts whoever opens it, and refuses to sign in to a new database, which has no users.
  const levels = new SignInLevels({ ...options.credentials, username: undefined, token: undefined })
  const dial: Dial = async (abortable) => {
    const engines = await embeddedEngines(options.address)
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await levels.try((level) => openUrl(options, () => engines, level, abortable))
      } catch (error) {
        if (!(error instanceof SyncError) || error.code !== 'E_BUSY' || attempt === lockAttemptsMax) throw error
        await pause(lockDelayMs, abortable.signal)
      }
    }
  }
  return shared(dial)
}

/** Connects by a function of the caller's. */
export function customDial(
  connect: () => Promise<Surreal>,
  disconnect: (db: Surreal) => Promise<unknown>,
  connectTimeoutMs: number,
): Dial {
  return async ({ signal }) => {
    let given: Promise<Surreal>
    try {
      given = connect()
      const db = await settle(given, {
        timeoutMs: connectTimeoutMs,
        what: 'The connect function did not settle',
        signal,
      })
      return linkTo(db, () => disconnect(db), false)
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : toSyncError(error, { connecting: true })
    }
  }
}

/** The levels at which a user may be defined, reduced to the one that worked. */
class SignInLevels {
  #levels: readonly (AuthLevel | undefined)[]

  constructor({ username, authLevel }: Credentials) {
    if (username === undefined) this.#levels = [undefined]
    else this.#levels = authLevel === undefined ? ['root', 'namespace', 'database'] : [authLevel]
  }

  async try(open: (level: AuthLevel | undefined) => Promise<Link>): Promise<Link> {
    let refusal: unknown
    for (const level of this.#levels) {
      try {
        const link = await open(level)
        this.#levels = [level]
        return link
      } catch (error) {
        const code = error instanceof SyncError ? error.code : undefined
        if (code !== 'E_AUTH' && !(refusal !== undefined && code === 'E_UNKNOWN_DATABASE')) throw error
        refusal ??= error
      }
    }
    throw refusal
  }
}

async function openUrl(
  { address, credentials, connectTimeoutMs, tls }: DialOptions,
  engines: (connection: Requests) => Engines,
  level: AuthLevel | undefined,
  { signal }: Abortable,
): Promise<Link> {
  const token = address.embedded ? undefined : await tokenOf(credentials)
  const requests = new Requests(tls)
  let engineFailed: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    engineFailed = reject
  })
  failed.catch(() => {})
  const db = new Surreal({
    engines: observed(engines(requests), engineFailed),
    fetchImpl: requests.fetch,
    codecs: { cbor: (codecOptions) => new RawCborCodec(codecOptions) },
  })
  const link = linkTo(
    db,
    async () => {
      requests.abort()
      await db.close()
    },
    address.embedded,
  )
  try {
    // The end is often reported before the reason, which must win.
    const ended = new Promise<never>((_, reject) => link.onLost((error) => setImmediate(reject, error)))
    ended.catch(() => {})
    const options = { authentication: token ?? authentication(credentials, level), reconnect: false }
    const connected = db
      .connect(address.embedded ? 'mem://' : address.url, options)
      .then(() => selectExisting(db, credentials))
    connected.catch(() => {})
    await settle(Promise.race([failed, connected, ended]), {
      timeoutMs: connectTimeoutMs,
      what: `SurrealDB at ${address.label} did not accept a connection`,
      signal,
    })
    return link
  } catch (error) {
    void link.close()
    if (signal?.aborted === true) throw signal.reason
    throw unreachable(toSyncError(error, { connecting: true, address: address.label }))
  }
}

/** While connecting, silence and a cut both mean that nobody is there. */
function unreachable(error: SyncError): SyncError {
  if (error.code !== 'E_CONNECTION_LOST') return error
  return new SyncError('E_UNREACHABLE', error.message, { hint: reachHint, cause: error.cause ?? error })
}

function authentication({ namespace, database, username, password }: Credentials, level: AuthLevel | undefined) {
  if (username === undefined || password === undefined || level === undefined) return undefined
  if (level === 'root') return { username, password }
  return level === 'namespace' ? { namespace, username, password } : { namespace, database, username, password }
}

async function tokenOf({ token }: Credentials): Promise<string | undefined> {
  if (typeof token !== 'function') return token
  try {
    return await token()
  } catch (cause) {
    if (cause instanceof SyncError) throw cause
    throw new SyncError('E_PASSWORD', 'The function that gets the token for SurrealDB failed', {
      hint: 'See what it threw, which is the cause of this error.',
      cause,
    })
  }
}

function linkTo(db: Surreal, close: () => Promise<unknown>, embedded: boolean): Link {
  const listeners = new Set<(error: SyncError) => void>()
  let lost: SyncError | undefined
  let closing: Promise<void> | undefined
  const end = () => {
    if (lost !== undefined) return
    lost = new SyncError('E_CONNECTION_LOST', 'The connection to SurrealDB was lost')
    for (const listener of [...listeners]) listener(lost)
    listeners.clear()
  }
  const unsubscribe = [db.subscribe('disconnected', end), db.subscribe('reconnecting', end)]
  return {
    db,
    embedded,
    onLost(listener) {
      if (lost !== undefined) listener(lost)
      else listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      closing ??= (async () => {
        try {
          await close()
        } catch {
          // A connection that cannot be closed is as gone as one that can.
        } finally {
          for (const forget of unsubscribe) forget()
          end()
        }
      })()
      return closing
    },
  }
}

/** One connection for all who dial, closed when the last of them closes it. */
function shared(dial: Dial): Dial {
  let current: { readonly link: Promise<Link>; users: number } | undefined
  return async (options) => {
    const mine = current ?? { link: dial(options), users: 0 }
    current = mine
    mine.users += 1
    const leave = () => {
      mine.users -= 1
      if (mine.users === 0 && current === mine) current = undefined
    }
    try {
      const link = await mine.link
      let left = false
      return {
        ...link,
        async close() {
          if (left) return
          left = true
          leave()
          if (mine.users === 0) await link.close()
        },
      }
    } catch (error) {
      leave()
      throw error
    }
  }
}

/** The HTTP requests of one connection, so that dropping it ends them. A redirect is an answer like any other. */
class Requests {
  readonly #controller = new AbortController()
  readonly #fetch: typeof fetch
  readonly fetch: typeof fetch = (input, init) =>
    this.#fetch(input, { ...init, redirect: 'manual', signal: this.#controller.signal })

  constructor(tls: TlsSettings) {
    this.#fetch = tls === undefined ? fetch : fetchWith(tls)
  }

  abort(): void {
    this.#controller.abort()
  }
}

function remoteEngines(tls: TlsSettings): Engines {
  return { ...createRemoteEngines(), ws: webSocketEngine(tls), wss: webSocketEngine(tls) }
}

/** The SDK does not tell why an engine failed to open, and would wait for ever. */
function observed(engines: Engines, failed: (error: unknown) => void): Engines {
  const observe =
    (factory: EngineFactory): EngineFactory =>
    (context) => {
      const engine = factory(context)
      engine.subscribe('error', failed)
      return engine
    }
  return Object.fromEntries(Object.entries(engines).map(([name, factory]) => [name, observe(factory)]))
}
