/** Whatever a column holds, both phases store the same, as bytes and as objects, and it is what PostgreSQL says. */
import pg from 'pg'
import { expect, it } from 'vitest'
import { seededRandom } from '../../src/demo/seeded-random.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'
import { awkwardRows, keyColumns, type TypedColumn, typesSql, valueColumns } from '../support/type-values.js'

const defaults = { values: 6_000, seed: Math.floor(Math.random() * 1e9) }
/** How many values, all in all: TYPE_VALUES=100000. The same SEED makes the same values. */
const valuesMin = Number(process.env.TYPE_VALUES ?? defaults.values)
const seed = Number(process.env.SEED ?? defaults.seed)
const msPerValue = 3
const keyLengthMax = 600
/** Of the generated texts, how many PostgreSQL may refuse as input. */
const refusedShareMax = 0.03
const rowsPerInsert = 20

const rowCount = Math.max(awkwardRows, Math.ceil(valuesMin / (valueColumns.length + keyColumns.length)))

const otherForms = {
  objects_and_texts: {
    nulls: 'none',
    numericOverflow: 'float',
    infinity: 'null',
    interval: 'object',
    date: 'string',
    uuid: 'string',
    geometry: 'object',
    ranges: 'object',
  },
  texts: { interval: 'string', infinity: 'null' },
} as const

interface TypedTable {
  readonly name: string
  readonly columns: readonly TypedColumn[]
  readonly keyed: boolean
}

/** A table costs more than its rows, so a small run tries only some of the keys. The seed chooses them. */
const chooses = seededRandom(seed)
const keyShare = valuesMin >= 50_000 ? 1 : 0.3

const tables: readonly TypedTable[] = [
  { name: 'every_value', columns: valueColumns, keyed: false },
  ...keyColumns
    .filter(() => chooses() < keyShare)
    .map((column) => ({ name: `key_${column.name}`, columns: [column], keyed: true })),
]

/** Makes rows, as texts that PostgreSQL accepts. */
class Generator {
  made = 0
  refused = 0
  readonly #client: pg.Client
  readonly #random = seededRandom(seed)

  constructor(client: pg.Client) {
    this.#client = client
  }

  async rows({ columns, keyed }: TypedTable): Promise<readonly (readonly (string | null)[])[]> {
    const byColumn: (readonly (string | null)[])[] = []
    for (const { type, generate, awkward = 0 } of columns) {
      const texts = Array.from({ length: rowCount }, (_, index) => generate(this.#random, index))
      const { rows } = await this.#client.query<{ readonly texts: (string | null)[] }>(
        'select array_agg(kinds.accepted(v, $2) order by n) as texts from unnest($1::text[]) with ordinality u(v, n)',
        [texts, type],
      )
      const accepted = rows[0]?.texts ?? []
      const refused = texts.filter((text, index) => text !== null && accepted[index] === null)
      expect(
        refused.filter((text) => texts.indexOf(text) < awkward),
        type,
      ).toEqual([])
      this.made += texts.length
      this.refused += refused.length
      byColumn.push(accepted)
    }
    const made = Array.from({ length: rowCount }, (_, row) => byColumn.map((column) => column[row] ?? null))
    return keyed ? made.filter(([key]) => key !== null && key !== undefined && key.length <= keyLengthMax) : made
  }
}

const acceptedSql = `
create function kinds.accepted(v text, t text) returns text language plpgsql as $$
begin
  execute pg_catalog.format('select %L::%s', v, t);
  return v;
exception when others then
  return null;
end $$`

it(`stores values of every type alike in both phases, with SEED=${seed}`, {
  timeout: 60_000 + valuesMin * msPerValue,
}, async () => {
  console.log(`types: SEED=${seed} TYPE_VALUES=${valuesMin}`)
  await using database = await createDatabase()
  const client = await database.client()
  await client.query(typesSql)
  await client.query(acceptedSql)
  const generator = new Generator(client)
  const rows = new Map<TypedTable, Awaited<ReturnType<Generator['rows']>>>()
  for (const table of tables) {
    const definition = table.columns.map(({ name, type }) => `${name} ${type}${table.keyed ? ' primary key' : ''}`)
    const number = table.keyed ? 'n int' : 'n int primary key'
    await client.query(`create table ${table.name} (${number}, ${definition.join(', ')})`)
    rows.set(table, await generator.rows(table))
  }
  expect(generator.refused / generator.made).toBeLessThan(refusedShareMax)
  const insertAll = async () => {
    for (const [table, made] of rows) await insert(client, table, made)
  }

  await insertAll()
  await using replica = await SurrealReplica.open({ url: database.url })
  await replica.full()
  const report = await replica.expectEqual()
  const full = await contents(replica)
  // A transform needs objects: what it leaves alone is encoded by other means, and is the same.
  await using objects = await SurrealReplica.open({
    url: database.url,
    engine: { id: 'objects', transforms: [(rows) => rows] },
  })
  await objects.full()
  const expectFull = async (other: SurrealReplica) => {
    for (const [name, records] of await contents(other)) expect(records, name).toEqual(full.get(name))
  }
  await expectFull(objects)
  // What compares them for users knows every other form too.
  for (const [id, sink] of Object.entries(otherForms)) {
    await using other = await SurrealReplica.open({ url: database.url, sink, engine: { id } })
    await other.full()
    const { equal, rows, listed } = await other.verify()
    const found = new Set(listed.map(({ table, kind, fields }) => `${table} ${kind} ${fields}`))
    expect([...found], id).toEqual([])
    expect({ equal, rows }).toEqual({ equal: true, rows: report.rows })
  }

  for (const { name } of tables) await client.query(`delete from ${name}`)
  for (const other of [replica, objects]) {
    await other.catchUp()
    const emptied = await contents(other)
    expect([...emptied].filter(([, records]) => records.length > 0).map(([name]) => name)).toEqual([])
  }

  await insertAll()
  for (const other of [replica, objects]) await other.catchUp()
  await replica.expectEqual()
  for (const other of [replica, objects]) await expectFull(other)
  expect(report.rows).toBeGreaterThan(rowCount * tables.length * 0.3)
  console.log(`types: ${generator.made} values in ${report.rows} rows of ${tables.length} tables, twice`)
})

async function insert(
  client: pg.Client,
  table: TypedTable,
  rows: readonly (readonly (string | null)[])[],
): Promise<void> {
  const literal = (cell: string | null) => (cell === null ? 'null' : pg.escapeLiteral(cell))
  for (let start = 0; start < rows.length; start += rowsPerInsert) {
    const texts = rows
      .slice(start, start + rowsPerInsert)
      .map((row, index) => `(${[String(start + index), ...row.map(literal)].join(', ')})`)
    await client.query(`insert into ${table.name} values ${texts.join(', ')} on conflict do nothing`)
  }
}

/** Every record of every table in the server's own bytes. */
async function contents({ db }: SurrealReplica): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>()
  for (const { name } of tables) {
    const [records] = await db.query<[ArrayBuffer[]]>(`SELECT VALUE encoding::cbor::encode($this) FROM ${name}`)
    found.set(name, records.map((bytes) => Buffer.from(bytes).toString('base64')).sort())
  }
  return found
}
