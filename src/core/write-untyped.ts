/** Writes a value by what it is in JavaScript. */
import { plainDecimal } from './decimal.js'
import { Decimal, type Json, type Value, type ValueWriter } from './value.js'

/** Deeper values, such as objects that contain themselves, are cut off. */
const depthMax = 1_000

/**
 * Strings as strings, numbers as integers if they are safe ones and floats otherwise, in arrays of numbers too; other arrays
 * and objects as JSON, or part by part where JSON has no such value. What is no {@link Value} at all becomes one: a `Date` a timestamp, an object with
 * `toJSON` what that returns, anything else null.
 */
export function writeUntyped(value: unknown, writer: ValueWriter, depth = 0): void {
  if (typeof value === 'string') writer.string(value)
  else if (typeof value === 'number') writeNumber(value, writer)
  else if (typeof value === 'bigint') writer.integer(value)
  else if (typeof value === 'boolean') writer.boolean(value)
  else if (value instanceof Uint8Array) writer.bytes(value, 0, value.byteLength)
  else if (value instanceof Decimal) writeDecimal(value, writer)
  else if (value instanceof Date) writeDate(value, writer)
  else if (typeof value !== 'object' || value === null || depth > depthMax) writer.null()
  else if (isVector(value)) writeParts(value, writer, depth)
  else if (isJson(value, depth)) writer.json(value)
  else if (Array.isArray(value)) writeParts(value, writer, depth)
  else writeObject(value, writer, depth)
}

/** An object made of names and values, and nothing more: no class of its own. */
export function isPlainObject(value: unknown): value is { readonly [name: string]: Value } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** Whether it consists of what JSON can say, exact numbers included. */
export function isJson(value: unknown, depth = 0): value is Json {
  if (depth > depthMax) return false
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
      return true
    case 'object':
      if (value === null || value instanceof Decimal) return true
      if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1))
      return isPlainObject(value) && Object.values(value).every((item) => isJson(item, depth + 1))
    default:
      return false
  }
}

/** Such as an embedding. */
function isVector(value: object): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === 'number')
}

function writeNumber(value: number, writer: ValueWriter): void {
  if (Number.isSafeInteger(value)) writer.integer(value === 0 ? 0 : value)
  else writer.float(value)
}

function writeDecimal(value: Decimal, writer: ValueWriter): void {
  const text = plainDecimal(value.text)
  if (text === undefined) writer.string(value.text)
  else writer.decimal(text)
}

function writeDate(value: Date, writer: ValueWriter): void {
  const milliseconds = value.getTime()
  const seconds = Math.floor(milliseconds / 1000)
  if (Number.isNaN(milliseconds)) writer.null()
  else writer.timestamp(seconds, Math.round(milliseconds - seconds * 1000) * 1_000_000)
}

function writeParts(values: readonly unknown[], writer: ValueWriter, depth: number): void {
  writer.array(values.length)
  for (let index = 0; index < values.length; index += 1) writeUntyped(values[index], writer, depth + 1)
}

function writeObject(value: object, writer: ValueWriter, depth: number): void {
  if (hasToJson(value)) writeUntyped(jsonOf(value), writer, depth + 1)
  else writeEntries(Object.entries(value), writer, depth)
}

function writeEntries(entries: readonly (readonly [string, unknown])[], writer: ValueWriter, depth: number): void {
  writer.object(entries.length)
  for (const [name, part] of entries) {
    writer.name(name)
    writeUntyped(part, writer, depth + 1)
  }
}

function hasToJson(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function'
}

function jsonOf(value: { toJSON(): unknown }): unknown {
  try {
    return value.toJSON()
  } catch {
    return null
  }
}
