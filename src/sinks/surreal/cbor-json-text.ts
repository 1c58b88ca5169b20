/** JSON text as CBOR without a document in between: the bytes of strings are copied, and nothing is made for a member. */
import { jsonNumber } from '../../core/json-number.js'
import { type CborBuffer, cbor } from './cbor-buffer.js'
import { putJsonNumberValue, putJsonText } from './cbor-json.js'
import type { CellSite } from './types.js'

/** As for documents: see cbor-json.ts. */
const depthMax = 120
/** Integers of so many digits are exact as doubles. */
const digitsMax = 15

const quote = 0x22
const comma = 0x2c
const minus = 0x2d
const backslash = 0x5c

/** One at a time, for one buffer. */
export class JsonTextEncoder {
  readonly #buffer: CborBuffer
  #source: Uint8Array = new Uint8Array(0)
  #position = 0
  #end = 0
  #site: CellSite | undefined

  constructor(buffer: CborBuffer) {
    this.#buffer = buffer
  }

  /**
   * Writes the document. False, with nothing written: it is nested beyond 120 levels, or it is not what PostgreSQL prints.
   */
  put(source: Uint8Array, start: number, end: number, site: CellSite): boolean {
    const before = this.#buffer.position
    this.#source = source
    this.#position = start
    this.#end = end
    this.#site = site
    if (this.#value(0) && this.#next() < 0) return true
    this.#buffer.position = before
    return false
  }

  #value(depth: number): boolean {
    const byte = this.#next()
    if (byte === quote) return this.#string()
    if (byte === 0x7b) return depth < depthMax && this.#members(cbor.map, 0x7d, depth)
    if (byte === 0x5b) return depth < depthMax && this.#members(cbor.array, 0x5d, depth)
    if (byte === minus || (byte >= 0x30 && byte <= 0x39)) return this.#number()
    if (byte === 0x74) return this.#word('true', cbor.true)
    if (byte === 0x66) return this.#word('false', cbor.false)
    return byte === 0x6e && this.#word('null', cbor.null)
  }

  /** An object or an array. Its head is one byte until it is known to have more than 23 members. */
  #members(major: number, close: number, depth: number): boolean {
    const buffer = this.#buffer
    const start = buffer.position
    buffer.putByte(major)
    this.#position += 1
    if (this.#next() === close) {
      this.#position += 1
      return true
    }
    for (let count = 1; ; count += 1) {
      if (major === cbor.map && !this.#name()) return false
      if (!this.#value(depth + 1)) return false
      const byte = this.#next()
      this.#position += 1
      if (byte === comma) continue
      if (byte !== close) return false
      buffer.putHeadAt(start, major, count)
      return true
    }
  }

  #name(): boolean {
    if (this.#next() !== quote || !this.#string() || this.#next() !== 0x3a) return false
    this.#position += 1
    return true
  }

  #string(): boolean {
    const [source, end] = [this.#source, this.#end]
    const start = this.#position + 1
    let position = start
    for (; position < end; position += 1) {
      const byte = source[position]
      if (byte === quote) {
        this.#position = position + 1
        this.#buffer.putUtf8(source, start, position)
        return true
      }
      if (byte === backslash) return this.#escapedString(position)
    }
    return false
  }

  /** A string with escapes is rare, and the platform's parser knows them all. */
  #escapedString(firstEscape: number): boolean {
    const [source, end] = [this.#source, this.#end]
    let position = firstEscape
    while (position < end && source[position] !== quote) position += source[position] === backslash ? 2 : 1
    const text = position < end ? parsed(this.#text(this.#position, position + 1)) : undefined
    this.#position = position + 1
    if (text === undefined || this.#site === undefined) return false
    putJsonText(this.#buffer, text, this.#site)
    return true
  }

  #number(): boolean {
    const [source, end] = [this.#source, this.#end]
    const start = this.#position
    const negative = source[start] === minus
    let position = negative ? start + 1 : start
    let value = 0
    let whole = true
    for (; position < end; position += 1) {
      const byte = source[position] ?? 0
      if (byte >= 0x30 && byte <= 0x39) value = value * 10 + byte - 0x30
      else if (byte === 0x2e || byte === 0x65 || byte === 0x45 || byte === 0x2b || byte === minus) whole = false
      else break
    }
    this.#position = position
    if (position === (negative ? start + 1 : start)) return false
    if (whole && position - start <= digitsMax) this.#buffer.putInteger(negative ? -value : value)
    else if (this.#site !== undefined) {
      const text = this.#text(start, position)
      if (!whole && Number.isNaN(Number(text))) return false
      putJsonNumberValue(this.#buffer, jsonNumber(text, whole), this.#site, false)
    }
    return true
  }

  #word(word: string, byte: number): boolean {
    const end = this.#position + word.length
    if (end > this.#end || this.#text(this.#position, end) !== word) return false
    this.#position = end
    this.#buffer.putByte(byte)
    return true
  }

  /** The next byte that is not blank; -1 at the end. */
  #next(): number {
    for (; this.#position < this.#end; this.#position += 1) {
      const byte = this.#source[this.#position] ?? 0
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
    }
    return -1
  }

  #text(start: number, end: number): string {
    return Buffer.from(this.#source.buffer, this.#source.byteOffset + start, end - start).toString('utf8')
  }
}

/** The value of a JSON string; `undefined`: it is none. */
function parsed(text: string): string | undefined {
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}
