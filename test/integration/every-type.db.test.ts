/** Every type that a column can have on the server at hand, as its own catalog lists them. */
import pg from 'pg'
import { expect, it } from 'vitest'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'

/** PostgreSQL's limit; all types but the rows of its own tables, which come second, are in one table. */
const columnsPerTable = 1_590

/** Input texts to try: the first that a type accepts is its sample. */
const samples = [
  'abc',
  '1',
  't',
  '1.5',
  '{1,2}',
  '(1,2)',
  '[1,2)',
  '{[1,2)}',
  '[(0,0),(1,1)]',
  '((0,0),(1,1),(2,0))',
  '<(0,0),1>',
  '{1,2,3}',
  '2024-02-29 12:34:56.789+00',
  '[2024-01-01,2024-02-01)',
  '{[2024-01-01,2024-02-01)}',
  '12:34:56',
  '1 day 02:03:04',
  '192.168.0.1',
  '08:00:2b:01:02:03',
  '0189b5d4-7c3e-7b6a-9c1e-2f4d5a6b7c8d',
  '{"a": [1, null]}',
  '0/16B374D8',
  '$.a[*]',
  '10:20:15',
  '(0,1)',
  'now',
  'now()',
  'pg_class',
  'public',
  'postgres',
  'pg_database_owner',
  '"C"',
  'english',
  'simple',
  '||/',
  '||/(-,double precision)',
  'integer',
  'template1',
  '=r/postgres',
  'a=>1',
  'top.one',
  '<a>1</a>',
  '(1,1),(0,0)',
  'sad',
  '{sad,"very happy"}',
  '0-393-04002-X',
  '978-0-393-04002-9',
  '1436-4522',
  'M-2306-7118-7',
  '220356483481',
]

const userTypesSql = `
create type mood as enum ('sad', 'very happy');
create domain short as text check (length(value) < 10);
create domain shorter as short check (value <> 'no');
create domain moods as mood[];
create type leaf as (n numeric, "odd, name" mood, at timestamptz);
create type tree as (name text, leaf leaf, leaves leaf[], short short);
create type floats as range (subtype = float8, multirange_type_name = many_floats);
create type spare;
create function spare_in(cstring) returns spare language internal immutable strict as 'textin';
create function spare_out(spare) returns cstring language internal immutable strict as 'textout';
create type spare (input = spare_in, output = spare_out, internallength = variable, like = text)`

/** Tables with a column of each type, which are created one by one: some types forbid that. */
const buildSql = `
create function accepted(v text, t text) returns text language plpgsql as $$
begin
  execute pg_catalog.format('select %L::%s', v, t);
  return v;
exception when others then
  return null;
end $$;
create function has_column(t text) returns boolean language plpgsql as $$
begin
  execute pg_catalog.format('create temp table probe (c %s); drop table probe', t);
  return true;
exception when others then
  return false;
end $$`

const typesSql = `
select pg_catalog.format_type(t.oid, null) as type,
  n.nspname = 'pg_catalog' and coalesce(e.typtype, t.typtype) = 'c' as own,
  (select pg_catalog.count(*) from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0)::int as attributes,
  case when t.typcategory = 'A' and t.typlen = -1 and t.typelem <> 0 then pg_catalog.format_type(t.typelem, null) end as element
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where t.typtype in ('b', 'e', 'r', 'm', 'c', 'd')
  and n.nspname not in ('information_schema', 'pg_toast') and n.nspname !~ '^pg_(temp|toast)'
  and has_column(pg_catalog.format_type(t.oid, null))
order by t.oid`

interface TypeRow {
  readonly type: string
  /** A row of one of PostgreSQL's own tables, or an array of such. They contain types that have no binary form. */
  readonly own: boolean
  readonly attributes: number
  readonly element: string | null
}

interface TypedColumn {
  readonly name: string
  readonly type: string
  readonly own: boolean
  /** A literal with its cast, or `null`. */
  readonly sample: string
}

async function extensions(client: pg.Client): Promise<readonly string[]> {
  const wanted = ['hstore', 'citext', 'ltree', 'cube', 'isn', 'seg']
  const { rows } = await client.query<{ readonly name: string }>(
    'select name from pg_available_extensions where name = any ($1)',
    [wanted],
  )
  for (const { name } of rows) await client.query(`create extension ${name}`)
  return rows.map(({ name }) => name)
}

