/**
 * PostGIS's geometry and geography. On the wire they are EWKB: the well-known binary of OGC 06-103r4, with flags for more
 * coordinates and for a reference system (PostGIS's doc/ZMSgeoms.txt).
 */
import { bareObject } from '../../../core/bare-object.js'
import type { Shape, Value } from '../../../core/value.js'
import { type Codec, unexpected, type Wire } from './codec.js'

const flags = { z: 0x80000000, m: 0x40000000, srid: 0x20000000 } as const
/** Beyond this many levels of collections, and for kinds that are not known, the bytes themselves are the value. */
const depthMax = 32

interface Kind {
  readonly type: string
  /** What follows the head: the point's coordinates, points, rings of points, or whole geometries. */
  readonly content: 'point' | 'points' | 'rings' | 'geometries'
  /** A collection of geometries of one kind is written with their coordinates alone. */
  readonly uniform?: boolean
}

/** By the number in the head. */
const kinds: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [1, { type: 'Point', content: 'point' }],
  [2, { type: 'LineString', content: 'points' }],
  [3, { type: 'Polygon', content: 'rings' }],
  [4, { type: 'MultiPoint', content: 'geometries', uniform: true }],
  [5, { type: 'MultiLineString', content: 'geometries', uniform: true }],
  [6, { type: 'MultiPolygon', content: 'geometries', uniform: true }],
  [7, { type: 'GeometryCollection', content: 'geometries' }],
  [8, { type: 'CircularString', content: 'points' }],
  [9, { type: 'CompoundCurve', content: 'geometries' }],
  [10, { type: 'CurvePolygon', content: 'geometries' }],
  [11, { type: 'MultiCurve', content: 'geometries' }],
  [12, { type: 'MultiSurface', content: 'geometries' }],
  [15, { type: 'PolyhedralSurface', content: 'geometries' }],
  [16, { type: 'Tin', content: 'geometries' }],
  [17, { type: 'Triangle', content: 'rings' }],
])

/** `{ type, coordinates }` or `{ type, geometries }`, with `srid` if there is one; `{ ewkb }` in hex if it is unknown. */
export const ewkbCodec: Codec = {
  decode: shapeOf,
  transcode(wire, start, end, writer) {
    writer.geometry(shapeOf(wire, start, end))
  },
}

function shapeOf(wire: Wire, start: number, end: number): Shape {
  const reader = new Reader(wire, start, end)
  const value = reader.geometry(0)
  if (value === undefined) {
    const ewkb = wire.bytes.toString('hex', start, end).toUpperCase()
    return { kind: 'other', value: Object.assign(bareObject(), { ewkb }) }
  }
  reader.finish()
  return { kind: 'geojson', value }
}

type Geometry = { [name: string]: Value }

class Reader {
  readonly #wire: Wire
  readonly #end: number
  #position: number

  constructor(wire: Wire, start: number, end: number) {
    this.#wire = wire
    this.#position = start
    this.#end = end
  }

  /** `undefined`: of a kind that is not known, or too deep. */
  geometry(depth: number): Geometry | undefined {
    const order = this.#wire.bytes[this.#skip(1)]
    if (order !== 0 && order !== 1) throw unexpected('geometry')
    const little = order === 1
    const head = this.#integer(little)
    const kind = kinds.get(head & 0x1fffffff)
    if (kind === undefined || depth > depthMax) return undefined
    const hasZ = (head & flags.z) !== 0
    const hasM = (head & flags.m) !== 0
    const size = 2 + Number(hasZ) + Number(hasM)
    const srid = (head & flags.srid) === 0 ? 0 : this.#integer(little)
    const geometry: Geometry = bareObject()
    geometry.type = kind.type
    // Three coordinates are x, y and z, unless something says otherwise.
    if (hasM && !hasZ) geometry.dimensions = 'XYM'
    if (kind.content === 'geometries') {
      const parts = this.#geometries(little, depth)
      if (parts === undefined) return undefined
      if (kind.uniform) geometry.coordinates = parts.map(({ coordinates }) => coordinates ?? null)
      else geometry.geometries = parts
    } else if (kind.content === 'rings') {
      geometry.coordinates = this.#list(little, 4, () => this.#list(little, 8 * size, () => this.#point(little, size)))
    } else if (kind.content === 'points') {
      geometry.coordinates = this.#list(little, 8 * size, () => this.#point(little, size))
    } else {
      // An empty point has nothing but NaN.
      const point = this.#point(little, size)
      geometry.coordinates = point.every(Number.isNaN) ? [] : point
    }
    if (srid !== 0) geometry.srid = srid
    return geometry
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.#position !== this.#end) throw unexpected('geometry')
  }

  #geometries(little: boolean, depth: number): Geometry[] | undefined {
    const count = this.#count(little, 5)
    const parts: Geometry[] = []
    for (let index = 0; index < count; index += 1) {
      const part = this.geometry(depth + 1)
      if (part === undefined) return undefined
      parts.push(part)
    }
    return parts
  }

  #list<Item>(little: boolean, sizeMin: number, next: () => Item): Item[] {
    return Array.from({ length: this.#count(little, sizeMin) }, next)
  }

  #point(little: boolean, size: number): number[] {
    const start = this.#skip(8 * size)
    return Array.from({ length: size }, (_, index) => this.#wire.view.getFloat64(start + 8 * index, little))
  }

  /** How many items follow, of which each has at least so many bytes. */
  #count(little: boolean, sizeMin: number): number {
    const count = this.#integer(little)
    if (count * sizeMin > this.#end - this.#position) throw unexpected('geometry')
    return count
  }

  #integer(little: boolean): number {
    return this.#wire.view.getUint32(this.#skip(4), little)
  }

  /** Moves on and returns where it was. */
  #skip(length: number): number {
    const start = this.#position
    this.#position += length
    if (this.#position > this.#end) throw unexpected('geometry')
    return start
  }
}
