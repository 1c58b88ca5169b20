/** Changes that no row trigger sees: noticed while following, and at the next start, and the table is put right by itself. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Follower, Replica } from '../support/replica.js'

let database: TestDatabase
let url: string
let a: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  url = `${database.url}?sslmode=disable`
  a = await database.client()
  await a.query(`
    create table accounts (id bigint primary key, v text default 'd', n int default 1);
    create schema sales;
    create table sales.stock (id int primary key, v text); insert into sales.stock values (1, 'one');
    insert into accounts select i, 'v' || i from generate_series(1, 20) i;
    create table parts (id int primary key, v text) partition by range (id);
    create table parts_1 partition of parts for values from (0) to (100);
    create table parts_2 partition of parts for values from (100) to (200);
    insert into parts select i, 'p' || i from generate_series(95, 104) i;
    create table loose (id int primary key, v text);
    insert into loose values (205, 'loose');
    create type mood as enum ('sad', 'ok'); create domain feeling as mood; create type pair as (a mood, b int);
    create table moods (id int primary key, v mood); insert into moods values (1, 'sad'), (2, 'ok');
    create table lists (id int primary key, v mood[]); insert into lists values (1, '{sad,ok}');
    create table feelings (id int primary key, v feeling[]); insert into feelings values (1, '{sad}');
    create table pairs (id int primary key, v pair); insert into pairs values (1, '(sad,1)')`)
  replica = new Replica({ url })
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

async function rows(relation: string): Promise<readonly unknown[]> {
  const { rows } = await a.query<{ row: unknown }>(`select to_jsonb(t) as row from ${relation} t order by id`)
  return rows.map(({ row }) => row)
}

function copied(label: string): readonly unknown[] {
  const rows = JSON.parse(JSON.stringify(replica.sink.rows(label))) as { id: number }[]
  return rows.toSorted((x, y) => x.id - y.id)
}

/** Every statement that changes rows without telling a row trigger, and where the rows are afterwards. */
const changes: readonly (readonly [what: string, sql: string, relation: string, warning: string | undefined])[] = [
  ['ADD COLUMN DEFAULT', `alter table accounts add column extra int default 7`, 'accounts', 'table_replaced'],
  ['ALTER TYPE', `alter table accounts alter column n type text using 'n' || n`, 'accounts', 'table_replaced'],
  [
    'ALTER TYPE, same type',
    `alter table accounts alter column v type text using upper(v)`,
    'accounts',
    'table_replaced',
  ],
  ['DROP COLUMN', `alter table accounts drop column n`, 'accounts', 'table_replaced'],
  ['ADD COLUMN', `alter table accounts add column extra int`, 'accounts', 'table_replaced'],
  ['RENAME COLUMN', `alter table accounts rename column n to m`, 'accounts', 'table_replaced'],
  ['RENAME TABLE', `alter table accounts rename to people`, 'people', 'table_renamed'],
  [
    'rename and recreate',
    `begin; alter table accounts rename to old; create table accounts (id bigint primary key, w text);
     insert into accounts values (1, 'new'); commit`,
    'accounts',
    'table_replaced',
  ],
  [
    'ATTACH PARTITION',
    `alter table parts attach partition loose for values from (200) to (300)`,
    'parts',
    'table_replaced',
  ],
  ['DETACH PARTITION', `alter table parts detach partition parts_2`, 'parts', 'table_replaced'],
  ['DROP of a partition', `drop table parts_2`, 'parts', 'table_replaced'],
  ['TRUNCATE of a leaf', `truncate parts_2`, 'parts', undefined],
  ['TRUNCATE', `truncate accounts; insert into accounts values (3, 'after')`, 'accounts', undefined],
  ['VACUUM FULL', `vacuum full accounts`, 'accounts', undefined],
  [
    'DISABLE TRIGGER',
    `alter table accounts disable trigger all; update accounts set v = 'unseen'; delete from accounts where id = 3`,
    'accounts',
    'table_replaced',
  ],
  [
    'DISABLE and ENABLE TRIGGER',
    `do $$ declare t name; begin
       alter table accounts disable trigger all;
       update accounts set v = 'unseen';
       for t in select tgname from pg_trigger where tgrelid = 'accounts'::regclass loop
         execute format('alter table accounts enable always trigger %I', t);
       end loop; end $$`,
    'accounts',
    'table_replaced',
  ],
  [
    'DROP TRIGGER',
    `do $$ declare t name; begin for t in select tgname from pg_trigger where tgrelid = 'accounts'::regclass loop
       execute format('drop trigger %I on accounts', t); end loop; end $$;
     update accounts set v = 'unseen'`,
    'accounts',
    'table_replaced',
  ],
  [
    'another key',
    `alter table accounts drop constraint accounts_pkey, add primary key (id, v)`,
    'accounts',
    'table_replaced',
  ],
  ...['moods', 'lists', 'feelings', 'pairs'].map(
    (table) =>
      [
        `RENAME VALUE of an enum, ${table}`,
        `alter type mood rename value 'sad' to 'blue'`,
        table,
        'table_replaced',
      ] as const,
  ),
  ['ADD VALUE to an enum', `alter type mood add value 'angry' before 'sad'`, 'moods', undefined],
  ['RENAME ATTRIBUTE', `alter type pair rename attribute b to c`, 'pairs', 'table_replaced'],
  ['ADD ATTRIBUTE', `alter type pair add attribute c int`, 'pairs', 'table_replaced'],
  ['RENAME of a schema', `alter schema sales rename to shop`, 'shop.stock', 'table_renamed'],
]

