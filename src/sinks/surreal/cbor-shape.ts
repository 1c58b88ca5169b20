/** Shapes on a plane as SurrealDB geometries, or as objects where a geometry cannot hold them. */
import { Decimal, type Shape, type Value } from '../../core/value.js'
import { type CborBuffer, cbor } from './cbor-buffer.js'
import { putGeoJson } from './cbor-geojson.js'
import { putBigInteger } from './cbor-number.js'
import type { CellSite, ValueForms } from './types.js'

type Coordinates = readonly number[]

const pointHead = Uint8Array.of(0xd8, 88, cbor.array | 2)
const lineTag = Uint8Array.of(0xd8, 89)
/** A polygon of one ring. SurrealDB closes an open ring. */
const polygonHead = Uint8Array.of(0xd8, 90, cbor.array | 1)
/** How many coordinates GeoJSON (RFC 7946) asks for. */
const lengthMin = { point: 2, line: 4, polygon: 6 } as const

/** Writes one shape in the form chosen, and counts those that had to become objects. */
export function putShape(buffer: CborBuffer, shape: Shape, form: ValueForms['geometry'], site: CellSite): void {
  if (shape.kind === 'other') {
    putPlain(buffer, shape.value)
    return
  }
  if (shape.kind === 'geojson') {
    if (form === 'geometry') {
      if (putGeoJson(buffer, shape.value)) return
      site.count('geometry')
    }
    putMembers(buffer, shape.value)
    return
  }
  const { kind, coordinates } = shape
  if (form === 'object') {
    putObject(buffer, kind, coordinates)
  } else if (coordinates.length >= lengthMin[kind] && coordinates.every(Number.isFinite)) {
    putGeometry(buffer, kind, coordinates)
  } else {
    site.count('geometry')
    putObject(buffer, kind, coordinates)
  }
}

function putGeometry(buffer: CborBuffer, kind: keyof typeof lengthMin, coordinates: Coordinates): void {
  if (kind === 'polygon') buffer.putRaw(polygonHead)
  if (kind !== 'point') {
    buffer.putRaw(lineTag)
    buffer.putHead(cbor.array, coordinates.length / 2)
  }
  for (let index = 0; index < coordinates.length; index += 2) {
    buffer.putRaw(pointHead)
    buffer.putFloat(coordinates[index] ?? 0)
    buffer.putFloat(coordinates[index + 1] ?? 0)
  }
}

function putObject(buffer: CborBuffer, kind: keyof typeof lengthMin, coordinates: Coordinates): void {
  if (kind !== 'point') {
    buffer.putHead(cbor.map, 1)
    buffer.putText('points')
    buffer.putHead(cbor.array, coordinates.length / 2)
  }
  for (let index = 0; index < coordinates.length; index += 2) {
    buffer.putHead(cbor.map, 2)
    buffer.putText('x')
    buffer.putFloat(coordinates[index] ?? 0)
    buffer.putText('y')
    buffer.putFloat(coordinates[index + 1] ?? 0)
  }
}

/** GeoJSON as an object: what is no coordinate is no float. */
function putMembers(buffer: CborBuffer, value: { readonly [name: string]: Value }): void {
  const names = Object.keys(value)
  buffer.putHead(cbor.map, names.length)
  for (const name of names) {
    const member = value[name] ?? null
    buffer.putText(name)
    if (name === 'srid' && typeof member === 'number') buffer.putInteger(member)
    else putPlain(buffer, member)
  }
}

/** A value without a type: every number is a float. */
function putPlain(buffer: CborBuffer, value: Value): void {
  if (value === null) buffer.putByte(cbor.null)
  else if (typeof value === 'number') buffer.putFloat(value)
  else if (typeof value === 'string') buffer.putText(value)
  else if (typeof value === 'boolean') buffer.putByte(value ? cbor.true : cbor.false)
  else if (typeof value === 'bigint') putBigInteger(buffer, value)
  else if (value instanceof Decimal) buffer.putText(value.text)
  else if (value instanceof Uint8Array) buffer.putBytes(value, 0, value.length)
  else if (isArray(value)) {
    buffer.putHead(cbor.array, value.length)
    for (const element of value) putPlain(buffer, element)
  } else {
    const names = Object.keys(value)
    buffer.putHead(cbor.map, names.length)
    for (const name of names) {
      buffer.putText(name)
      putPlain(buffer, value[name] ?? null)
    }
  }
}

function isArray(value: readonly Value[] | { readonly [name: string]: Value }): value is readonly Value[] {
  return Array.isArray(value)
}

/** One text for each shape, for record ids: SurrealDB 3.0 does not read every number in them back. */
export function shapeText(shape: Shape): string {
  return JSON.stringify('value' in shape ? shape.value : shape.coordinates, (_, part: unknown) => {
    if (typeof part !== 'number' || (Number.isFinite(part) && !Object.is(part, -0))) return part
    return Object.is(part, -0) ? '-0' : String(part)
  })
}
