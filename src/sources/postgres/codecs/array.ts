/** Arrays of any element type. The wire format is `array_send` in PostgreSQL's utils/adt/arrayfuncs.c. */
import type { Value, ValueWriter } from '../../../core/value.js'
import { type Codec, unexpected, type Wire } from './codec.js'

/** PostgreSQL's MAXDIM. */
const dimensionsMax = 6

/** More dimensions are nested arrays; lower bounds are dropped. */
export function arrayCodec(element: Codec): Codec {
  return {
    decode(wire, start, end) {
      const position = firstElement(wire, start, end)
      if (position < 0) return []
      const reader = new Reader(element, wire, start, position, end)
      const values = reader.decode(0)
      reader.finish()
      return values
    },
    transcode(wire, start, end, writer) {
      const position = firstElement(wire, start, end)
      if (position < 0) writer.array(0)
      else if (wire.view.getInt32(start) === 1) transcodeFlat(element, wire, start, position, end, writer)
      else {
        const reader = new Reader(element, wire, start, position, end)
        reader.transcode(0, writer)
        reader.finish()
      }
    },
  }
}

/** Where the elements begin; -1: there are none. The lengths are no larger than what the cell has room for. */
function firstElement(wire: Wire, start: number, end: number): number {
  if (end - start < 12) throw unexpected('array')
  const dimensions = wire.view.getInt32(start)
  const first = start + 12 + 8 * dimensions
  if (dimensions < 0 || dimensions > dimensionsMax || first > end) throw unexpected('array')
  let count = dimensions === 0 ? 0 : 1
  for (let position = start + 12; position < first; position += 8) {
    const length = wire.view.getInt32(position)
    if (length < 0) throw unexpected('array')
    count *= length
  }
  if (4 * count > end - first || (count === 0 && first !== end)) throw unexpected('array')
  return count === 0 ? -1 : first
}

function transcodeFlat(
  element: Codec,
  wire: Wire,
  start: number,
  first: number,
  end: number,
  writer: ValueWriter,
): void {
  const { view } = wire
  const length = view.getInt32(start + 12)
  let position = first
  writer.array(length)
  for (let index = 0; index < length; index += 1) {
    if (position + 4 > end) throw unexpected('array')
    const size = view.getInt32(position)
    position += 4
    if (size === -1) {
      writer.null()
      continue
    }
    if (size < 0 || position + size > end) throw unexpected('array')
    element.transcode(wire, position, position + size, writer)
    position += size
  }
  if (position !== end) throw unexpected('array')
}

/** Walks over the elements, one dimension inside the other. */
class Reader {
  readonly #element: Codec
  readonly #wire: Wire
  readonly #start: number
  readonly #end: number
  readonly #dimensions: number
  #position: number

  constructor(element: Codec, wire: Wire, start: number, first: number, end: number) {
    this.#element = element
    this.#wire = wire
    this.#start = start
    this.#end = end
    this.#position = first
    this.#dimensions = wire.view.getInt32(start)
  }

  decode(dimension: number): Value {
    if (dimension === this.#dimensions) {
      const size = this.#next()
      return size < 0 ? null : this.#element.decode(this.#wire, this.#position - size, this.#position)
    }
    const values: Value[] = []
    const length = this.#length(dimension)
    for (let index = 0; index < length; index += 1) values.push(this.decode(dimension + 1))
    return values
  }

  transcode(dimension: number, writer: ValueWriter): void {
    if (dimension === this.#dimensions) {
      const size = this.#next()
      if (size < 0) writer.null()
      else this.#element.transcode(this.#wire, this.#position - size, this.#position, writer)
      return
    }
    const length = this.#length(dimension)
    writer.array(length)
    for (let index = 0; index < length; index += 1) this.transcode(dimension + 1, writer)
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.#position !== this.#end) throw unexpected('array')
  }

  #length(dimension: number): number {
    return this.#wire.view.getInt32(this.#start + 12 + 8 * dimension)
  }

  /** Moves behind the next element and returns its size; -1: it is NULL. */
  #next(): number {
    if (this.#position + 4 > this.#end) throw unexpected('array')
    const size = this.#wire.view.getInt32(this.#position)
    this.#position += 4 + Math.max(size, 0)
    if (size < -1 || this.#position > this.#end) throw unexpected('array')
    return size
  }
}
