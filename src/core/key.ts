/** Equality of keys as record ids see it. */
import type { Key } from './batch.js'
import { parseTimestamp } from './calendar.js'
import { canonicalDecimal } from './decimal.js'
import { parseDuration } from './duration.js'
import { Decimal, type LogicalType, type Value } from './value.js'

/** Whether two keys lead to one record: 1.0 and 1.00 do, 0 and -0 do, 1 and '1' do not. */
export function sameKey(a: Key, b: Key, types: readonly LogicalType[]): boolean {
  return canonicalKeyText(a, types) === canonicalKeyText(b, types)
}

/** One text for all keys that are the same. Only for comparisons: its form may change between versions. */
export function canonicalKeyText(key: Key, types: readonly LogicalType[]): string {
  let text = ''
  for (let index = 0; index < key.length; index += 1) {
    if (index > 0) text += ','
    text += canonicalText(key[index] ?? null, types[index] ?? { kind: 'text' })
  }
  return text
}

/** Texts of different kinds of values begin differently; only strings contain free text, and those are quoted. */
function canonicalText(value: Value, type: LogicalType): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return textOf(value, type)
  if (typeof value === 'number') return numberText(value, type)
  if (typeof value === 'bigint') return type.kind === 'float' ? `f${Number(value)}` : `${numberPrefix(type)}${value}`
  if (typeof value === 'boolean') return String(value)
  if (value instanceof Uint8Array)
    return `x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  if (value instanceof Decimal) return `d${canonicalDecimal(value.text) ?? JSON.stringify(value.text)}`
  if (isArray(value)) return `[${value.map((item) => canonicalText(item, elementType(type, item))).join(',')}]`
  return objectText(value, type)
}

function textOf(text: string, type: LogicalType): string {
  switch (type.kind) {
    case 'decimal':
      return `d${canonicalDecimal(text) ?? JSON.stringify(text)}`
    case 'uuid':
      return JSON.stringify(text.toLowerCase())
    case 'date':
    case 'timestamp': {
      const instant = parseTimestamp(text)
      return instant === undefined ? JSON.stringify(text) : `t${instant.seconds}.${instant.nanos}`
    }
    case 'interval':
      return intervalText(text)
    default:
      return JSON.stringify(text)
  }
}

/** Without months and signs an interval is a duration, to which one day is 24 hours; otherwise it stays what it is. */
function intervalText(text: string): string {
  const duration = parseDuration(text)
  if (duration === undefined) return JSON.stringify(text)
  const { months, days, micros } = duration
  if (months === 0 && days >= 0 && micros >= 0n) return `p${BigInt(days) * 86_400_000_000n + micros}`
  return `p${months}m${days}d${micros}`
}

function numberText(value: number, type: LogicalType): string {
  // -0 is 0, also for String(); NaN equals itself here.
  if (type.kind === 'decimal') return `d${canonicalDecimal(String(value)) ?? String(value)}`
  if (type.kind === 'float' || !Number.isInteger(value)) return `f${value === 0 ? 0 : value}`
  return `${numberPrefix(type)}${BigInt(value)}`
}

function numberPrefix(type: LogicalType): string {
  return type.kind === 'decimal' ? 'd' : 'i'
}

/** Arrays of more than one dimension repeat the array's type. */
function elementType(type: LogicalType, item: Value): LogicalType {
  if (type.kind !== 'array') return type.kind === 'json' ? type : { kind: 'text' }
  return isArray(item) && type.element.kind !== 'array' ? type : type.element
}

function objectText(object: { readonly [name: string]: Value }, type: LogicalType): string {
  const parts = Object.keys(object)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalText(object[name] ?? null, memberType(type, name))}`)
  return `{${parts.join(',')}}`
}

function memberType(type: LogicalType, name: string): LogicalType {
  if (type.kind === 'object') return type.fields.find((field) => field.name === name)?.type ?? { kind: 'text' }
  if (type.kind === 'range') return name === 'lower' || name === 'upper' ? type.element : { kind: 'text' }
  return type.kind === 'json' ? type : { kind: 'text' }
}

function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}