describe('while the source is followed', () => {
  it.each(changes)('%s', async (what, sql, relation, stopped) => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    await a.query(sql)
    const label = relation.includes('.') ? relation : `public.${relation}`
    await expect.poll(async () => copied(label), { timeout: 15_000 }).toEqual(await rows(relation))
    await a.query(`insert into ${relation} (id) values (77)`)
    await expect.poll(async () => copied(label), { timeout: 15_000 }).toEqual(await rows(relation))
    await follower.stop()
    const codes = replica.warnings.map(({ code }) => code)
    const warning = ['ADD COLUMN', 'DROP COLUMN'].includes(what) ? 'table_altered' : stopped
    if (warning === undefined) expect(codes).toEqual([])
    else expect(codes).toContain(warning)
  })

  it('says that a table was dropped, and keeps its records', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    await a.query('drop table accounts')
    await expect.poll(() => replica.warnings.map(({ code }) => code), { timeout: 15_000 }).toEqual(['table_gone'])
    await a.query(`update parts set v = 'later'`)
    await expect.poll(async () => copied('public.parts'), { timeout: 15_000 }).toEqual(await rows('parts'))
    await follower.stop()
    expect(copied('public.accounts')).toHaveLength(20)
  })

  it('another expression of a generated column', async ({ skip }) => {
    const { rows: versions } = await a.query<{ version: number }>(
      `select current_setting('server_version_num')::int as version`,
    )
    const version = versions[0]?.version ?? 0
    if (version < 170_000) skip()
    await a.query(`alter table accounts add column s int generated always as (n + 1) stored`)
    if (version >= 180_000) await a.query(`alter table accounts add column g int generated always as (n + 1) virtual`)
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    for (const column of version >= 180_000 ? ['s', 'g'] : ['s']) {
      await a.query(`alter table accounts alter column ${column} set expression as (n + 2)`)
      await expect.poll(async () => copied('public.accounts'), { timeout: 15_000 }).toEqual(await rows('accounts'))
    }
    await follower.stop()
  })

  it('stops, with writers unharmed, when a table loses its key', async () => {
    await replica.full()
    const engine = replica.engine()
    const started = new Promise((resolve) => engine.once('caughtUp', resolve))
    const run = engine.run({ phase: 'incremental', follow: true })
    const refused = expect(run).rejects.toMatchObject({
      code: 'E_TABLE_WITHOUT_KEY',
      details: { table: 'public.accounts' },
    })
    await started
    await a.query('alter table accounts drop column id')
    await refused
    await a.query(`insert into accounts values ('keyless', 1); update accounts set v = 'x'; delete from accounts`)
  })

  it('follows a key column that gets another name or type, so that writers fail for a moment at most', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    const other = await database.client()
    await other.query(`update accounts set v = 'planned' where id = 5`)
    for (const sql of ['rename column id to key', 'alter column key type int', 'alter column key type numeric']) {
      await a.query(`alter table accounts ${sql}`)
      const write = () =>
        other.query(`update accounts set v = v || '!' where key = 5`).then(
          () => 'written',
          () => 'refused',
        )
      await expect.poll(write, { timeout: 15_000 }).toBe('written')
    }
    await a.query('alter table accounts rename column key to id')
    await expect.poll(async () => copied('public.accounts').length, { timeout: 15_000 }).toBe(20)
    await follower.stop()
  })
})

