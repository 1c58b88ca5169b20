/** A growable buffer of CBOR (RFC 8949), with the tags that SurrealDB understands. */

import { SyncError } from '../../core/errors.js'

/** Initial bytes of CBOR items that are written whole. */
export const cbor = {
  array: 0x80,
  map: 0xa0,
  text: 0x60,
  bytes: 0x40,
  openMap: 0xbf,
  end: 0xff,
  false: 0xf4,
  true: 0xf5,
  null: 0xf6,
} as const

/** Strings up to this length are tried as ASCII, unit by unit; longer ones go to the platform's encoder. */
const shortLength = 48
/** Spans up to this length are copied byte by byte: cheaper than making a view of the source. */
const shortBytes = 40
const encoder = new TextEncoder()
/** Far beyond any row that may be sent: some values become thousands of times larger, such as `1e131071` as decimal. */
const capacityBytesMax = 320 * 1024 * 1024

export class CborBuffer {
  protected memory: Uint8Array
  protected view: DataView
  /** Where the next byte goes. May be set back to undo what was written. */
  position = 0

  constructor(capacityBytes = 64 * 1024) {
    this.memory = new Uint8Array(capacityBytes)
    this.view = new DataView(this.memory.buffer)
  }

  /** A view of what was written: valid until the buffer is written to again. */
  slice(start: number, end: number): Uint8Array {
    return this.memory.subarray(start, end)
  }

  byteAt(position: number): number | undefined {
    return this.memory[position]
  }

  /** Moves a span to another place, and the position behind it. */
  move(start: number, end: number, target: number): void {
    this.memory.copyWithin(target, start, end)
    this.position = target + end - start
  }

  /** Starts again, and gives an oversized buffer back. */
  reset(capacityBytesMax: number): void {
    this.position = 0
    if (this.memory.length > capacityBytesMax) this.#allocate(capacityBytesMax)
  }

  putByte(value: number): void {
    this.reserve(1)
    this.memory[this.position++] = value
  }

  putRaw(source: Uint8Array): void {
    this.#copy(source, 0, source.length)
  }

  /** The head of an item: its major type, shifted, and its argument, an integer from 0 to 2^53. */
  putHead(major: number, argument: number): void {
    this.reserve(9)
    const { memory, view } = this
    if (argument < 24) {
      memory[this.position++] = major | argument
    } else if (argument < 0x100) {
      memory[this.position++] = major | 24
      memory[this.position++] = argument
    } else if (argument < 0x10000) {
      memory[this.position] = major | 25
      view.setUint16(this.position + 1, argument)
      this.position += 3
    } else if (argument < 0x1_0000_0000) {
      memory[this.position] = major | 26
      view.setUint32(this.position + 1, argument)
      this.position += 5
    } else {
      memory[this.position] = major | 27
      view.setUint32(this.position + 1, Math.floor(argument / 0x1_0000_0000))
      view.setUint32(this.position + 5, argument >>> 0)
      this.position += 9
    }
  }

  /** Five bytes for the head of an array whose length {@link setArrayLength} fills in later. */
  putArrayPlaceholder(): void {
    this.reserve(5)
    this.memory[this.position] = cbor.array | 26
    this.position += 5
  }

  setArrayLength(position: number, length: number): void {
    this.view.setUint32(position + 1, length)
  }

  /**
   * Completes an item whose head was written as one byte: its argument is known now. What follows the head is moved if a
   * byte is too small for it.
   */
  putHeadAt(position: number, major: number, argument: number): void {
    if (argument < 24) {
      this.memory[position] = major | argument
      return
    }
    const end = this.position
    const headSize = argument < 0x100 ? 2 : argument < 0x10000 ? 3 : 5
    this.reserve(headSize)
    this.move(position + 1, end, position + headSize)
    const after = this.position
    this.position = position
    this.putHead(major, argument)
    this.position = after
  }

  putTag(tag: number): void {
    this.putHead(0xc0, tag)
  }

  /** An integer from -2^53 to 2^53. */
  putInteger(value: number): void {
    if (value >= 0) this.putHead(0x00, value)
    else this.putHead(0x20, -1 - value)
  }

  /** An integer from -2^63 to 2^63 - 1. */
  putBigInt(value: bigint): void {
    this.reserve(9)
    const negative = value < 0n
    this.memory[this.position] = negative ? 0x3b : 0x1b
    this.view.setBigUint64(this.position + 1, negative ? -1n - value : value)
    this.position += 9
  }

  /** Always eight bytes: a shorter form would come back as another kind of number. */
  putFloat(value: number): void {
    this.reserve(9)
    this.memory[this.position] = 0xfb
    this.view.setFloat64(this.position + 1, value)
    this.position += 9
  }

  /** Text. A surrogate without its other half becomes U+FFFD. */
  putText(value: string): void {
    const { length } = value
    if (length > shortLength || !this.#putAscii(value)) {
      if (length < 0x10000 / 3) this.#putEncoded(value, length * 3, 3)
      else this.#putEncoded(value, Buffer.byteLength(value), 5)
    }
  }

  putUtf8(source: Uint8Array, start: number, end: number): void {
    this.putHead(cbor.text, end - start)
    this.#copy(source, start, end)
  }

  putBytes(source: Uint8Array, start: number, end: number): void {
    this.putHead(cbor.bytes, end - start)
    this.#copy(source, start, end)
  }

  protected reserve(byteCount: number): void {
    const needed = this.position + byteCount
    if (needed <= this.memory.length) return
    if (needed > capacityBytesMax) throw this.tooLarge(capacityBytesMax)
    const old = this.memory
    this.#allocate(Math.min(Math.max(needed, old.length * 2), capacityBytesMax))
    this.memory.set(old.subarray(0, this.position))
  }

  protected tooLarge(bytesMax: number): Error {
    return new SyncError('E_ROW_TOO_LARGE', `A row takes more than ${bytesMax} bytes`)
  }

  #putAscii(value: string): boolean {
    const { length } = value
    this.reserve(length + 2)
    const { memory } = this
    let position = this.position
    if (length < 24) {
      memory[position++] = cbor.text | length
    } else {
      memory[position++] = cbor.text | 24
      memory[position++] = length
    }
    for (let index = 0; index < length; index += 1) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) return false
      memory[position++] = unit
    }
    this.position = position
    return true
  }

  /** The head's size is chosen before the length is known: CBOR allows a longer head than needed. */
  #putEncoded(value: string, bytesMax: number, headSize: 3 | 5): void {
    this.reserve(headSize + bytesMax)
    const start = this.position + headSize
    const { written } = encoder.encodeInto(value, this.memory.subarray(start, start + bytesMax))
    if (headSize === 3) {
      this.memory[this.position] = cbor.text | 25
      this.view.setUint16(this.position + 1, written)
    } else {
      this.memory[this.position] = cbor.text | 26
      this.view.setUint32(this.position + 1, written)
    }
    this.position = start + written
  }

  #copy(source: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.reserve(length)
    const { memory } = this
    let position = this.position
    this.position = position + length
    if (length > shortBytes) {
      memory.set(source.subarray(start, end), position)
      return
    }
    for (let index = start; index < end; index += 1) memory[position++] = source[index] ?? 0
  }

  #allocate(capacityBytes: number): void {
    this.memory = new Uint8Array(capacityBytes)
    this.view = new DataView(this.memory.buffer)
  }
}