async function columnsOf(client: pg.Client): Promise<readonly TypedColumn[]> {
  const { rows } = await client.query<TypeRow>(typesSql)
  const found = new Map<string, string>()
  const { rows: accepted } = await client.query<{ readonly type: string; readonly sample: string | null }>(
    `select t.type, (select v from unnest($2::text[]) with ordinality s(v, n) where accepted(v, t.type) is not null order by n limit 1) as sample
     from unnest($1::text[]) t(type)`,
    [rows.filter(({ attributes, element }) => attributes === 0 && element === null).map(({ type }) => type), samples],
  )
  for (const { type, sample } of accepted) if (sample !== null) found.set(type, pg.escapeLiteral(sample))
  for (const { type, attributes } of rows) if (attributes > 0) found.set(type, `'(${','.repeat(attributes - 1)})'`)
  for (const { type, element } of rows) {
    const sample = element === null ? undefined : found.get(element)
    if (sample !== undefined) found.set(type, `array[${sample}::${element}, null]`)
  }
  return rows.map(({ type, own }, index) => ({
    own,
    name: `c${index}`,
    type,
    sample: found.has(type) ? `${found.get(type)}::${type}` : 'null',
  }))
}

it('every type of the catalog is replicated, in both phases, without an abort', { timeout: 120_000 }, async () => {
  await using database = await createDatabase()
  const client = await database.client()
  const installed = await extensions(client)
  await client.query(userTypesSql)
  await client.query(buildSql)
  const columns = await columnsOf(client)
  const sampled = columns.filter(({ sample }) => sample !== 'null')
  const known = new Set(columns.map(({ type }) => type))
  for (const type of [
    'mood',
    'shorter',
    'moods',
    'tree',
    'tree[]',
    'floats',
    'many_floats',
    'spare',
    'spare[]',
    'pg_class',
  ])
    expect(known).toContain(type)
  for (const type of installed.filter((name) => name !== 'isn')) expect(known).toContain(type)
  // What has no input, for example pg_node_tree, has no sample either.
  expect(columns.length - sampled.length).toBeLessThan(20)

  const tables = [false, true].flatMap((own) => {
    const chosen = columns.filter((column) => column.own === own)
    return Array.from({ length: Math.ceil(chosen.length / columnsPerTable) }, (_, index) => ({
      name: `${own ? 'own' : 'every'}_${index}`,
      columns: chosen.slice(index * columnsPerTable, (index + 1) * columnsPerTable),
    }))
  })
  const compared = tables.filter(({ name }) => name.startsWith('every')).map(({ name }) => `public.${name}`)
  const insert = async (id: number) => {
    for (const { name, columns: own } of tables) {
      const cells = own.map(({ sample }) => (id % 2 === 1 ? 'null' : sample))
      await client.query(`insert into ${name} values (${[id, ...cells].join(', ')})`)
    }
  }
  for (const { name, columns: own } of tables) {
    const definition = own.map((column) => `${column.name} ${column.type}`)
    await client.query(`create table ${name} (id int primary key, ${definition.join(', ')})`)
  }
  await insert(1)
  await insert(2)
  await using replica = await SurrealReplica.open({ url: database.url })
  await replica.full()
  await replica.expectEqual({ tables: compared })
  await insert(3)
  await insert(4)
  await replica.catchUp()
  await replica.expectEqual({ tables: compared })

  const unknown = replica.warnings.filter(({ code }) => code === 'type_as_text').map(({ column }) => column)
  const typeOf = new Map(columns.map(({ name, type }) => [name, type]))
  const unknownTypes = unknown.map((name) => typeOf.get(name ?? ''))
  expect(unknownTypes).toEqual(
    expect.arrayContaining(['spare', 'spare[]', ...(installed.includes('cube') ? ['cube'] : [])]),
  )
  for (const type of ['tsvector', 'pg_snapshot', 'citext', 'citext[]', 'hstore', 'ltree', 'tree', 'mood[]'])
    expect(unknownTypes).not.toContain(type)

  // Nothing is lost in silence: a sample is neither absent nor null.
  for (const { name, columns: own } of tables) {
    const [rows] = await replica.db.query<[Record<string, unknown>[]]>(
      `SELECT * FROM ${name} WHERE record::id(id) IN [2, 4]`,
    )
    expect(rows).toHaveLength(2)
    for (const row of rows) {
      const lost = own.filter((column) => column.sample !== 'null' && (row[column.name] ?? null) === null)
      expect(lost.map(({ type }) => type)).toEqual([])
    }
  }
  console.log(`types: ${columns.length} in the catalog, ${sampled.length} with a value, ${installed.join(', ')}`)
})
