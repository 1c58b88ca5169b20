/**
 * Decodes the CBOR (RFC 8949) that SurrealDB's `encoding::cbor::encode` makes, without losing kinds: the SDK's own
 * decoder returns the same JavaScript number for `1` and `1f`, and loses fields called `__proto__`. The tags are those of
 * https://surrealdb.com/docs/surrealdb/integration/cbor.
 */
import { parseDecimal, printDecimal } from './decimal.js'
import {
  array,
  type Coordinates,
  datetime,
  duration,
  float,
  object,
  type SurrealBound,
  type SurrealValue,
  scalar,
  surrealNull,
} from './surreal-value.js'

/** Decodes one value that fills the bytes. @throws Error for what SurrealDB does not send */
export function decodeCbor(bytes: Uint8Array): SurrealValue {
  const reader = new CborReader(bytes)
  const value = reader.value()
  if (!reader.ended) throw new Error('There are bytes after the end of a value.')
  return value
}

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const shapes: Readonly<Record<number, string>> = {
  88: 'Point',
  89: 'LineString',
  90: 'Polygon',
  91: 'MultiPoint',
  92: 'MultiLineString',
  93: 'MultiPolygon',
}

class CborReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get ended(): boolean {
    return this.#offset === this.#bytes.length
  }

  value(): SurrealValue {
    const first = this.#view.getUint8(this.#offset)
    this.#offset += 1
    const [major, info] = [first >> 5, first & 31]
    switch (major) {
      case 0:
        return scalar('int', String(this.#argument(info)))
      case 1:
        return scalar('int', String(-1n - this.#argument(info)))
      case 2:
        return scalar('bytes', Buffer.from(this.#take(this.#length(info))).toString('hex'))
      case 3:
        return scalar('string', text.decode(this.#take(this.#length(info))))
      case 4:
        return array(this.#values(this.#length(info)))
      case 5:
        return object(this.#fields(this.#length(info)))
      case 6:
        return this.#tagged(Number(this.#argument(info)))
      default:
        return this.#simple(info)
    }
  }

  #simple(info: number): SurrealValue {
    switch (info) {
      case 20:
      case 21:
        return scalar('bool', String(info === 21))
      case 22:
        return surrealNull
      case 25:
        return float(half(this.#view.getUint16(this.#skip(2))))
      case 26:
        return float(this.#view.getFloat32(this.#skip(4)))
      case 27:
        return float(this.#view.getFloat64(this.#skip(8)))
      default:
        throw new Error(`CBOR simple value ${info} is not expected.`)
    }
  }

  #tagged(tag: number): SurrealValue {
    switch (tag) {
      case 6:
        this.value()
        return { kind: 'none' }
      case 8: {
        const [table, key] = elements(this.value())
        if (table?.kind !== 'string' || key === undefined) throw new Error('A record id has a table and a key.')
        return { kind: 'record', table: table.text, key }
      }
      case 9:
        return scalar('uuid', string(this.value()))
      case 10:
        return scalar('decimal', printDecimal(parseDecimal(string(this.value()))))
      case 12: {
        const [seconds = 0n, nanos = 0n] = elements(this.value()).map(integer)
        return datetime(Number(seconds), Number(nanos))
      }
      case 14: {
        const [seconds = 0n, nanos = 0n] = elements(this.value()).map(integer)
        return duration(seconds, nanos)
      }
      case 37:
        return uuid(this.value())
      case 49:
        return this.#range()
      default:
        return this.#shape(tag)
    }
  }

  #range(): SurrealValue {
    if (this.#length(this.#view.getUint8(this.#skip(1)) & 31) !== 2) throw new Error('A range has two bounds.')
    return { kind: 'range', lower: this.#bound(), upper: this.#bound() }
  }

  #bound(): SurrealBound | undefined {
    const tag = this.#view.getUint8(this.#offset) === 0xd8 ? this.#view.getUint8(this.#offset + 1) : undefined
    if (tag !== 50 && tag !== 51) {
      this.value()
      return undefined
    }
    this.#skip(2)
    return { kind: tag === 50 ? 'inclusive' : 'exclusive', value: this.value() }
  }

  #shape(tag: number): SurrealValue {
    const shape = shapes[tag]
    if (shape === undefined) throw new Error(`CBOR tag ${tag} is not expected.`)
    return { kind: 'geometry', shape, coordinates: coordinates(this.value()) }
  }

  #values(length: number): SurrealValue[] {
    return Array.from({ length }, () => this.value())
  }

  #fields(length: number): [string, SurrealValue][] {
    return Array.from({ length }, () => [string(this.value()), this.value()])
  }

  #argument(info: number): bigint {
    if (info < 24) return BigInt(info)
    if (info === 24) return BigInt(this.#view.getUint8(this.#skip(1)))
    if (info === 25) return BigInt(this.#view.getUint16(this.#skip(2)))
    if (info === 26) return BigInt(this.#view.getUint32(this.#skip(4)))
    if (info === 27) return this.#view.getBigUint64(this.#skip(8))
    throw new Error('CBOR of indefinite length is not expected.')
  }

  #length(info: number): number {
    return info < 24 ? info : Number(this.#argument(info))
  }

  #take(length: number): Uint8Array {
    const start = this.#skip(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** Moves on and returns where it was. */
  #skip(length: number): number {
    const start = this.#offset
    this.#offset += length
    if (this.#offset > this.#bytes.length) throw new Error('A value ends too early.')
    return start
  }
}

/** IEEE 754 half precision, which the encoder uses for floats that fit. */
function half(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023]
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function elements(value: SurrealValue): readonly SurrealValue[] {
  if (value.kind !== 'array') throw new Error(`An array was expected, not ${value.kind}.`)
  return value.elements
}

function string(value: SurrealValue): string {
  if (value.kind !== 'string') throw new Error(`A string was expected, not ${value.kind}.`)
  return value.text
}

function integer(value: SurrealValue): bigint {
  if (value.kind !== 'int') throw new Error(`An integer was expected, not ${value.kind}.`)
  return BigInt(value.text)
}

function uuid(value: SurrealValue): SurrealValue {
  if (value.kind !== 'bytes') throw new Error('A uuid has sixteen bytes.')
  return scalar('uuid', value.text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
}

function coordinates(value: SurrealValue): Coordinates {
  if (value.kind === 'float' || value.kind === 'int') return Number(value.text)
  if (value.kind === 'geometry') return value.coordinates
  return elements(value).map(coordinates)
}
