/** One COPY statement on a connection of pg. */
import type { Client, Connection, Submittable } from 'pg'
import pg from 'pg'
import { SyncError } from '../../core/errors.js'
import { CopyFrames } from './copy-frames.js'
import { CopyParser } from './copy-parser.js'
import type { CopyRows } from './copy-rows.js'
import type { CopyOptions } from './copy-stream.js'

const chunksMaxDefault = 24
/** However few chunks that is: rows may be large. */
const queuedBytesMax = 8 * 1024 * 1024
/** Parts of the server's answer that only another kind of statement gets. */
const foreign = 'The statement is no COPY TO STDOUT'

/** The hooks that pg calls on the query at the head of its queue; `submit` first, and nothing after an error. */
export class CopyQuery implements Submittable {
  /** pg keeps a timer of its own in here when `query_timeout` is set. */
  callback: (() => void) | undefined
  readonly #client: Client
  readonly #sql: string
  readonly #options: CopyOptions
  readonly #chunksMax: number
  readonly #chunks: CopyRows[] = []
  #queuedBytes = 0
  #connection: Connection | undefined
  #frames: CopyFrames | undefined
  #parser: CopyParser | undefined
  #state: 'waiting' | 'copying' | 'copied' | 'commanded' | 'ended' | 'failed' = 'waiting'
  #error: unknown
  #settled: Promise<void> | undefined
  #paused = false
  #wake: (() => void) | undefined

  constructor(client: Client, sql: string, options: CopyOptions) {
    this.#client = client
    this.#sql = sql
    this.#options = options
    this.#chunksMax = options.chunksMax ?? chunksMaxDefault
    // Without a listener the loss of the connection, or its end by us, would end the process.
    client.on('error', ignore)
  }

