/** From a record id back to the key of a row: the inverse of what the writer does. */
import { BoundExcluded, BoundIncluded, DateTime, Duration, Range, Decimal as SurrealDecimal, Uuid } from 'surrealdb'
import { bareObject } from '../../core/bare-object.js'
import type { Key } from '../../core/batch.js'
import { dateText, timestampText } from '../../core/calendar.js'
import { canonicalDecimal } from '../../core/decimal.js'
import { durationText } from '../../core/duration.js'
import type { Table } from '../../core/schema.js'
import { Decimal, type LogicalType, type RangeBound, type Value } from '../../core/value.js'
import { keyNumber } from './key-forms.js'

const secondsPerDay = 86_400

/** Whether the keys of this table can be read back out of record ids. Geometries cannot. */
export function isReadableKey(table: Table): boolean {
  return table.key.every(({ type }) => isReadable(type))
}

/** The key behind the key part of a record id, or undefined if it cannot be a key of this table. */
export function readKey(table: Table, bare: boolean, id: unknown): Key | undefined {
  const cells = bare ? [id] : id
  if (!Array.isArray(cells) || cells.length !== table.key.length) return undefined
  const key: Value[] = []
  for (const [index, { type }] of table.key.entries()) {
    const value = readCell(cells[index], type)
    if (value === undefined || (value === null && type.kind !== 'json')) return undefined
    key.push(value)
  }
  return key
}

function isReadable(type: LogicalType): boolean {
  if (type.kind === 'array') return isReadable(type.element)
  if (type.kind === 'object') return type.fields.every((field) => isReadable(field.type))
  if (type.kind === 'range') return isReadable(type.element)
  return type.kind !== 'geometry'
}

/** `undefined`: not a value of this type. */
function readCell(cell: unknown, type: LogicalType): Value | undefined {
  if (cell === null) return null
  switch (type.kind) {
    case 'boolean':
      return typeof cell === 'boolean' ? cell : undefined
    case 'integer':
      return readInteger(cell)
    case 'float':
      return readFloat(cell)
    case 'decimal':
      return readDecimal(cell)
    case 'text':
    case 'time':
      return typeof cell === 'string' ? cell : undefined
    case 'uuid':
      return cell instanceof Uuid ? cell.toString() : typeof cell === 'string' ? cell : undefined
    case 'bytes':
      return cell instanceof ArrayBuffer ? new Uint8Array(cell) : cell instanceof Uint8Array ? cell : undefined
    case 'date':
    case 'timestamp':
      return readDatetime(cell, type.kind)
    case 'interval':
      return readInterval(cell)
    case 'json':
      return readJson(cell)
    case 'array':
      return readArray(cell, type.element)
    case 'dictionary':
      return readMembers(cell, () => ({ kind: 'text' }))
    case 'object':
      return readMembers(cell, (name) => type.fields.find((field) => field.name === name)?.type)
    case 'range':
      return readRange(cell, type.element)
    case 'geometry':
      return undefined
  }
}

/** Integers beyond 64 bits are text. */
function readInteger(cell: unknown): Value | undefined {
  if (typeof cell === 'number') return Number.isInteger(cell) ? cell : undefined
  if (typeof cell === 'bigint') return cell
  return typeof cell === 'string' && /^-?\d+$/.test(cell) ? BigInt(cell) : undefined
}

/** Floats are text in a record id. */
function readFloat(cell: unknown): Value | undefined {
  const value = typeof cell === 'string' && cell !== '' ? Number(cell) : undefined
  return value !== undefined && keyNumber(value) === cell ? value : undefined
}

/** Those that do not fit are text, and those that are not finite are floats. */
function readDecimal(cell: unknown): Value | undefined {
  if (cell instanceof SurrealDecimal) return cell.toString()
  if (typeof cell === 'number' && !Number.isFinite(cell)) return String(cell)
  return typeof cell === 'string' && /^-?\d+(\.\d+)?$/.test(cell) ? cell : undefined
}

