/** One connection at a time, each used with care: deadlines on every call, and a new one after any doubt. */
import type { Surreal } from 'surrealdb'
import type { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import { type ErrorContext, toSyncError } from './errors.js'
import { settle } from './settle.js'

/** An open connection, made by a {@link Dial}. */
export interface Link {
  readonly db: Surreal
  /** Calls back once when the connection ends. Returns how to unsubscribe. */
  onLost(listener: (error: SyncError) => void): () => void
  /** Ends the connection. Never rejects; may take a while. */
  close(): Promise<void>
  /** The database lives in this process: a late answer does not mean that the connection is broken. */
  readonly embedded: boolean
}

/** Opens a connection, or rejects in bounded time. Called again after a loss. */
export type Dial = (options: Abortable) => Promise<Link>

export interface ConnectionOptions {
  readonly callTimeoutMs: number
  readonly address?: string
}

/** How long a call in flight may still take after the run was asked to stop. */
const stopGraceMs = 2_000
/** How long closing may take before it is left alone. */
const closeTimeoutMs = 5_000

export class Connection {
  readonly #dial: Dial
  readonly #options: ConnectionOptions
  #link: Link | undefined
  #opening: Promise<Link> | undefined

  constructor(dial: Dial, options: ConnectionOptions) {
    this.#dial = dial
    this.#options = options
  }

  /**
   * Runs one exchange with the server, opening a connection first if there is none. If it is cut, late or stopped, nobody
   * knows whether it took effect, and the connection is dropped.
   *
   * @throws SyncError, or the reason of the signal
   */
  async call<Result>(exchange: (db: Surreal) => Promise<Result>, options: Abortable, table?: string): Promise<Result> {
    const { signal } = options
    signal?.throwIfAborted()
    const link = await this.#open(options)
    const context: ErrorContext = { table, address: this.#options.address }
    try {
      return await settle(exchange(link.db), {
        timeoutMs: this.#options.callTimeoutMs,
        what: 'SurrealDB did not answer',
        signal,
        graceMs: stopGraceMs,
        onLost: (listener) => link.onLost(listener),
      })
    } catch (error) {
      const stopped = signal?.aborted === true && error === signal.reason
      const known = stopped ? undefined : toSyncError(error, context)
      if ((stopped || known?.code === 'E_CONNECTION_LOST') && !link.embedded) this.#drop(link)
      throw known ?? error
    }
  }

  /** Opens the connection now, so that a wrong address or password is known before there is work. */
  async open(options: Abortable): Promise<void> {
    await this.#open(options)
  }

  /** Ends the connection. The next call opens another. */
  async close(): Promise<void> {
    const link = this.#link
    this.#link = undefined
    if (link !== undefined) await closeQuietly(link)
  }

  async #open(options: Abortable): Promise<Link> {
    if (this.#link !== undefined) return this.#link
    this.#opening ??= this.#dialOnce(options).finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #dialOnce(options: Abortable): Promise<Link> {
    const link = await this.#dial(options)
    this.#link = link
    link.onLost(() => this.#drop(link))
    return link
  }

  #drop(link: Link): void {
    if (this.#link !== link) return
    this.#link = undefined
    void closeQuietly(link)
  }
}

/** The SDK's `close()` may never settle, so it is not waited for without end. */
async function closeQuietly(link: Link): Promise<void> {
  try {
    await settle(link.close(), { timeoutMs: closeTimeoutMs, what: 'SurrealDB did not close' })
  } catch {
    // There is nothing left to do about a connection that nobody will use again.
  }
}
