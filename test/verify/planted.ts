/** A large table with an error of every kind planted in its copy, and whether `verify` finds exactly those. */
import pg from 'pg'
import { PostgresTriggerSource, SurrealSink, verify } from '../../src/index.js'
import { openServer } from '../e2e/target.js'

export interface PlantedOptions {
  /** An empty database of the source. */
  readonly source: string
  /** The address of a SurrealDB server. */
  readonly target: string
  /** At least 10,000. */
  readonly rows: number
  /** Copies everything, into {@link place}. */
  readonly copy: () => Promise<void>
}

export interface PlantedReport {
  /** What is planted, and what is no error. */
  readonly kinds: readonly string[]
  /** `table kind key fields`, sorted. */
  readonly expected: readonly string[]
  readonly found: readonly string[]
  readonly rows: number
  readonly durationMs: number
  /** Of this process, in MB. */
  readonly rss: { readonly before: number; readonly max: number }
}

export const pipelineId = 'planted'
export const place = { namespace: 'test', database: 'planted' }
export const root = { username: 'root', password: 'root' }
const sampleMs = 50

const tableSql = (rows: number) =>
  `
create table large (
  id int primary key, n int, name text, at timestamptz, f float8, total numeric(12, 2), tags text[], doc jsonb, gap text
);
insert into large
  select i, i % 1000, 'name ' || i, '2024-01-01'::timestamptz + i * interval '1 second', i % 7, i * 0.25,
    array['a', 'b' || i], jsonb_build_object('a', 1, 'b', jsonb_build_object('price', 1.25, 'list', jsonb_build_array(1, 2))), null
  from generate_series(1, :rows) i;
create table small (id int primary key, name text);
insert into small select i, 'small ' || i from generate_series(1, 100) i`.replace(':rows', String(rows))

interface Plant {
  readonly kind: string
  readonly surql: string
  /** What of it is to be found; nothing, if it is no error. */
  readonly found: readonly string[]
}

/** SurrealDB does not store a value that it finds equal to the old one, and 1 = 1f = 1dec: hence the 9 in between. */
function plants(rows: number): readonly Plant[] {
  const at = (share: number) => Math.floor(rows * share)
  const different = (id: number, field: string) => [`large different ${id} ${field}`]
  const ids = Array.from({ length: 20 }, (_, index) => at((index + 0.5) / 20))
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0, j = 0, k = 0, l = 0, m = 0, n = 0] = ids
  const far = rows + 77
  return [
    { kind: 'a missing row', surql: `delete large:${a}`, found: [`large missing ${a}`] },
    { kind: 'an extra row', surql: `create large:${far} set n = 1`, found: [`large extra ${far}`] },
    { kind: 'a changed value', surql: `update large:${b} set n += 1`, found: different(b, 'n') },
    { kind: 'an absent field for NULL', surql: `update large:${c} unset gap`, found: different(c, 'gap') },
    {
      kind: 'an integer as float',
      surql: `update large:${d} set n = 9999; update large:${d} set n = ${d % 1000}f`,
      found: different(d, 'n'),
    },
    {
      kind: 'a decimal as float',
      surql: `update large:${e} set total = 9; update large:${e} set total = ${e * 0.25}f`,
      found: different(e, 'total'),
    },
    { kind: 'a space at the end', surql: `update large:${f} set name = name + ' '`, found: different(f, 'name') },
    {
      kind: 'another case',
      surql: `update large:${g} set name = string::uppercase(name)`,
      found: different(g, 'name'),
    },
    { kind: 'a microsecond', surql: `update large:${h} set at = at + 1us`, found: different(h, 'at') },
    {
      kind: 'another order in an array',
      surql: `update large:${i} set tags = array::reverse(tags)`,
      found: different(i, 'tags'),
    },
    { kind: 'a digit within JSON', surql: `update large:${j} set doc.b.price = 1.26dec`, found: different(j, 'doc') },
    { kind: 'not a number', surql: `update large:${k} set f = NaN`, found: different(k, 'f') },
    {
      kind: 'two rows under each other’s key',
      surql: `let $one = (select * omit id from only large:${l}); let $two = (select * omit id from only large:${m});
        update large:${l} content $two; update large:${m} content $one`,
      found: [l, m].map((id) => `large different ${id} ${swappedFields(l, m)}`),
    },
    {
      kind: 'a row in another table',
      surql: `create small:${n} content (select * omit id from only large:${n}); delete large:${n}`,
      found: [`large missing ${n}`, `small extra ${n}`],
    },
    { kind: 'a key of another type', surql: `create large:⟨${a}⟩ set n = 1`, found: [`large extra "${a}"`] },
    { kind: 'another order of fields', surql: `update large:${ids[14]} set doc = { b: doc.b, a: doc.a }`, found: [] },
    {
      kind: 'superfluous zeros',
      surql: `update large:${ids[15]} set total = ${((ids[15] ?? 0) * 0.25).toFixed(5)}dec`,
      found: [],
    },
  ]
}

/** All but those that the two rows have in common. */
function swappedFields(one: number, two: number): string {
  const fields = ['n', 'name', 'at', 'f', 'total', 'tags']
  const modulus: Readonly<Record<string, number>> = { n: 1_000, f: 7 }
  return fields.filter((name) => modulus[name] === undefined || (one - two) % modulus[name] !== 0).join(' ')
}

export async function plantAndVerify({ source: url, target, rows, copy }: PlantedOptions): Promise<PlantedReport> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(tableSql(rows)).finally(() => client.end())
  await copy()
  const planted = plants(rows)
  await using server = await openServer(target, place)
  for (const { surql } of planted) await server.db.query(surql)
  const before = megabytes()
  let max = before
  const timer = setInterval(() => {
    max = Math.max(max, megabytes())
  }, sampleMs)
  const result = await verify({
    source: new PostgresTriggerSource({ url }),
    target: new SurrealSink({ url: target, ...place, ...root }),
    ...{ id: pipelineId, atRest: true, exclusive: true },
  }).finally(() => clearInterval(timer))
  return {
    kinds: planted.map(({ kind }) => kind),
    expected: planted.flatMap(({ found }) => found).sort(),
    found: result.listed
      .map(({ table, kind, key, fields }) =>
        [table.replace('public.', ''), kind, key, ...[fields.join(' ')].filter((text) => text !== '')].join(' '),
      )
      .sort(),
    rows: result.rows,
    durationMs: result.durationMs,
    rss: { before, max },
  }
}

function megabytes(): number {
  return Math.round(process.memoryUsage().rss / 1e6)
}
