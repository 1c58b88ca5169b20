/** Compares a config with its schema. Errors point at the key and never show a value. */
import { SyncError } from '../index.js'
import type { ConfigSchema } from './config-schema.js'

interface Flaw {
  readonly path: readonly string[]
  readonly what: string
  readonly hint?: string
}

/** @throws SyncError `E_CONFIG` */
export function checkConfig(config: unknown, schema: ConfigSchema, file: string): void {
  const flaw = flawOf(config, schema, [])
  if (flaw === undefined) return
  const where = flaw.path.length === 0 ? '' : `${keyText(flaw.path)}: `
  throw new SyncError('E_CONFIG', `${file}: ${where}${flaw.what}`, flaw.hint === undefined ? {} : { hint: flaw.hint })
}

/** `tables.users.mask.email`, `tables["shop.orders"].where`, `schemas[0]` */
export function keyText(path: readonly string[]): string {
  const parts = path.map((key) => {
    if (/^\d+$/.test(key)) return `[${key}]`
    return /^[\w$-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  })
  return parts.join('').replace(/^\./, '')
}

function flawOf(value: unknown, schema: ConfigSchema, path: readonly string[]): Flaw | undefined {
  if (schema.anyOf !== undefined) return alternativeFlaw(value, schema.anyOf, path)
  if (!isOfType(value, schema)) return { path, what: `must be ${describe(schema)}` }
  if (Array.isArray(value)) {
    const { items = {} } = schema
    return first(value.entries(), ([index, item]) => flawOf(item, items, [...path, String(index)]))
  }
  if (typeof value === 'object' && value !== null && schema.type === 'object') return objectFlaw(value, schema, path)
  return undefined
}

/** Where only one alternative is of the value's type, what is wrong is within that one. */
function alternativeFlaw(value: unknown, anyOf: readonly ConfigSchema[], path: readonly string[]): Flaw | undefined {
  const flaws = anyOf.map((schema) => flawOf(value, schema, path))
  if (flaws.includes(undefined)) return undefined
  const near = anyOf.findIndex(({ type }) => type !== undefined && type === typeOf(value))
  return (
    flaws[near] ?? {
      path,
      what: `must be ${[...new Set(anyOf.flatMap((one) => one.enum ?? describe(one)))].join(' or ')}`,
    }
  )
}

function objectFlaw(value: object, schema: ConfigSchema, path: readonly string[]): Flaw | undefined {
  const { properties = {}, additionalProperties, required = [], minProperties = 0 } = schema
  const missing = required.find((name) => !Object.hasOwn(value, name))
  if (missing !== undefined) return { path: [...path, missing], what: 'is missing' }
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  if (entries.length < minProperties) return { path, what: 'is empty' }
  return first(entries, ([name, member]) => {
    const at = [...path, name]
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (known !== undefined) return flawOf(member, known, at)
    if (typeof additionalProperties === 'object') return flawOf(member, additionalProperties, at)
    return { path: at, what: 'there is no such key', hint: hintOf(name, Object.keys(properties)) }
  })
}

function isOfType(value: unknown, schema: ConfigSchema): boolean {
  const { type, enum: words, minimum = -Infinity, maximum = Infinity, minLength = 0, code } = schema
  if (code === true && type === undefined) return isCode(value)
  if (words !== undefined) return typeof value === 'string' && words.includes(value)
  if (type === undefined) return true
  if (type === 'integer') return Number.isSafeInteger(value) && Number(value) >= minimum && Number(value) <= maximum
  return typeOf(value) === type && (typeof value !== 'string' || value.length >= minLength)
}

function isCode(value: unknown): boolean {
  return typeof value === 'function' || (Array.isArray(value) && value.every((one) => typeof one === 'function'))
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function describe(schema: ConfigSchema): string {
  const { type, enum: words, minimum, maximum, minLength = 0, properties = {}, code } = schema
  if (words !== undefined) return words.join(' or ')
  if (code === true && type === undefined) return 'a function, in a file with code'
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`
  if (type === 'string') return minLength > 1 ? `text of at least ${minLength} characters` : 'text'
  if (type === 'array') return 'a list'
  if (type === 'boolean') return 'true or false'
  if (type === 'null') return 'null'
  return Object.keys(properties).length === 1 ? `an object with ${Object.keys(properties)[0]}` : 'an object'
}

function hintOf(name: string, known: readonly string[]): string {
  const [near] = known
    .map((one) => ({ one, distance: distanceOf(name.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, distance }) => distance <= Math.ceil(one.length / 3))
    .sort((a, b) => a.distance - b.distance)
  return near === undefined ? `There are ${known.join(', ')}.` : `Did you mean ${near.one}?`
}

/** Levenshtein's distance. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function first<T>(of: Iterable<T>, find: (one: T) => Flaw | undefined): Flaw | undefined {
  for (const one of of) {
    const found = find(one)
    if (found !== undefined) return found
  }
  return undefined
}
