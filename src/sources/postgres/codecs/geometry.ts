/** PostgreSQL's shapes on a plane: on the wire they are doubles. */
import { bareObject } from '../../../core/bare-object.js'
import type { Shape, Value } from '../../../core/value.js'
import { type Codec, unexpected, type Wire } from './codec.js'

function geometryCodec(shapeOf: (wire: Wire, start: number, end: number) => Shape): Codec {
  return {
    decode: shapeOf,
    transcode(wire, start, end, writer) {
      writer.geometry(shapeOf(wire, start, end))
    },
  }
}

export const pointCodec: Codec = geometryCodec((wire, start, end) => ({
  kind: 'point',
  coordinates: doubles(wire, start, end, 2),
}))

export const lsegCodec: Codec = geometryCodec((wire, start, end) => ({
  kind: 'line',
  coordinates: doubles(wire, start, end, 4),
}))

/** Two opposite corners become the four of a polygon. */
export const boxCodec: Codec = geometryCodec((wire, start, end) => {
  const [highX = 0, highY = 0, lowX = 0, lowY = 0] = doubles(wire, start, end, 4)
  return { kind: 'polygon', coordinates: [lowX, lowY, highX, lowY, highX, highY, lowX, highY] }
})

/** The first corner is not repeated at the end. */
export const polygonCodec: Codec = geometryCodec((wire, start, end) => ({
  kind: 'polygon',
  coordinates: points(wire, start, end),
}))

/** An open path is a line, a closed one a polygon. */
export const pathCodec: Codec = geometryCodec((wire, start, end) => ({
  kind: wire.bytes[start] === 0 ? 'line' : 'polygon',
  coordinates: points(wire, start + 1, end),
}))

/** An infinite line, `{ a, b, c }` of ax + by + c = 0. */
export const lineCodec: Codec = geometryCodec((wire, start, end) => {
  const [a = 0, b = 0, c = 0] = doubles(wire, start, end, 3)
  return other({ a, b, c })
})

/** `{ center: { x, y }, radius }`. */
export const circleCodec: Codec = geometryCodec((wire, start, end) => {
  const [x = 0, y = 0, radius = 0] = doubles(wire, start, end, 3)
  return other({ center: Object.assign(bareObject(), { x, y }), radius })
})

function other(parts: { readonly [name: string]: Value }): Shape {
  return { kind: 'other', value: Object.assign(bareObject(), parts) }
}

function points(wire: Wire, start: number, end: number): number[] {
  const count = end - start < 4 ? -1 : wire.view.getInt32(start)
  if (count < 0) throw unexpected('polygon')
  return doubles(wire, start + 4, end, 2 * count)
}

function doubles(wire: Wire, start: number, end: number, count: number): number[] {
  if (end - start !== 8 * count) throw unexpected(`shape of ${count} numbers`)
  const values: number[] = []
  for (let position = start; position < end; position += 8) values.push(wire.view.getFloat64(position))
  return values
}
