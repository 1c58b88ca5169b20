/** Reads the current state of given keys, by the same select list and decoder as the full sync. */
import { deletes, type Key, type Row, type RowBatch } from '../../core/batch.js'
import { canonicalKeyText } from '../../core/key.js'
import type { LogicalType } from '../../core/value.js'
import { CopyBatch } from './copy-batch.js'
import type { CopyRows } from './copy-rows.js'
import type { CopyOptions } from './copy-stream.js'
import { keyAt, keyTypes } from './key-cells.js'
import { askedPart, guarded, isValueError, jsonArray, possibleKeys } from './possible-keys.js'
import type { PostgresColumn, PostgresTable } from './postgres-table.js'
import { fromOf, readingError } from './row-expression.js'
import { filterOf } from './row-filter.js'
import type { Session } from './session.js'

/**
 * Yields rows that are there as upserts and keys that are not as deletes; no key twice (I3).
 * @param keys Each the JSON array that the capture function wrote, without duplicates.
 */
export async function* reread(
  session: Session,
  table: PostgresTable,
  keys: readonly string[],
  options: CopyOptions,
): AsyncGenerator<RowBatch> {
  const answers = new Answers(table)
  for await (const rows of copyKeys(session, table, keys, table.columns, options)) {
    const { found, gone } = answers.sort(rows)
    if (found.length > 0) {
      yield new CopyBatch('upsert', table, table.columns, rows, { firstColumn: table.key.length, rows: found })
    }
    if (gone.length > 0) yield new CopyBatch('delete', table, table.key, rows, { firstColumn: 0, rows: gone })
  }
  const misspelled = answers.misspelled()
  if (misspelled.length > 0) yield deletes(table, misspelled)
}

/** For each key whether the table has no row with exactly this key. `undefined`: such a key cannot be. */
export async function absentKeys(
  session: Session,
  table: PostgresTable,
  keys: readonly (string | undefined)[],
  asked: readonly Key[],
  options: CopyOptions,
): Promise<readonly boolean[]> {
  const types = keyTypes(table)
  const present = new Set<string>()
  const possible = [...new Set(keys.filter((key) => key !== undefined))]
  if (possible.length > 0) {
    for await (const rows of copyKeys(session, table, possible, table.key, options)) {
      for (let row = 0; row < rows.rowCount; row++) {
        if (rows.start(row, table.key.length) < 0) continue
        present.add(canonicalKeyText(keyAt(rows, row, table, table.key.length), types))
      }
    }
  }
  return asked.map((key, index) => keys[index] === undefined || !present.has(canonicalKeyText(key, types)))
}

/**
 * The keys as asked for, then the row's columns, all NULL where there is no such row. In the order of the keys; those that
 * no row can have are left out.
 */
async function* copyKeys(
  session: Session,
  table: PostgresTable,
  keys: readonly string[],
  columns: readonly PostgresColumn[],
  options: CopyOptions,
): AsyncGenerator<CopyRows> {
  const columnNames = [...table.key, ...columns].map(({ name }) => name)
  let rowCount = 0
  try {
    for await (const rows of session.copy(guarded(rereadSql(table, keys, columns)), { ...options, columnNames })) {
      rowCount += rows.rowCount
      yield rows
    }
  } catch (error) {
    options.signal?.throwIfAborted()
    const rest = keys.slice(rowCount)
    const possible = isValueError(error) ? await possibleKeys(session, table, rest) : rest
    if (possible.length === rest.length) {
      throw readingError(error, table, 'reading changed rows of')
    }
    if (possible.length > 0) yield* copyKeys(session, table, possible, columns, options)
  }
}

/** A lateral subquery with `offset 0` keeps the planner at one index scan for each key. */
function rereadSql(table: PostgresTable, keys: readonly string[], columns: readonly PostgresColumn[]): string {
  const asked = table.key.map((column, index) => `${askedPart(column, index, 'e.v')} as ${column.quoted}`)
  const matches = [
    ...table.key.map(({ quoted, equality }) => `t.${quoted} ${equality} k.${quoted}`),
    ...filterOf(table),
  ]
  const list = (of: readonly PostgresColumn[]) => of.map(({ select }, index) => `${select} as c${index}`).join(', ')
  return `copy (
select a.*, r.*
from (select ${asked.join(', ')} from pg_catalog.jsonb_array_elements(${jsonArray(keys)}) e(v)) k
cross join lateral (select ${list(table.key)}) a
left join lateral (
  select ${list(columns)} from ${fromOf(table)} where ${matches.join(' and ')} offset 0
) r on true
) to stdout (format binary)`
}

/** Sorts answers into rows that are there and keys that are not. */
class Answers {
  readonly #table: PostgresTable
  readonly #types: readonly LogicalType[]
  /** Where equal keys may be spelled in several ways: the rows seen, as record ids see them. */
  readonly #seen: Set<string> | undefined
  readonly #misspelled = new Map<string, Key>()

  constructor(table: PostgresTable) {
    this.#table = table
    this.#types = keyTypes(table)
    this.#seen = table.key.every(({ exactText }) => exactText) ? undefined : new Set()
  }

  sort(rows: CopyRows): { readonly found: Int32Array; readonly gone: Int32Array } {
    const width = this.#table.key.length
    const marker = width + (this.#table.keyIndex[0] ?? 0)
    const found: number[] = []
    const gone: number[] = []
    for (let row = 0; row < rows.rowCount; row++) {
      if (rows.start(row, marker) >= 0) {
        if (this.#isNew(rows, row)) found.push(row)
      } else if (isWhole(rows, row, width)) gone.push(row)
    }
    return { found: Int32Array.from(found), gone: Int32Array.from(gone) }
  }

  /** Keys under which a row was asked for that now has another one, and that no row has. */
  misspelled(): readonly Row[] {
    const keys = [...this.#misspelled].filter(([text]) => this.#seen?.has(text) !== true).map(([, key]) => key)
    return keys.map((key) => Object.fromEntries(this.#table.key.map(({ name }, index) => [name, key[index] ?? null])))
  }

  #isNew(rows: CopyRows, row: number): boolean {
    if (this.#seen === undefined) return true
    const asked = keyAt(rows, row, this.#table, 0)
    const actual = this.#table.keyIndex.map((index, part) => {
      const start = rows.start(row, this.#table.key.length + index)
      return this.#table.key[part]?.codec.decode(rows, start, rows.end(start)) ?? null
    })
    const [askedText, actualText] = [canonicalKeyText(asked, this.#types), canonicalKeyText(actual, this.#types)]
    if (askedText !== actualText) this.#misspelled.set(askedText, asked)
    if (this.#seen.has(actualText)) return false
    this.#seen.add(actualText)
    return true
  }
}

/** A key of fewer parts than the table's is older than the table's key. */
function isWhole(rows: CopyRows, row: number, width: number): boolean {
  for (let part = 0; part < width; part++) if (rows.start(row, part) < 0) return false
  return true
}