describe.each([
  ['from the exact state', false],
  ['from the bare number', true],
])('while nobody follows, and then %s', (_, bare) => {
  it.each(changes)('%s', async (_, sql, relation, warning) => {
    await replica.full()
    await replica.catchUp()
    await a.query(sql)
    if (bare) await replica.catchUpFromNumber()
    else await replica.catchUp()
    const label = relation.includes('.') ? relation : `public.${relation}`
    expect(copied(label)).toEqual(await rows(relation))
    await a.query(`insert into ${relation} (id) values (77)`)
    await replica.catchUp()
    expect(copied(label)).toEqual(await rows(relation))
    const codes = replica.warnings.map(({ code }) => code)
    if (warning === undefined) expect(codes).toEqual([])
    else expect(codes).toContain(warning)
  })
})

describe('while nobody follows', () => {
  it('refuses to go on without a table that lost its key, and says which tables are gone', async () => {
    await replica.full()
    await a.query('drop table loose; alter table accounts drop column id')
    await expect(replica.catchUp()).rejects.toMatchObject({ code: 'E_TABLE_WITHOUT_KEY' })
    await a.query('drop table accounts')
    await replica.catchUp()
    expect(replica.warnings.map(({ code, table }) => `${code} ${table}`)).toEqual(
      expect.arrayContaining(['table_gone public.accounts', 'table_gone public.loose']),
    )
  })

  it('does not copy again what has not changed', async () => {
    await replica.full()
    for (let turn = 0; turn < 3; turn++) await replica.catchUp()
    await a.query('analyze; create index on accounts (v); grant select on accounts to public')
    await a.query('vacuum')
    const before = replica.sink.operations.length
    await replica.catchUp()
    expect(replica.sink.operations.slice(before)).toEqual([])
    expect(replica.warnings).toEqual([])
  })
})

describe('the event trigger', () => {
  it.each(['row', 'statement'] as const)(
    'keeps writers from failing at all, and writes the same function (%s)',
    async (triggerLevel) => {
      replica = new Replica({ url, eventTrigger: true, triggerLevel })
      await a.query(
        `create table odd (a int, b date, "C""x" text, primary key (a, b, "C""x")); insert into odd values (1, 'today', 'x')`,
      )
      await replica.full()
      const other = await database.client()
      await other.query(`update accounts set v = 'cached plan' where id = 1; update odd set a = 2`)
      const bodies = async () =>
        (await a.query('select prosrc from pg_proc where proname ~ $1 order by oid', ['^surreal_sync_capture'])).rows
      await a.query('alter table accounts rename column id to key; alter table odd rename column "C""x" to plain')
      await other.query(`update accounts set v = 'renamed' where key = 2; update odd set plain = 'y'`)
      await a.query('alter table accounts alter column key type int; alter table odd alter column a type numeric')
      await other.query(`update accounts set v = 'retyped' where key = 3; update odd set a = 1.50`)
      const written = await bodies()
      await replica.catchUp()
      expect(await bodies()).toEqual(written)
      expect(replica.sink.rows('public.accounts').map(({ v }) => v)).toEqual(
        expect.arrayContaining(['renamed', 'retyped']),
      )
      await a.query('alter table odd drop constraint odd_pkey')
      await other.query('update odd set a = 3')
      await replica.full().catch(() => {})
      await a.query('alter table odd add primary key (plain)')
      await replica.full()
      const after = await bodies()
      await replica.full()
      expect(await bodies()).toEqual(after)
    },
  )
})
