/** Values as JSON text from which they can be told exactly, given the column's type. */
import type { Row } from '../../core/batch.js'
import { Decimal, type Value } from '../../core/value.js'

/**
 * One JSON value. Integers have all their digits, however many; a {@link Decimal} is written as it is; bytes are base64; what
 * JSON has no number for (`NaN`, `Infinity`, `-Infinity`) is text.
 */
export function jsonText(value: Value | Row): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Decimal) return isJsonNumber(value.text) ? value.text : JSON.stringify(value.text)
  if (value instanceof Uint8Array) {
    return JSON.stringify(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'))
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null)
  if (isList(value)) return `[${value.map(jsonText).join(',')}]`
  return `{${Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`)
    .join(',')}}`
}

/** The shortest text that reads back as this number. */
function numberText(value: number): string {
  if (Object.is(value, -0)) return '-0'
  return Number.isFinite(value) ? String(value) : `"${value}"`
}

function isJsonNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(value: Value | Row): value is readonly Value[] {
  return Array.isArray(value)
}
