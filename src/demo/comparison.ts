/**
 * Compares every row of a PostgreSQL database with every record of a SurrealDB database. Both sides are read and decoded
 * by the code of this folder alone, not by the product's: what it says about a run is an independent opinion.
 */

import { type ExpectedRecord, SourceSnapshot, type SourceTable } from './comparison/source-tables.js'
import { printValue, type SurrealValue } from './comparison/surreal-value.js'
import {
  countTargetRecords,
  type FoundRecord,
  readTargetRecords,
  readTargetTables,
  type SurrealQueries,
} from './comparison/target-tables.js'

export interface ComparisonOptions {
  /** The connection url of the source. Its role must be allowed to read the tables. */
  readonly source: string
  /** A connection that uses the target's namespace and database, and SurrealDB 3.0 or newer. */
  readonly target: SurrealQueries
  /** Labels (`shop.orders`) of the tables to compare. @defaultValue all permanent tables, and no others in the target */
  readonly tables?: readonly string[]
  /** The target table of a source table. @defaultValue its name */
  readonly targetName?: (table: { readonly schema: string; readonly name: string }) => string
  readonly signal?: AbortSignal
}

/** One row that is not the same on both sides. */
export interface Difference {
  /** The source table's label, or the name of a table that only the target has. */
  readonly table: string
  /** `missing`: only in the source. `extra`: only in the target. */
  readonly kind: 'missing' | 'extra' | 'different'
  /** The record's key in SurrealQL's notation. */
  readonly key: string
  /** What differs, in a row that is `different`. */
  readonly columns: readonly { readonly name: string; readonly expected: string; readonly found: string }[]
}

export interface TableComparison {
  readonly table: string
  /** Rows of the source. */
  readonly rows: number
  /** Records of the target. */
  readonly records: number
  readonly differences: number
}

export interface ComparisonReport {
  readonly equal: boolean
  readonly rows: number
  readonly differences: number
  readonly tables: readonly TableComparison[]
  /** The first {@link examplesMax} differences. */
  readonly examples: readonly Difference[]
}

export const examplesMax = 10
/** How many records are held in memory at once; larger tables are read several times, a share of the keys at a time. */
const recordsMax = 100_000
const none: SurrealValue = { kind: 'none' }

/**
 * Compares at rest: the target must not change meanwhile; the source may, since it is read in one snapshot.
 * @throws Error when a table named does not exist or has no key
 */
export async function compareDatabases(options: ComparisonOptions): Promise<ComparisonReport> {
  await using source = await SourceSnapshot.open(options.source)
  return await new Comparison(source, options).run()
}

class Comparison {
  readonly #source: SourceSnapshot
  readonly #options: ComparisonOptions
  readonly #examples: Difference[] = []

  constructor(source: SourceSnapshot, options: ComparisonOptions) {
    this.#source = source
    this.#options = options
  }

  async run(): Promise<ComparisonReport> {
    const { target, targetName = ({ name }) => name } = this.#options
    const sourceTables = await this.#chosen()
    const targetTables = await readTargetTables(target)
    const tables: TableComparison[] = []
    for (const table of sourceTables) {
      const name = targetName(table)
      tables.push(await this.#table(table, targetTables.has(name) ? name : undefined))
    }
    if (this.#options.tables === undefined) {
      const expected = new Set(sourceTables.map(targetName))
      for (const name of targetTables) if (!expected.has(name) && !isState(name)) tables.push(await this.#unknown(name))
    }
    const sum = (count: (table: TableComparison) => number) => tables.reduce((total, table) => total + count(table), 0)
    const differences = sum((table) => table.differences)
    return { equal: differences === 0, rows: sum(({ rows }) => rows), differences, tables, examples: this.#examples }
  }

  async #chosen(): Promise<readonly SourceTable[]> {
    const all = await this.#source.tables()
    const labels = this.#options.tables
    const unknown = labels?.find((label) => !all.some((table) => table.label === label))
    if (unknown !== undefined) throw new Error(`The source has no table ${unknown}.`)
    const chosen = all.filter(({ label }) => labels === undefined || labels.includes(label))
    const keyless = chosen.find(({ key }) => key.length === 0)
    if (keyless !== undefined) throw new Error(`Table ${keyless.label} has no key, so its rows cannot be compared.`)
    return chosen
  }

  async #table(table: SourceTable, name: string | undefined): Promise<TableComparison> {
    const { target, signal } = this.#options
    const size = name === undefined ? await this.#source.count(table) : await countTargetRecords(target, name)
    const shares = Math.max(1, Math.ceil(size / recordsMax))
    const total = { rows: 0, records: 0, differences: 0 }
    for (let share = 0; share < shares; share += 1) {
      const mine = (key: string) => shares === 1 || hash(key) % shares === share
      const found = new Map<string, FoundRecord>()
      for await (const page of name === undefined ? [] : readTargetRecords(target, name)) {
        signal?.throwIfAborted()
        for (const record of page) {
          const key = printValue(record.key)
          if (mine(key)) found.set(key, record)
        }
      }
      total.records += found.size
      for await (const page of this.#source.records(table)) {
        signal?.throwIfAborted()
        for (const expected of page) {
          const key = printValue(expected.key)
          if (!mine(key)) continue
          total.rows += 1
          if (!this.#same(table.label, key, expected, found.get(key))) total.differences += 1
          found.delete(key)
        }
      }
      total.differences += found.size
      for (const key of found.keys()) this.#note({ table: table.label, kind: 'extra', key, columns: [] })
    }
    return { table: table.label, ...total }
  }

  /** A table that only the target has. Every record of it is one too many. */
  async #unknown(name: string): Promise<TableComparison> {
    let records = 0
    for await (const page of readTargetRecords(this.#options.target, name)) {
      records += page.length
      for (const { key } of page) this.#note({ table: name, kind: 'extra', key: printValue(key), columns: [] })
    }
    return { table: name, rows: 0, records, differences: records }
  }

  #same(table: string, key: string, expected: ExpectedRecord, found: FoundRecord | undefined): boolean {
    if (found === undefined) {
      this.#note({ table, kind: 'missing', key, columns: [] })
      return false
    }
    const names = new Set([...expected.fields.keys(), ...found.fields.keys()])
    const columns = [...names].flatMap((name) => {
      const [wanted, is] = [expected, found].map(({ fields }) => printValue(fields.get(name) ?? none))
      return wanted === is ? [] : [{ name, expected: wanted ?? '', found: is ?? '' }]
    })
    if (columns.length > 0) this.#note({ table, kind: 'different', key, columns })
    return columns.length === 0
  }

  #note(difference: Difference): void {
    if (this.#examples.length < examplesMax) this.#examples.push(difference)
  }
}

/** Where pipelines keep their own state. */
function isState(table: string): boolean {
  return table.startsWith('surreal_sync')
}

/** FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  return value >>> 0
}

/** One line per difference, as people like to read it. */
export function describeDifference({ table, kind, key, columns }: Difference): string {
  if (kind === 'missing') return `${table} ${key}: missing in SurrealDB`
  if (kind === 'extra') return `${table} ${key}: only in SurrealDB`
  const parts = columns.map(({ name, expected, found }) => `${name} is ${short(found)}, not ${short(expected)}`)
  return `${table} ${key}: ${parts.join('; ')}`
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
