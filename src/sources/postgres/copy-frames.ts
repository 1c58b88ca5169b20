/**
 * Reads the CopyData messages of one COPY from the socket itself, past pg's message parser, which makes several objects for
 * each row. Everything else, and whatever is not surely understood, goes to pg as ever. Format: PostgreSQL manual,
 * "Message Formats".
 */
import type { Readable } from 'node:stream'

type Listener = (chunk: Buffer) => void

const copyData = 0x64
/** A message's type and its length. */
const headSize = 5

export class CopyFrames {
  readonly #stream: Readable
  readonly #payload: (bytes: Uint8Array, start: number, end: number) => void
  /** pg's, while they are out of the way. */
  #listeners: readonly Listener[] | undefined
  #chunk: Buffer | undefined
  readonly #head = Buffer.alloc(headSize)
  #headLength = 0
  /** Bytes of a message that still belong to pg, which has its beginning; -1: its head is not complete. */
  #owed = 0
  #payloadLeft = 0

  /** @param payload Gets rows in pieces of any size. */
  constructor(stream: Readable, payload: (bytes: Uint8Array, start: number, end: number) => void) {
    this.#stream = stream
    this.#payload = payload
    stream.prependListener('data', this.#watch)
  }

  /**
   * Takes over from the message that pg has just delivered. It does so only if that is a view of what has just arrived, so
   * that it is known where messages begin, and if nothing but rows follows so far.
   */
  takeOver(message: Uint8Array): void {
    const chunk = this.#chunk
    if (this.#listeners !== undefined || chunk === undefined || message.buffer !== chunk.buffer) return
    let position = message.byteOffset + message.byteLength - chunk.byteOffset
    if (position <= 0 || position > chunk.length) return
    // pg delivers all that is whole in the chunk, and keeps the rest.
    for (;;) {
      const rest = chunk.length - position
      if (rest > 0 && chunk[position] !== copyData) return
      if (rest < headSize) {
        chunk.copy(this.#head, 0, position)
        this.#headLength = rest
        this.#owed = rest === 0 ? 0 : -1
        break
      }
      const size = 1 + chunk.readInt32BE(position + 1)
      if (size < headSize) return
      if (size > rest) {
        this.#owed = size - rest
        break
      }
      position += size
    }
    const listeners = this.#stream.listeners('data') as Listener[]
    this.#listeners = listeners.filter((listener) => listener !== this.#watch)
    this.#stream.on('data', this.#read)
    this.#stream.off('data', this.#watch)
    for (const listener of this.#listeners) this.#stream.off('data', listener)
  }

  /** Gives the socket back to pg. */
  release(): void {
    this.#stream.off('data', this.#watch)
    if (this.#listeners === undefined) return
    for (const listener of this.#listeners) this.#stream.on('data', listener)
    this.#stream.off('data', this.#read)
    this.#listeners = undefined
  }

  readonly #watch = (chunk: Buffer): void => {
    this.#chunk = chunk
  }

  readonly #read = (chunk: Buffer): void => {
    let position = this.#owed === 0 ? 0 : this.#payOwed(chunk)
    while (position < chunk.length) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(chunk.length, position + this.#payloadLeft)
        this.#payloadLeft -= end - position
        this.#payload(chunk, position, end)
        position = end
        continue
      }
      if (this.#headLength === 0 && chunk.length - position >= headSize) {
        if (!this.#begin(chunk[position], chunk.readInt32BE(position + 1))) {
          this.#leave(chunk, position)
          return
        }
        position += headSize
        continue
      }
      position = this.#takeHead(chunk, position)
      if (this.#headLength < headSize) return
      if (!this.#begin(this.#head[0], this.#head.readInt32BE(1))) {
        this.#leave(chunk, position)
        return
      }
      this.#headLength = 0
    }
  }

  /** Whether a message with this head is one of rows. */
  #begin(type: number | undefined, length: number): boolean {
    if (type !== copyData || length < 4) return false
    this.#payloadLeft = length - 4
    return true
  }

  #takeHead(chunk: Buffer, position: number): number {
    const end = Math.min(chunk.length, position + headSize - this.#headLength)
    chunk.copy(this.#head, this.#headLength, position, end)
    this.#headLength += end - position
    return end
  }

  /** Passes on the rest of a message whose beginning pg has. Returns where the next one begins. */
  #payOwed(chunk: Buffer): number {
    let end = 0
    if (this.#owed < 0) {
      end = this.#takeHead(chunk, 0)
      if (this.#headLength === headSize) this.#owed = Math.max(0, this.#head.readInt32BE(1) - 4)
    }
    if (this.#owed >= 0) {
      const more = Math.min(chunk.length - end, this.#owed)
      this.#owed -= more
      end += more
      this.#headLength = 0
    }
    this.#forward(chunk.subarray(0, end))
    return end
  }

  /** From here on everything is pg's: the head that was taken, and what follows it. */
  #leave(chunk: Buffer, position: number): void {
    const head = Buffer.from(this.#head.subarray(0, this.#headLength))
    const rest = Buffer.concat([head, chunk.subarray(position)])
    const listeners = this.#listeners
    this.release()
    for (const listener of listeners ?? []) listener(rest)
  }

  #forward(bytes: Buffer): void {
    for (const listener of this.#listeners ?? []) listener(bytes)
  }
}
