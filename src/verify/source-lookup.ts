/** From keys of records back to conditions on the columns of a table. */
import { quote } from './quote.js'
import type { SourceColumn, SourceTable } from './source-reader.js'
import type { SurrealValue } from './surreal-value.js'

export interface Lookup {
  /** Joins the table, called `t`, with the keys. */
  readonly join: string
  readonly values: readonly (readonly string[])[]
  /** How many of the keys a row of the table can have. */
  readonly count: number
}

/** The types by whose text rows can be asked for, and the kinds that their values have in a key. */
const kinds: Readonly<Record<string, readonly SurrealValue['kind'][]>> = {
  bool: ['bool'],
  bytea: ['bytes'],
  date: ['datetime', 'string'],
  float: ['string'],
  int: ['int'],
  numeric: ['decimal', 'string', 'float'],
  padded: ['string'],
  text: ['string'],
  timestamp: ['datetime', 'string'],
  uuid: ['uuid', 'string'],
}

/** Undefined: PostgreSQL cannot be asked by keys of these types. Keys that no row of the table can have are left out. */
export function keyConditions({ key }: SourceTable, keys: readonly SurrealValue[]): Lookup | undefined {
  if (!key.every(({ type }) => type.kind in kinds)) return undefined
  const rows = keys.flatMap((value) => {
    const cells = cellsOf(value, key)
    return cells === undefined ? [] : [cells]
  })
  // A blank, so that a filter of the table's columns does not mean them.
  const names = key.map((_, index) => quote(`key ${index}`))
  const lists = key.map((_, index) => `$${index + 1}::text[]`)
  const matches = key.map(({ name, castType }, index) => `t.${quote(name)} = k.${names[index]}::${castType}`)
  return {
    join: `join unnest(${lists.join(', ')}) k (${names.join(', ')}) on ${matches.join(' and ')}`,
    values: key.map((_, index) => rows.map((cells) => cells[index] ?? '')),
    count: rows.length,
  }
}

function cellsOf(value: SurrealValue, columns: readonly SourceColumn[]): readonly string[] | undefined {
  const values = value.kind === 'array' ? value.elements : [value]
  if (values.length !== columns.length) return undefined
  const texts = columns.map(({ type, castType }, index) => {
    const part = values[index]
    if (part === undefined || !('text' in part) || kinds[type.kind]?.includes(part.kind) !== true) return undefined
    if (part.text.includes('\0') || (type.kind === 'int' && !fits(part.text, castType))) return undefined
    return part.kind === 'bytes' ? `\\x${part.text}` : part.text
  })
  return texts.every((text) => text !== undefined) ? texts : undefined
}

const bits: Readonly<Record<string, bigint>> = { smallint: 15n, integer: 31n }

function fits(text: string, castType: string): boolean {
  const number = BigInt(text)
  if (castType === 'oid') return number >= 0n && number < 2n ** 32n
  const bound = 2n ** (bits[castType] ?? 63n)
  return number >= -bound && number < bound
}
