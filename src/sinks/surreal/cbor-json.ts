/** JSON documents as CBOR: numbers stay exact, and what is nested too deeply becomes text. */
import { Decimal, type Json } from '../../core/value.js'
import { type CborBuffer, cbor } from './cbor-buffer.js'
import { putJsonNumber, putShortDecimal } from './cbor-number.js'
import type { CellSite } from './types.js'

/** SurrealDB refuses values nested beyond about 250 levels; rows and wrappers need some of them. */
const depthMax = 120

/**
 * Writes the document, or its JSON text if it is nested beyond 120 levels, or if it has an empty name within a record id,
 * which SurrealDB 3.0 cannot read back.
 */
export function putJson(buffer: CborBuffer, value: Json, site: CellSite, keyed: boolean): void {
  const start = buffer.position
  if (putNested(buffer, value, site, keyed, 0)) return
  buffer.position = start
  site.count('depth')
  buffer.putText(jsonText(value))
}

/** False: the document cannot be written, and the buffer holds a part of it. */
function putNested(buffer: CborBuffer, value: Json, site: CellSite, keyed: boolean, depth: number): boolean {
  if (typeof value === 'string') putJsonText(buffer, value, site)
  else if (typeof value === 'number') putJsonNumberValue(buffer, value, site, keyed)
  else if (value === null) buffer.putByte(cbor.null)
  else if (typeof value === 'boolean') buffer.putByte(value ? cbor.true : cbor.false)
  else if (typeof value === 'bigint' || value instanceof Decimal) putJsonNumberValue(buffer, value, site, keyed)
  else if (depth === depthMax) return false
  else if (isArray(value)) {
    buffer.putHead(cbor.array, value.length)
    for (const element of value) if (!putNested(buffer, element, site, keyed, depth + 1)) return false
  } else {
    const names = Object.keys(value)
    buffer.putHead(cbor.map, names.length)
    for (const name of names) {
      if (keyed && name === '') return false
      putJsonText(buffer, name, site)
      if (!putNested(buffer, value[name] ?? null, site, keyed, depth + 1)) return false
    }
  }
  return true
}

/** A number of a document. */
export function putJsonNumberValue(
  buffer: CborBuffer,
  value: number | bigint | Decimal,
  site: CellSite,
  keyed: boolean,
): void {
  if (typeof value === 'number' && Number.isSafeInteger(value)) buffer.putInteger(value)
  else if (typeof value === 'number' && !keyed && putShortDecimal(buffer, String(value))) return
  else if (typeof value === 'number' && !Number.isFinite(value)) buffer.putFloat(value)
  else if (!putJsonNumber(buffer, String(value), keyed)) site.count('decimal')
}

/** A text of a document, or the name of a member. */
export function putJsonText(buffer: CborBuffer, value: string, site: CellSite): void {
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
