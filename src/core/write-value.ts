/** Hands a JavaScript value to a writer, for rows that exist as objects. */
import { parseDate, parseTimestamp } from './calendar.js'
import { plainDecimal } from './decimal.js'
import { parseDuration } from './duration.js'
import { Decimal, type LogicalType, type Value, type ValueWriter } from './value.js'
import { isShape, rangeOf } from './value-shapes.js'
import { isJson, isPlainObject, writeUntyped } from './write-untyped.js'

/**
 * Writes one cell of this type, just as the source that the value came from would have. A value that does not fit the
 * type, as a transform may give, is written by what it is in JavaScript; nothing makes this throw.
 */
export function writeValue(value: Value, type: LogicalType, writer: ValueWriter): void {
  if (value === null || value === undefined) writer.null()
  else if (!writeTyped(value, type, writer)) writeUntyped(value, writer)
}

/** False, with nothing written: the value does not fit the type. */
function writeTyped(value: Exclude<Value, null>, type: LogicalType, writer: ValueWriter): boolean {
  switch (type.kind) {
    case 'float':
      return writeFloat(value, writer)
    case 'decimal':
      return writeDecimal(value, writer)
    case 'uuid':
      return typeof value === 'string' && writeUuid(value, writer)
    case 'date':
      return typeof value === 'string' && writeDate(value, writer)
    case 'timestamp':
      return typeof value === 'string' && writeTimestamp(value, writer)
    case 'interval':
      return typeof value === 'string' && writeInterval(value, writer)
    case 'geometry':
      if (!isShape(value)) return false
      writer.geometry(value)
      return true
    case 'array':
      return isArray(value) && writeArray(value, type, writer)
    case 'range':
      return writeRange(value, type.element, writer)
    case 'object':
      return isPlainObject(value) && writeObject(value, type.fields, writer)
    case 'dictionary':
      return isPlainObject(value) && writeObject(value, [], writer)
    case 'json':
      if (!isJson(value)) return false
      writer.json(value)
      return true
    case 'boolean':
    case 'integer':
    case 'text':
    case 'time':
    case 'bytes':
      return false
  }
}

function writeFloat(value: Value, writer: ValueWriter): boolean {
  if (typeof value !== 'number') return false
  writer.float(value)
  return true
}

function writeDecimal(value: Value, writer: ValueWriter): boolean {
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  if (!isNumber && typeof value !== 'string' && !(value instanceof Decimal)) return false
  const text = plainDecimal(Object.is(value, -0) ? '0' : String(value))
  if (text === undefined) return false
  writer.decimal(text)
  return true
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const uuidBytes = new Uint8Array(16)

function writeUuid(text: string, writer: ValueWriter): boolean {
  if (!uuidPattern.test(text)) return false
  const hex = text.replaceAll('-', '')
  for (let index = 0; index < 16; index += 1)
    uuidBytes[index] = Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16)
  writer.uuid(uuidBytes, 0)
  return true
}

function writeDate(text: string, writer: ValueWriter): boolean {
  const days = parseDate(text)
  if (days === undefined) return writeInfinity(text, writer)
  writer.date(days)
  return true
}

function writeTimestamp(text: string, writer: ValueWriter): boolean {
  const instant = parseTimestamp(text)
  if (instant === undefined) return writeInfinity(text, writer)
  writer.timestamp(instant.seconds, instant.nanos)
  return true
}

function writeInterval(text: string, writer: ValueWriter): boolean {
  const duration = parseDuration(text)
  if (duration === undefined) return writeInfinity(text, writer)
  writer.interval(duration.months, duration.days, duration.micros)
  return true
}

function writeInfinity(text: string, writer: ValueWriter): boolean {
  if (text !== 'infinity' && text !== '-infinity') return false
  writer.infinity(text === '-infinity')
  return true
}

/** An array inside an array of something else is the next dimension, and repeats the array's type. */
function writeArray(
  values: readonly Value[],
  type: LogicalType & { readonly kind: 'array' },
  writer: ValueWriter,
): boolean {
  writer.array(values.length)
  const nests = type.element.kind !== 'array' && type.element.kind !== 'json'
  for (const value of values) writeValue(value, nests && Array.isArray(value) ? type : type.element, writer)
  return true
}

function writeRange(value: Value, element: LogicalType, writer: ValueWriter): boolean {
  if (value === 'empty') {
    writer.emptyRange()
    return true
  }
  const range = rangeOf(value)
  if (range === undefined) return false
  writer.range(range.lowerBound, range.upperBound)
  if (range.lowerBound !== 'unbounded') writeValue(range.lower, element, writer)
  if (range.upperBound !== 'unbounded') writeValue(range.upper, element, writer)
  return true
}

const text: LogicalType = { kind: 'text' }

function writeObject(
  object: { readonly [name: string]: Value },
  fields: readonly { readonly name: string; readonly type: LogicalType }[],
  writer: ValueWriter,
): boolean {
  const names = Object.keys(object)
  writer.object(names.length)
  for (const [index, name] of names.entries()) {
    // The fields are in order, unless a transform made the object.
    const field = fields[index]?.name === name ? fields[index] : fields.find((it) => it.name === name)
    writer.name(name)
    writeValue(object[name] ?? null, field?.type ?? text, writer)
  }
  return true
}

function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}
