/** Encodes keys as the CBOR (RFC 8949) that SurrealDB's `encoding::cbor::decode` reads: the inverse of the reader. */
import type { Coordinates, SurrealBound, SurrealValue } from './surreal-value.js'

const majors = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6 } as const
const tags = { none: 6, table: 7, record: 8, uuid: 9, decimal: 10, datetime: 12, duration: 14, range: 49 } as const
const boundTags = { inclusive: 50, exclusive: 51 } as const
const shapeTags: Readonly<Record<string, number>> = {
  Point: 88,
  LineString: 89,
  Polygon: 90,
  MultiPoint: 91,
  MultiLineString: 92,
  MultiPolygon: 93,
}
const nullByte = Uint8Array.of(0xf6)

/** The records of a table with these keys, as an array of record ids. */
export function encodeRecordIds(table: string, keys: readonly SurrealValue[]): Uint8Array {
  return Buffer.concat([head(majors.array, keys.length), ...keys.map((key) => recordId(table, encodeValue(key)))])
}

/** The records of a table behind a key, up to and including another. Undefined: no such end. */
export function encodeRecordRange(
  table: string,
  after: SurrealValue | undefined,
  upTo: SurrealValue | undefined,
): Uint8Array {
  const lower = after === undefined ? nullByte : tagged(boundTags.exclusive, encodeValue(after))
  const upper = upTo === undefined ? nullByte : tagged(boundTags.inclusive, encodeValue(upTo))
  return recordId(table, tagged(tags.range, list([lower, upper])))
}

/** The table itself. */
export function encodeTable(table: string): Uint8Array {
  return tagged(tags.table, text(table))
}

/** @throws Error for kinds that have no place in a key */
export function encodeValue(value: SurrealValue): Uint8Array {
  switch (value.kind) {
    case 'none':
      return tagged(tags.none, nullByte)
    case 'null':
      return nullByte
    case 'bool':
      return Uint8Array.of(value.text === 'true' ? 0xf5 : 0xf4)
    case 'int':
      return integer(BigInt(value.text))
    case 'float':
      return float(Number(value.text))
    case 'decimal':
      return tagged(tags.decimal, text(value.text))
    case 'string':
      return text(value.text)
    case 'bytes':
      return prefixed(majors.bytes, Buffer.from(value.text, 'hex'))
    case 'uuid':
      return tagged(tags.uuid, text(value.text))
    case 'datetime':
      return datetime(value.text)
    case 'duration': {
      const [, seconds = '0', nanos = '0'] = /^(\d+)s(?:(\d+)ns)?$/.exec(value.text) ?? []
      return tagged(tags.duration, list([integer(BigInt(seconds)), integer(BigInt(nanos))]))
    }
    case 'array':
      return list(value.elements.map(encodeValue))
    case 'object': {
      const fields = [...value.fields].flatMap(([name, field]) => [text(name), encodeValue(field)])
      return Buffer.concat([head(majors.map, value.fields.size), ...fields])
    }
    case 'range':
      return tagged(tags.range, list([bound(value.lower), bound(value.upper)]))
    case 'record':
      return recordId(value.table, encodeValue(value.key))
    case 'geometry':
      return geometry(value.shape, value.coordinates)
  }
}

function recordId(table: string, key: Uint8Array): Uint8Array {
  return tagged(tags.record, list([text(table), key]))
}

function bound(end: SurrealBound | undefined): Uint8Array {
  return end === undefined ? nullByte : tagged(boundTags[end.kind], encodeValue(end.value))
}

function datetime(iso: string): Uint8Array {
  const [, whole = '', fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(iso) ?? []
  const seconds = integer(BigInt(Date.parse(`${whole}Z`) / 1_000))
  return tagged(tags.datetime, list([seconds, integer(BigInt(fraction.padEnd(9, '0')))]))
}

function geometry(shape: string, coordinates: Coordinates): Uint8Array {
  const tag = shapeTags[shape]
  if (tag === undefined || typeof coordinates === 'number') throw new Error(`A ${shape} cannot be a part of a key.`)
  const inner = { LineString: 'Point', Polygon: 'LineString' }[shape] ?? shape.replace('Multi', '')
  const part = (each: Coordinates) => (typeof each === 'number' ? float(each) : geometry(inner, each))
  return tagged(tag, list(coordinates.map(part)))
}

function list(elements: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([head(majors.array, elements.length), ...elements])
}

function text(value: string): Uint8Array {
  return prefixed(majors.text, Buffer.from(value))
}

function prefixed(major: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([head(major, bytes.length), bytes])
}

function tagged(tag: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([head(majors.tag, tag), value])
}

function float(value: number): Uint8Array {
  const bytes = Buffer.alloc(9)
  bytes[0] = 0xfb
  bytes.writeDoubleBE(value, 1)
  return bytes
}

function integer(value: bigint): Uint8Array {
  return value < 0n ? head(majors.negative, -1n - value) : head(majors.unsigned, value)
}

function head(major: number, argument: number | bigint): Uint8Array {
  if (argument < 24) return Uint8Array.of((major << 5) | Number(argument))
  const bytes = Buffer.alloc(9)
  bytes[0] = (major << 5) | 27
  bytes.writeBigUInt64BE(BigInt(argument), 1)
  return bytes
}