  submit(connection: Connection): void {
    this.#connection = connection
    connection.once('copyOutResponse', this.#copyOutResponse)
    connection.once('copyDone', this.#copyDone)
    if (this.#state !== 'waiting') return
    this.#frames = new CopyFrames(connection.stream, this.#push)
    connection.query(this.#sql)
  }

  /** The next chunk; `undefined` when the whole of the COPY has been given. */
  async next(): Promise<CopyRows | undefined> {
    for (;;) {
      if (this.#state === 'failed') throw this.#error
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.byteCount
        if (!this.#isFull()) this.#resume()
        return chunk
      }
      if (this.#state === 'ended') return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  abort(reason: unknown): void {
    if (this.#state === 'failed') this.#client.connection.stream.destroy()
    else this.#break(reason)
  }

  /** Leaves the connection usable, or closed. */
  async close(): Promise<void> {
    this.#break(undefined)
    this.#chunks.length = 0
    this.#queuedBytes = 0
    this.#resume()
    this.#frames?.release()
    this.#connection?.off('copyOutResponse', this.#copyOutResponse)
    this.#connection?.off('copyDone', this.#copyDone)
    this.callback?.()
    // An error of the server may be its last word: whether it is shows in what follows it.
    await this.#settled
    if (!this.#client.connection.stream.destroyed) this.#client.off('error', ignore)
  }

  handleCopyData(message: { readonly chunk: Uint8Array }): void {
    if (this.#state !== 'copying') {
      this.#break(protocolError('rows came where none were expected'))
      return
    }
    this.#push(message.chunk, 0, message.chunk.byteLength)
    this.#frames?.takeOver(message.chunk)
  }

  handleCommandComplete(message: { readonly text?: string }): void {
    const rowCount = this.#parser?.rowCount
    if (message.text === 'SAVEPOINT' && this.#state === 'waiting') return
    if (message.text === 'RELEASE' && this.#state === 'commanded') return
    if (this.#state !== 'copied') this.#break(protocolError('it was completed before it was done'))
    else if (message.text === `COPY ${rowCount}`) this.#state = 'commanded'
    else this.#break(protocolError(`${rowCount} rows came where it says ${message.text}`))
  }

  handleReadyForQuery(): void {
    if (this.#state === 'commanded') {
      this.#state = 'ended'
      this.#notify()
    } else this.#break(protocolError('it ended early'))
  }

  /** An error of the server, after which the connection can be used on; or the end of the connection. */
  handleError(error: unknown): void {
    if (this.#state === 'ended' || this.#state === 'failed') return
    if (error instanceof pg.DatabaseError && error.severity !== undefined) this.#fail(error)
    else this.#break(connectionLost(error))
  }

  handleRowDescription(): void {
    this.#break(protocolError(foreign))
  }

  handleDataRow(): void {
    this.#break(protocolError(foreign))
  }

  handleEmptyQuery(): void {
    this.#break(protocolError(foreign))
  }

  handlePortalSuspended(): void {
    this.#break(protocolError(foreign))
  }

  handleCopyInResponse(): void {
    this.#break(protocolError(foreign))
  }

  readonly #copyOutResponse = (message: {
    readonly binary: boolean
    readonly columnTypes: readonly number[]
  }): void => {
    if (this.#state !== 'waiting') return
    const { columnNames } = this.#options
    if (columnNames !== undefined && columnNames.length !== message.columnTypes.length) {
      this.#break(protocolError(`it has ${message.columnTypes.length} columns instead of ${columnNames.length}`))
    } else if (message.binary) {
      this.#state = 'copying'
      this.#parser = new CopyParser(message.columnTypes.length, this.#options, (rows) => this.#queue(rows))
    } else this.#break(protocolError('it is not in binary format'))
  }

  readonly #copyDone = (): void => {
    if (this.#state !== 'copying') return
    if (this.#parser?.complete === true) this.#state = 'copied'
    else this.#break(protocolError('it ended without its trailer'))
  }

  readonly #push = (bytes: Uint8Array, start: number, end: number): void => {
    if (this.#state !== 'copying') return
    try {
      this.#parser?.push(bytes, start, end)
    } catch (error) {
      this.#break(error)
    }
  }

  #queue(rows: CopyRows): void {
    this.#chunks.push(rows)
    this.#queuedBytes += rows.byteCount
    if (this.#isFull() && !this.#paused) {
      this.#paused = true
      this.#connection?.stream.pause()
    }
    this.#notify()
  }

  #isFull(): boolean {
    return this.#chunks.length >= this.#chunksMax || this.#queuedBytes >= queuedBytesMax
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#connection?.stream.resume()
  }

  #fail(error: unknown): void {
    this.#state = 'failed'
    this.#error = error
    this.#settled = settled(this.#client.connection)
    this.#chunks.length = 0
    this.#queuedBytes = 0
    this.#resume()
    this.#notify()
  }

  /** Fails, and ends a connection that is somewhere in the middle. */
  #break(error: unknown): void {
    if (this.#state === 'failed' || this.#state === 'ended') return
    this.#fail(error)
    this.#client.connection.stream.destroy()
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}

function ignore(): void {}

/** Resolves when the connection is ready for another statement, or when pg knows that it is gone, so that a pool drops it. */
async function settled(connection: Connection): Promise<void> {
  if (connection.stream.closed) return
  await new Promise<void>((resolve) => {
    const settle = () => {
      connection.off('readyForQuery', settle)
      connection.off('end', settle)
      resolve()
    }
    connection.on('readyForQuery', settle)
    connection.on('end', settle)
  })
}

function protocolError(what: string): SyncError {
  return new SyncError('E_SOURCE_PROTOCOL', `PostgreSQL's answer to a COPY is not valid: ${what}`, {
    hint: 'Run again; if it happens again, see what stands between here and PostgreSQL.',
  })
}

function connectionLost(cause: unknown): SyncError {
  return new SyncError('E_CONNECTION_LOST', 'The connection to PostgreSQL was lost while rows were read', { cause })
}
