/** The PostgreSQL side of a comparison: tables and rows as of one snapshot, found and decoded by the code of this folder alone. */
import type { Column, Table } from '../core/schema.js'
import { type ExactJson, parseExactJson } from './exact-json.js'
import { keyPart } from './key-part.js'
import { type PostgresType, readTypes } from './postgres-type.js'
import { expectedValue } from './postgres-value.js'
import type { RunSql } from './sides.js'
import { keyConditions, type Lookup } from './source-lookup.js'
import { cells, filter, from, sqlFields } from './source-sql.js'
import { array, printValue, type SurrealValue } from './surreal-value.js'
import type { ValueForms } from './value-forms.js'

export interface SourceColumn {
  readonly name: string
  /** What the target calls it. */
  readonly field: string
  readonly type: PostgresType
  /** The type as PostgreSQL prints it: `numeric(12,2)`. */
  readonly sourceType: string
  /** The type below domains, for casts. */
  readonly castType: string
  /** It is no column but what this expression gives. */
  readonly sql?: string
}

export interface SourceTable {
  /** `schema.name`. */
  readonly label: string
  readonly schema: string
  readonly name: string
  readonly columns: readonly SourceColumn[]
  /** Empty: no key, so its rows cannot be told apart. */
  readonly key: readonly SourceColumn[]
  readonly partitioned: boolean
  /** A condition: other rows are not replicated. */
  readonly where: string | undefined
}

/** What SurrealDB should hold for a row. */
export interface ExpectedRecord {
  readonly key: SurrealValue
  readonly fields: ReadonlyMap<string, SurrealValue>
}

/** The forms of a column's values. */
export type FormsOf = (column: SourceColumn) => ValueForms

