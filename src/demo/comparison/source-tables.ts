/** The PostgreSQL side of a comparison: tables and rows as of one snapshot. */
import pg from 'pg'
import { parseExactJson } from './exact-json.js'
import { keyPart } from './key-part.js'
import { type PostgresType, readTypes } from './postgres-type.js'
import { expectedValue } from './postgres-value.js'
import { array, type SurrealValue } from './surreal-value.js'

export interface SourceColumn {
  readonly name: string
  readonly type: PostgresType
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
}

/** What SurrealDB should hold for a row. */
export interface ExpectedRecord {
  readonly key: SurrealValue
  readonly fields: ReadonlyMap<string, SurrealValue>
}

// What printing depends on, and what could hide rows or run code of the tables' owners.
const sessionSql = `
  begin isolation level repeatable read read only;
  set local search_path = pg_catalog;
  set local timezone = 'UTC';
  set local datestyle = 'ISO';
  set local intervalstyle = 'iso_8601';
  set local bytea_output = 'hex';
  set local extra_float_digits = 1;
  set local row_security = off`

// Partitions are a part of their table; unlogged and temporary tables are not replicated.
const tablesSql = `
  select
    n.nspname as schema,
    c.relname as name,
    c.relkind = 'p' as partitioned,
    (
      select json_agg(json_build_object('name', a.attname, 'type', a.atttypid::text, 'number', a.attnum) order by a.attnum)
      from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    (
      select i.indkey::text
      from pg_index i
      where i.indrelid = c.oid and (i.indisprimary or i.indisreplident)
      order by i.indisprimary desc
      limit 1
    ) as key
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and not c.relispartition
    and c.relpersistence = 'p'
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and c.relname not like 'surreal\\_sync\\_%'
  order by n.nspname, c.relname`

const rowsPerFetch = 1_000

interface TableRow {
  readonly schema: string
  readonly name: string
  readonly partitioned: boolean
  readonly columns: readonly { readonly name: string; readonly type: string; readonly number: number }[] | null
  readonly key: string | null
}

/** One connection with one repeatable read snapshot. */
export class SourceSnapshot implements AsyncDisposable {
  readonly #client: pg.Client

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(url: string): Promise<SourceSnapshot> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {}) // the query under way rejects too
    await client.connect()
    try {
      await client.query(sessionSql)
      return new SourceSnapshot(client)
    } catch (error) {
      await client.end()
      throw error
    }
  }

  /** All permanent tables outside the system's schemas. */
  async tables(): Promise<readonly SourceTable[]> {
    const typeOf = await readTypes(this.#client)
    const { rows } = await this.#client.query<TableRow>(tablesSql)
    return rows.map(({ schema, name, partitioned, columns, key }) => {
      const byNumber = new Map(
        (columns ?? []).map((column) => [column.number, { name: column.name, type: typeOf(column.type) }]),
      )
      const keyColumns = (key ?? '').split(' ').flatMap((number) => byNumber.get(Number(number)) ?? [])
      return { label: `${schema}.${name}`, schema, name, partitioned, columns: [...byNumber.values()], key: keyColumns }
    })
  }

  async count(table: SourceTable): Promise<number> {
    const { rows } = await this.#client.query<{ readonly count: string }>(
      `select count(*) as count from ${from(table)}`,
    )
    return Number(rows[0]?.count ?? 0)
  }

  /** Every row of the table, a page at a time. */
  async *records(table: SourceTable): AsyncGenerator<readonly ExpectedRecord[]> {
    const cells = table.columns.map(({ name }) => `to_json(${pg.escapeIdentifier(name)})::text`)
    const recordOf = mapping(table)
    await this.#client.query(`declare rows no scroll cursor for select ${cells.join(', ')} from ${from(table)}`)
    for (;;) {
      const text = `fetch ${rowsPerFetch} from rows`
      const { rows } = await this.#client.query<(string | null)[]>({ text, rowMode: 'array' })
      if (rows.length === 0) break
      yield rows.map(recordOf)
    }
    await this.#client.query('close rows')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end()
  }
}

/** A table with old-style children has rows of its own; theirs are theirs. */
function from({ schema, name, partitioned }: SourceTable): string {
  return `${partitioned ? '' : 'only '}${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`
}

function mapping(table: SourceTable): (cells: readonly (string | null)[]) => ExpectedRecord {
  const { columns, key } = table
  const positions = key.map((column) => columns.indexOf(column))
  const names = fieldNames(table)
  return (cells) => {
    const values = columns.map(({ type }, index) => expectedValue(parseExactJson(cells[index] ?? 'null'), type))
    const fields = new Map<string, SurrealValue>()
    for (const [index, value] of values.entries()) {
      const name = names[index]
      if (name !== undefined) fields.set(name, value)
    }
    const keyValues = positions.flatMap((position) => values[position] ?? [])
    return { key: recordKey(keyValues, key), fields }
  }
}

/** A bare key is an int, string or uuid; everything else is an array. */
function recordKey(values: readonly SurrealValue[], columns: readonly SourceColumn[]): SurrealValue {
  const [value] = values
  const kind = columns[0]?.type.kind ?? 'text'
  const bare = columns.length === 1 && ['int', 'padded', 'text', 'uuid'].includes(kind)
  return bare && value !== undefined ? value : array(values.map((part, index) => keyPart(part, columns[index]?.type)))
}

/** The field for each column: its name, but a record's `id` is its key. Undefined: no field, for a single key column `id`. */
function fieldNames({ columns, key }: SourceTable): readonly (string | undefined)[] {
  const taken = new Set(columns.map(({ name }) => name))
  let free = 'id_'
  while (taken.has(free)) free += '_'
  const isKey = key.length === 1 && key[0]?.name === 'id'
  return columns.map(({ name }) => (name !== 'id' ? name : isKey ? undefined : free))
}
