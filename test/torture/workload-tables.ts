/** The tables that the torture test writes to, and how their content is read as plain text. */
import { isDeepStrictEqual } from 'node:util'
import type pg from 'pg'

/** What a table holds: each row as the text of its cells by column name, by the text of its key. */
export type TableContent = ReadonlyMap<string, Readonly<Record<string, string | null>>>

export const accountCount = 100
export const startBalance = 1_000
export const eventPartitions = [0, 1, 2, 3]
export const eventsPerPartition = 100

/** All replicated tables. Each has one key column, `id`. */
export const tableNames = ['accounts', 'items', 'slots', 'events', 'appends', 'shapes'] as const
export type TableName = (typeof tableNames)[number]

/** Columns hold integers and text only, so that a cell is its text. `journal` is where changes without triggers are noted. */
const schemaSql = `
create schema journal;
create table journal.structure (number bigint generated always as identity primary key, table_name text not null);
create table accounts (id int primary key, balance bigint not null, version int not null default 0);
insert into accounts (id, balance) select i, ${startBalance} from generate_series(1, ${accountCount}) i;
create table items (id int primary key, v text, n int);
insert into items select i, 'item ' || i, i from generate_series(1, 200) i;
create table slots (id int, v text, primary key (id) deferrable initially immediate);
insert into slots select i, 'slot ' || i from generate_series(1, 100) i;
create table appends (id bigint primary key, v text);
create table shapes (id int primary key, n int);
insert into shapes select i, i from generate_series(1, 50) i;
create table events (id int primary key, v text) partition by range (id);
`

/** Creates the tables with their first rows. */
export async function createTables(client: pg.Client): Promise<void> {
  await client.query(schemaSql)
  for (const number of eventPartitions) {
    const from = number * eventsPerPartition
    await client.query(
      `create table events_${number} partition of events for values from (${from}) to (${from + eventsPerPartition})`,
    )
  }
  await client.query(`insert into events select i, 'event ' || i from generate_series(0, 200, 3) i`)
}

/** Something that runs a statement and gives rows as text: a client, or a session of the product. */
export type TextQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>

/** The content of one table in the state that the query sees. */
export async function readContent(query: TextQuery, table: TableName): Promise<TableContent> {
  const columns = await query(
    `select attname from pg_catalog.pg_attribute where attrelid = 'public.${table}'::pg_catalog.regclass
     and attnum > 0 and not attisdropped order by attnum`,
  )
  const names = columns.map(([name]) => name ?? '')
  const rows = await query(`select ${names.map((name) => `${name}::text`).join(', ')} from public.${table}`)
  return new Map(
    rows.map((cells) => {
      const row = Object.fromEntries(names.map((name, index) => [name, cells[index] ?? null]))
      return [row.id ?? '', row]
    }),
  )
}

/** For each table the number of its newest change that no trigger sees. */
export async function readStructureNumbers(query: TextQuery): Promise<ReadonlyMap<string, number>> {
  const rows = await query('select table_name, pg_catalog.max(number)::text from journal.structure group by table_name')
  return new Map(rows.map(([name, number]) => [name ?? '', Number(number)]))
}

/** Where two contents differ, in a few words; undefined if they do not. */
export function describeDifference(source: TableContent, target: TableContent): string | undefined {
  const differences: string[] = []
  let count = 0
  const note = (text: string) => {
    count += 1
    if (differences.length < 3) differences.push(text)
  }
  for (const [id, row] of source) {
    const other = target.get(id)
    if (other === undefined) note(`${id} is missing`)
    else if (!isDeepStrictEqual(row, other)) {
      note(`${id} is ${JSON.stringify(other)} and not ${JSON.stringify(row)}`)
    }
  }
  for (const id of target.keys()) if (!source.has(id)) note(`${id} is stale`)
  return count === 0 ? undefined : `${count} rows differ: ${differences.join('; ')}`
}