// What printing depends on, for expressions of shapes as for whoever replicates; and what could hide rows or run code of the
// tables' owners.
const settingsSql = `select ${Object.entries({
  search_path: 'pg_catalog',
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  standard_conforming_strings: 'on',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  row_security: 'off',
})
  .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`)
  .join(', ')}`

// Partitions are a part of their table; unlogged and temporary tables are not replicated.
const tablesSql = `
  select json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'partitioned', c.relkind = 'p',
    'columns', (
      select json_agg(
        json_build_object(
          'name', a.attname,
          'type', a.atttypid::text,
          'number', a.attnum,
          'sourceType', format_type(a.atttypid, a.atttypmod),
          'castType', format_type(case when t.typtype = 'd' then t.typbasetype else t.oid end, null)
        )
        order by a.attnum
      )
      from pg_attribute a
      join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    'key', (
      select i.indkey::text
      from pg_index i
      where i.indrelid = c.oid and (i.indisprimary or i.indisreplident)
      order by i.indisprimary desc
      limit 1
    )
  )
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and not c.relispartition
    and c.relpersistence = 'p'
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and c.relname not like 'surreal\\_sync\\_%'
  order by n.nspname, c.relname`

/** Rows are fetched by so many, or fewer if they are large. */
const rowsPerFetchMax = 1_000
const charactersPerFetch = 4_000_000

interface TableRow {
  readonly schema: string
  readonly name: string
  readonly partitioned: boolean
  readonly columns:
    | readonly (Omit<SourceColumn, 'type' | 'field'> & { readonly type: string; readonly number: number })[]
    | null
  readonly key: string | null
}

/** One connection. Rows are read between `begin` and `end`, in one snapshot. */
export class SourceReader {
  readonly #run: RunSql

  constructor(run: RunSql) {
    this.#run = run
  }

  async begin(): Promise<void> {
    await this.#run('begin isolation level repeatable read read only')
    await this.#run(settingsSql)
  }

  async end(): Promise<void> {
    await this.#run('commit')
  }

  /** All permanent tables outside the system's schemas, with the keys, columns and names that these know better. */
  async tables(replicated: readonly Table[] = []): Promise<readonly SourceTable[]> {
    const typeOf = await readTypes(this.#run)
    const made = new Map(replicated.map((table) => [table.label, table]))
    const tables: SourceTable[] = []
    for (const [cell] of await this.#run(tablesSql)) {
      const row: TableRow = JSON.parse(cell ?? '')
      const shape = made.get(`${row.schema}.${row.name}`)?.shape
      const computed = shape === undefined ? [] : await sqlFields(this.#run, from(row), shape, typeOf)
      tables.push(sourceTable(row, typeOf, made, computed))
    }
    return tables
  }

  /** Every row of the table, a page at a time. */
  async *records(table: SourceTable, forms: FormsOf): AsyncGenerator<readonly ExpectedRecord[]> {
    const recordOf = mapping(table, forms)
    await this.#run(`declare rows no scroll cursor for select ${cells(table)} from ${from(table)} t${filter(table)}`)
    for (let count = rowsPerFetchMax / 10; ; ) {
      const rows = await this.#run(`fetch ${count} from rows`)
      if (rows.length === 0) break
      yield rows.map(recordOf)
      const size = rows.reduce((sum, row) => row.reduce((part, cell) => part + (cell?.length ?? 0), sum), 0)
      count = Math.max(1, Math.min(rowsPerFetchMax, Math.floor((charactersPerFetch * rows.length) / (size + 1))))
    }
    await this.#run('close rows')
  }

  /** The rows with these keys, by the printed key. */
  async find(
    table: SourceTable,
    forms: FormsOf,
    keys: readonly SurrealValue[],
  ): Promise<ReadonlyMap<string, ExpectedRecord>> {
    const lookup = keyConditions(table, keys)
    if (lookup === undefined) return this.#search(table, forms, keys)
    if (lookup.count === 0) return new Map()
    await this.#run('savepoint lookup')
    try {
      return await this.#lookUp(table, forms, lookup)
    } catch (error) {
      if (!isValueError(error)) throw error
      await this.#run('rollback to savepoint lookup')
      return this.#search(table, forms, keys)
    }
  }

  async #lookUp(table: SourceTable, forms: FormsOf, { join, values }: Lookup) {
    const recordOf = mapping(table, forms)
    const rows = await this.#run(`select ${cells(table)} from ${from(table)} t ${join}${filter(table)}`, values)
    return new Map(rows.map(recordOf).map((record) => [printValue(record.key), record]))
  }

  /** Looks at every row: for keys of types by which PostgreSQL cannot be asked. */
  async #search(table: SourceTable, forms: FormsOf, keys: readonly SurrealValue[]) {
    const wanted = new Set(keys.map(printValue))
    const found = new Map<string, ExpectedRecord>()
    for await (const page of this.records(table, forms)) {
      for (const record of page) {
        const key = printValue(record.key)
        if (wanted.has(key)) found.set(key, record)
      }
    }
    return found
  }
}

/** A text that is not of the type: no row can have such a key. The code stands in the error or in its cause. */
function isValueError(error: unknown): boolean {
  const codes = [error, error instanceof Error ? error.cause : undefined].map((each) =>
    typeof each === 'object' && each !== null ? Reflect.get(each, 'code') : undefined,
  )
  return codes.some((code) => typeof code === 'string' && code.startsWith('22'))
}

function sourceTable(
  { schema, name, partitioned, columns, key }: TableRow,
  typeOf: (oid: string) => PostgresType,
  tables: ReadonlyMap<string, Table>,
  computed: readonly SourceColumn[],
): SourceTable {
  const label = `${schema}.${name}`
  const replicated = tables.get(label)
  const fields = new Set(computed.map(({ name }) => name))
  const shown = new Map(
    replicated?.columns.filter(({ name }) => !fields.has(name)).map((column) => [sourceName(column), column.name]),
  )
  const all = (columns ?? []).flatMap((column) => {
    const field = replicated === undefined ? column.name : shown.get(column.name)
    return field === undefined ? [] : [{ ...column, field, type: typeOf(column.type) }]
  })
  const known = replicated?.key.map((column) => all.find((each) => each.name === sourceName(column)))
  const own = (key ?? '').split(' ').map((number) => all.find((column) => column.number === Number(number)))
  const chosen = known ?? own
  const found = chosen.filter((column) => column !== undefined)
  const identified = found.length === chosen.length ? found : []
  const where = replicated?.shape?.where
  return { label, schema, name, partitioned, columns: [...all, ...computed], key: identified, where }
}

function sourceName({ name, sourceName: own = name }: Column): string {
  return own
}

function mapping(table: SourceTable, formsOf: FormsOf): (row: readonly (string | null)[]) => ExpectedRecord {
  const { columns, key } = table
  const positions = key.map((column) => columns.indexOf(column))
  const names = fieldNames(table)
  const forms = columns.map(formsOf)
  // In a key nothing is lost, whatever was chosen for fields.
  const keyForms = key.map((column): ValueForms => {
    const own = formsOf(column)
    return { ...own, infinity: own.infinity === 'null' ? 'string' : own.infinity, numericOverflow: 'string' }
  })
  return (row) => {
    const parsed = columns.map((_, index): ExactJson => parseExactJson(row[index] ?? 'null'))
    const fields = new Map<string, SurrealValue>()
    for (const [index, { type }] of columns.entries()) {
      const [name, own] = [names[index], forms[index]]
      if (name === undefined || own === undefined) continue
      const value = expectedValue(parsed[index] ?? null, type, own)
      if (value.kind !== 'null' || own.nulls === 'null') fields.set(name, value)
    }
    const values = key.flatMap(({ type }, index) => {
      const own = keyForms[index]
      return own === undefined ? [] : [expectedValue(parsed[positions[index] ?? -1] ?? null, type, own)]
    })
    return { key: recordKey(values, key, formsOf), fields }
  }
}

/** A bare key is an int, string or uuid; everything else is an array. */
function recordKey(values: readonly SurrealValue[], columns: readonly SourceColumn[], formsOf: FormsOf): SurrealValue {
  const [value] = values
  const [column] = columns
  const bare = columns.length === 1 && column !== undefined && isBare(column, formsOf(column))
  return bare && value !== undefined ? value : array(values.map((part, index) => keyPart(part, columns[index]?.type)))
}

function isBare({ type }: SourceColumn, forms: ValueForms): boolean {
  if (type.kind === 'date') return forms.date === 'string'
  if (type.kind === 'interval') return forms.interval === 'string'
  return ['int', 'padded', 'printed', 'text', 'uuid'].includes(type.kind)
}

/** The field for each column: its name, but a record's `id` is its key. Undefined: no field, for a single key column `id`. */
function fieldNames({ columns, key }: SourceTable): readonly (string | undefined)[] {
  const taken = new Set(columns.map(({ field }) => field))
  let free = 'id_'
  while (taken.has(free)) free += '_'
  const isKey = key.length === 1 && key[0]?.field === 'id'
  return columns.map(({ field }) => (field !== 'id' ? field : isKey ? undefined : free))
}
