/** GeoJSON geometries (RFC 7946) as SurrealDB's, which are flat, finite and never empty. */
import type { Value } from '../../core/value.js'
import { type CborBuffer, cbor } from './cbor-buffer.js'

type Members = { readonly [name: string]: Value }

/** Geometries within geometries; a level takes two of CBOR's, of which SurrealDB reads about 250. */
const depthMax = 40

/**
 * Writes the geometry; where it cannot be one in SurrealDB, writes nothing and returns false. The number of a reference system
 * is left out: SurrealDB has no place for it.
 */
export function putGeoJson(buffer: CborBuffer, value: Members): boolean {
  const start = buffer.position
  if (putMembers(buffer, value, 0)) return true
  buffer.position = start
  return false
}

function putMembers(
  buffer: CborBuffer,
  { type, coordinates, geometries, dimensions }: Members,
  depth: number,
): boolean {
  if (dimensions !== undefined || depth > depthMax) return false
  switch (type) {
    case 'Point':
      return putPoint(buffer, coordinates ?? null)
    case 'LineString':
      return putLine(buffer, coordinates ?? null)
    case 'Polygon':
      return putPolygon(buffer, coordinates ?? null)
    case 'MultiPoint':
      return putAll(buffer, 91, coordinates ?? null, 1, putPoint)
    case 'MultiLineString':
      return putAll(buffer, 92, coordinates ?? null, 1, putLine)
    case 'MultiPolygon':
      return putAll(buffer, 93, coordinates ?? null, 1, putPolygon)
    case 'GeometryCollection':
      return putAll(buffer, 94, geometries ?? null, 1, (to, part) => isMembers(part) && putMembers(to, part, depth + 1))
    default:
      return false
  }
}

function putPoint(buffer: CborBuffer, point: Value): boolean {
  if (!isArray(point) || point.length !== 2) return false
  const [x, y] = point
  if (!isCoordinate(x) || !isCoordinate(y)) return false
  putTag(buffer, 88)
  buffer.putHead(cbor.array, 2)
  buffer.putFloat(x)
  buffer.putFloat(y)
  return true
}

function putLine(buffer: CborBuffer, points: Value): boolean {
  return putAll(buffer, 89, points, 2, putPoint)
}

function putPolygon(buffer: CborBuffer, rings: Value): boolean {
  return putAll(buffer, 90, rings, 1, (to, ring) => putAll(to, 89, ring, 4, putPoint))
}

function putAll(
  buffer: CborBuffer,
  tag: number,
  parts: Value,
  lengthMin: number,
  put: (buffer: CborBuffer, part: Value) => boolean,
): boolean {
  if (!isArray(parts) || parts.length < lengthMin) return false
  putTag(buffer, tag)
  buffer.putHead(cbor.array, parts.length)
  return parts.every((part) => put(buffer, part))
}

function putTag(buffer: CborBuffer, tag: number): void {
  buffer.putByte(0xd8)
  buffer.putByte(tag)
}

function isCoordinate(value: Value | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function isMembers(value: Value): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
