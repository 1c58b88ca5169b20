/** JSON documents as CBOR: numbers stay exact, and what is nested too deeply becomes text. */
import { Decimal, type Json } from '../../core/value.js'
import { type CborBuffer, cbor } from './cbor-buffer.js'
import { isExactDecimal, normalizeDecimal, plainDecimal } from './decimal.js'
import type { CellSite } from './types.js'

/** SurrealDB refuses values nested beyond about 250 levels; rows and wrappers need some of them. */
const depthMax = 120
const decimalTag = 10
/** Longer texts may have more zeros than SurrealDB's parser takes. */
const longDecimal = 28
const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n

/** Writes the document, or its JSON text if it is nested beyond 120 levels. */
export function putJson(buffer: CborBuffer, value: Json, site: CellSite): void {
  const start = buffer.position
  if (putNested(buffer, value, site, 0)) return
  buffer.position = start
  site.count('depth')
  buffer.putText(jsonText(value))
}

export function isInt64(value: bigint): boolean {
  return value >= int64Min && value <= int64Max
}

/** A 64-bit integer, or the decimal or text that holds a larger one. */
export function putBigInteger(buffer: CborBuffer, value: bigint, site: CellSite): void {
  if (isInt64(value)) {
    buffer.putBigInt(value)
    return
  }
  site.count('integer')
  putExact(buffer, String(value))
}

/** A decimal, if that keeps every digit; otherwise text. False: it became text. */
export function putExact(buffer: CborBuffer, plain: string): boolean {
  const exact = isExactDecimal(plain)
  if (exact) buffer.putTag(decimalTag)
  buffer.putText(exact && plain.length > longDecimal ? normalizeDecimal(plain) : plain)
  return exact
}

/** False: nested too deeply, and the buffer holds a part of the document. */
function putNested(buffer: CborBuffer, value: Json, site: CellSite, depth: number): boolean {
  if (typeof value === 'string') putJsonText(buffer, value, site)
  else if (typeof value === 'number') putNumber(buffer, value)
  else if (value === null) buffer.putByte(cbor.null)
  else if (typeof value === 'boolean') buffer.putByte(value ? cbor.true : cbor.false)
  else if (typeof value === 'bigint') putBigInteger(buffer, value, site)
  else if (value instanceof Decimal) putJsonDecimal(buffer, value, site)
  else if (depth === depthMax) return false
  else if (isArray(value)) {
    buffer.putHead(cbor.array, value.length)
    for (const element of value) if (!putNested(buffer, element, site, depth + 1)) return false
  } else {
    const names = Object.keys(value)
    buffer.putHead(cbor.map, names.length)
    for (const name of names) {
      putJsonText(buffer, name, site)
      if (!putNested(buffer, value[name] ?? null, site, depth + 1)) return false
    }
  }
  return true
}

function putNumber(buffer: CborBuffer, value: number): void {
  if (Number.isSafeInteger(value)) {
    buffer.putInteger(value)
    return
  }
  const plain = plainDecimal(String(value))
  if (plain === undefined || !isExactDecimal(plain)) buffer.putFloat(value)
  else putExact(buffer, plain)
}

function putJsonDecimal(buffer: CborBuffer, value: Decimal, site: CellSite): void {
  const plain = plainDecimal(value.text)
  if (plain === undefined) {
    buffer.putText(value.text)
    site.count('decimal')
  } else if (!putExact(buffer, plain)) site.count('decimal')
}

function putJsonText(buffer: CborBuffer, value: string, site: CellSite): void {
  if (!value.isWellFormed()) site.count('text')
  buffer.putText(value)
}

function jsonText(value: Json): string {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Decimal) return value.text
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isArray(value)) return `[${value.map(jsonText).join(',')}]`
  const members = Object.keys(value).map((name) => `${JSON.stringify(name)}:${jsonText(value[name] ?? null)}`)
  return `{${members.join(',')}}`
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
