/** The types of pgvector: vector, halfvec and sparsevec (its src/*.c, `*_send`). */
import { bareObject } from '../../../core/bare-object.js'
import type { Value } from '../../../core/value.js'
import { type Codec, unexpected, type Wire } from './codec.js'
import { shortestFloat4 } from './float4.js'

/** The number of elements, an unused int16, then the elements. */
function denseCodec(size: number, elementOf: (wire: Wire, position: number) => number): Codec {
  const count = (wire: Wire, start: number, end: number): number => {
    const elements = end - start < 4 ? -1 : wire.view.getInt16(start)
    if (elements < 0 || end - start !== 4 + size * elements) throw unexpected('vector')
    return elements
  }
  return {
    decode(wire, start, end) {
      return Array.from({ length: count(wire, start, end) }, (_, index) => elementOf(wire, start + 4 + size * index))
    },
    transcode(wire, start, end, writer) {
      writer.array(count(wire, start, end))
      for (let position = start + 4; position < end; position += size) writer.float(elementOf(wire, position))
    },
  }
}

export const vectorCodec: Codec = denseCodec(4, (wire, position) => shortestFloat4(wire.view.getFloat32(position)))

export const halfvecCodec: Codec = denseCodec(2, (wire, position) => half(wire.view.getUint16(position)))

/** `{ dimensions, indices, values }`, with indices from 1 as pgvector prints them. */
export const sparsevecCodec: Codec = {
  decode(wire, start, end) {
    const count = sparseCount(wire, start, end)
    const object: { [name: string]: Value } = bareObject()
    object.dimensions = wire.view.getInt32(start)
    object.indices = Array.from({ length: count }, (_, index) => wire.view.getInt32(start + 12 + 4 * index) + 1)
    object.values = Array.from({ length: count }, (_, index) =>
      shortestFloat4(wire.view.getFloat32(start + 12 + 4 * (count + index))),
    )
    return object
  },
  transcode(wire, start, end, writer) {
    const count = sparseCount(wire, start, end)
    writer.object(3)
    writer.name('dimensions')
    writer.integer(wire.view.getInt32(start))
    writer.name('indices')
    writer.array(count)
    for (let index = 0; index < count; index += 1) writer.integer(wire.view.getInt32(start + 12 + 4 * index) + 1)
    writer.name('values')
    writer.array(count)
    for (let index = 0; index < count; index += 1) {
      writer.float(shortestFloat4(wire.view.getFloat32(start + 12 + 4 * (count + index))))
    }
  },
}

function sparseCount(wire: Wire, start: number, end: number): number {
  const count = end - start < 12 ? -1 : wire.view.getInt32(start + 4)
  if (count < 0 || end - start !== 12 + 8 * count) throw unexpected('sparsevec')
  return count
}

/** IEEE 754 binary16, as the shortest decimal that pgvector's float4 output gives. */
function half(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  const value = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15)
  return shortestFloat4(sign * value)
}