function readDatetime(cell: unknown, kind: 'date' | 'timestamp'): Value | undefined {
  if (typeof cell === 'string') return /^(-?infinity$|[-+]?\d{4})/.test(cell) ? cell : undefined
  if (!(cell instanceof DateTime)) return undefined
  const [wholeSeconds, nanos] = cell.toCompact()
  const seconds = Number(wholeSeconds)
  if (kind === 'timestamp') return timestampText(seconds, Number(nanos))
  return seconds % secondsPerDay === 0 ? dateText(seconds / secondsPerDay) : undefined
}

function readInterval(cell: unknown): Value | undefined {
  if (typeof cell === 'string') return cell.startsWith('P') ? cell : undefined
  if (cell instanceof Duration) return durationText(0, 0, cell.nanoseconds / 1000n)
  const parts = readMembers(cell, () => ({ kind: 'integer' }))
  if (parts === undefined || parts === null || typeof parts !== 'object') return undefined
  const { months, days, microseconds } = parts as { readonly [name: string]: Value }
  if (typeof months !== 'number' || typeof days !== 'number') return undefined
  if (typeof microseconds !== 'number' && typeof microseconds !== 'bigint') return undefined
  return durationText(months, days, BigInt(microseconds))
}

function readJson(cell: unknown): Value | undefined {
  if (cell === null || typeof cell === 'string' || typeof cell === 'boolean') return cell
  if (typeof cell === 'number' || typeof cell === 'bigint') return cell
  if (cell instanceof SurrealDecimal) return jsonNumber(cell.toString())
  return Array.isArray(cell) ? readArray(cell, { kind: 'json' }) : readMembers(cell, () => ({ kind: 'json' }))
}

/** A number, if that prints the same, as the source has it. */
function jsonNumber(text: string): Value {
  const value = Number(text)
  return canonicalDecimal(String(value)) === canonicalDecimal(text) ? value : new Decimal(text)
}

function readArray(cell: unknown, element: LogicalType): Value | undefined {
  if (!Array.isArray(cell)) return undefined
  const values: Value[] = []
  for (const member of cell) {
    // Arrays of more dimensions are nested arrays of the same element.
    const value =
      Array.isArray(member) && element.kind !== 'json' ? readArray(member, element) : readCell(member, element)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

/** Either a range, or the object that the option `ranges` asked for, or the text for an empty one. */
function readRange(cell: unknown, element: LogicalType): Value | undefined {
  if (cell === 'empty') return cell
  if (cell instanceof Range) {
    const [lower, lowerBound] = readBound(cell.begin, element)
    const [upper, upperBound] = readBound(cell.end, element)
    return lower === undefined || upper === undefined ? undefined : { lower, lowerBound, upper, upperBound }
  }
  if (typeof cell !== 'object' || cell === null || !isPlain(cell)) return undefined
  if (Reflect.get(cell, 'empty') === true) return 'empty'
  const bounds = Reflect.get(cell, 'bounds')
  const lower = readCell(Reflect.get(cell, 'lower'), element)
  const upper = readCell(Reflect.get(cell, 'upper'), element)
  if (typeof bounds !== 'string' || lower === undefined || upper === undefined) return undefined
  return {
    lower,
    lowerBound: lower === null ? 'unbounded' : bounds.startsWith('[') ? 'inclusive' : 'exclusive',
    upper,
    upperBound: upper === null ? 'unbounded' : bounds.endsWith(']') ? 'inclusive' : 'exclusive',
  }
}

function readBound(bound: unknown, element: LogicalType): readonly [Value | undefined, RangeBound] {
  if (bound instanceof BoundIncluded) return [readCell(bound.value, element), 'inclusive']
  if (bound instanceof BoundExcluded) return [readCell(bound.value, element), 'exclusive']
  return [null, 'unbounded']
}

function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype
}

function readMembers(cell: unknown, typeOf: (name: string) => LogicalType | undefined): Value | undefined {
  if (typeof cell !== 'object' || cell === null || !isPlain(cell)) return undefined
  const members = bareObject()
  for (const [name, member] of Object.entries(cell)) {
    const type = typeOf(name)
    const value = type === undefined ? undefined : readCell(member, type)
    if (value === undefined) return undefined
    members[name] = value
  }
  return members
}
