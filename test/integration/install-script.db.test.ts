/** The script that `plan --sql` prints installs what the installer installs, and a role that may create nothing finds it right. */
import type pg from 'pg'
import { expect, it } from 'vitest'
import { PostgresTriggerSource, type PostgresTriggerSourceOptions } from '../../src/index.js'
import { catalog } from '../support/catalog.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Replica } from '../support/replica.js'
import { createRole } from '../support/roles.js'

const tables = `create schema sales; create schema "Audit %1$s \\ ""1""";
create table accounts (id bigint primary key, v text); create table sales.stock (id int primary key, v text);
create table parent (id int primary key); create table child (primary key (id)) inherits (parent);
create table "Odd "".%s 'name' $do$" ("Key "" 1" int, b interval, primary key ("Key "" 1", b));
create table parts (id int primary key, v text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100);
create table parts_2 partition of parts for values from (100) to (200) partition by range (id);
create table parts_2a partition of parts_2 for values from (100) to (150);
insert into accounts select i, 'v' || i from generate_series(1, 5) i; insert into parts values (1, 'x'), (120, 'y')`

type Options = Partial<PostgresTriggerSourceOptions>

function sourceOf(database: TestDatabase, options: Options = {}): PostgresTriggerSource {
  return new PostgresTriggerSource({ url: `${database.url}?sslmode=disable`, ...options })
}

/** Numbers of objects are other ones in another database. */
async function likeness(client: pg.Client): Promise<unknown> {
  return JSON.parse(JSON.stringify(await catalog(client)).replace(/(surreal_sync_(?:[a-z]+_)?)\d+/g, '$1n'))
}

/** The transactions that wrote what captures changes. Function texts are written anew. */
async function marks(client: pg.Client): Promise<unknown> {
  const { rows } = await client.query(`
    select 'class' as kind, oid::text, xmin::text from pg_class where relname like 'surreal%'
    union all select 'trigger', oid::text, xmin::text from pg_trigger where tgname like 'surreal%'
    union all select 'meta', key, value::text from "Audit %1$s \\ ""1""".surreal_sync_meta order by 1, 2`)
  return rows
}

it.each<[string, Options]>([
  ['row triggers', {}],
  ['statement triggers and the event trigger', { triggerLevel: 'statement', eventTrigger: true }],
])('installs exactly what the installer installs, once (%s)', async (_, given) => {
  const options = { auditSchema: 'Audit %1$s \\ "1"', ...given }
  await using scripted = await createDatabase()
  await using installed = await createDatabase()
  const [client, other] = [await scripted.client(), await installed.client()]
  for (const each of [client, other]) await each.query(tables)
  const script = await sourceOf(scripted, options).installSql()
  await client.query(script)
  const replica = new Replica({ url: `${installed.url}?sslmode=disable`, ...options })
  await replica.full()
  expect(await likeness(client)).toEqual(await likeness(other))
  // What is there already is left as it is, by either hand.
  const before = await marks(client)
  await client.query(script)
  await new Replica({ url: `${scripted.url}?sslmode=disable`, ...options }).full()
  expect(await marks(client)).toEqual(before)
  await other.query(await sourceOf(installed, options).installSql())
  await other.query(`update accounts set v = 'new' where id = 1`)
  await replica.catchUp()
  expect(replica.warnings).toEqual([])
  expect(replica.column('public.accounts', 'v')).toMatchObject({ 1: 'new' })
  // What is gone is put back.
  await client.query(`drop trigger surreal_sync_guard_delete on "Audit %1$s \\ ""1""".surreal_sync_changes;
    alter table "Audit %1$s \\ ""1""".surreal_sync_consumers drop column report;
    alter table accounts disable trigger all; delete from "Audit %1$s \\ ""1""".surreal_sync_meta where key = 'origin'`)
  await client.query(script)
  expect(await likeness(client)).toEqual(await likeness(other))
  await sourceOf(scripted, options).teardown()
  await sourceOf(installed, options).teardown()
})

it('is refused by another database, and by another table of the same name, which it leaves as they were', async () => {
  await using database = await createDatabase()
  await using elsewhere = await createDatabase()
  const [client, other] = [await database.client(), await elsewhere.client()]
  for (const each of [client, other]) await each.query('create table t (id int primary key)')
  const script = await sourceOf(database).installSql()
  const before = await catalog(other)
  await expect(other.query(script)).rejects.toMatchObject({ message: expect.stringContaining(database.name) })
  await other.query('rollback')
  expect(await catalog(other)).toEqual(before)
  await client.query('drop table t; create table t (id int primary key)')
  await expect(client.query(script)).rejects.toMatchObject({
    message: 'The table public.t is not the one that this script was made for',
    hint: expect.stringContaining('plan postgresql --sql'),
  })
  await client.query('rollback')
  const { rows } = await client.query(`select tgname from pg_trigger where tgrelid = 't'::regclass`)
  expect(rows).toEqual([])
  await sourceOf(database).teardown()
})

it('takes back what default privileges give, and grants what running takes to nobody but the role', async () => {
  await using database = await createDatabase()
  await using runner = await createRole(database)
  await using stranger = await createRole(database)
  const client = await database.client()
  await client.query(`create schema sales; create table sales.t (id int primary key); revoke all on schema public from public;
    alter default privileges grant all on tables to ${stranger.name};
    alter default privileges grant all on sequences to ${stranger.name};
    alter default privileges grant execute on functions to ${stranger.name}`)
  await client.query(await sourceOf(database).installSql({ role: runner.name }))
  const { rows } = await client.query<{ name: string; acl: string }>(`
    select c.relname as name, c.relacl::text as acl from pg_class c where c.relname like 'surreal%' and c.relkind in ('r', 'S')
    union all select p.proname, p.proacl::text from pg_proc p where p.proname like 'surreal%'`)
  expect(rows.filter(({ acl }) => acl.includes(stranger.name))).toEqual([])
  expect(
    rows
      .filter(({ acl }) => acl.includes(runner.name))
      .map(({ name }) => name)
      .sort(),
  ).toEqual([
    'surreal_sync_changes',
    'surreal_sync_changes_sequence_id_seq',
    'surreal_sync_consumers',
    'surreal_sync_meta',
  ])
  const replica = new Replica({ url: `${runner.url}?sslmode=disable` })
  await replica.full()
  await client.query('insert into sales.t values (1)')
  await replica.catchUp()
  expect(replica.sink.rows('sales.t')).toHaveLength(1)
  expect(replica.warnings).toEqual([])
  await sourceOf(database).teardown()
})

it('may be run by an owner who can make no roles', async () => {
  await using database = await createDatabase()
  await using owner = await createRole(database)
  await using runner = await createRole(database)
  const client = await database.client()
  await client.query(`create table t (id int primary key); alter table t owner to ${owner.name};
    alter schema public owner to ${owner.name}`)
  // Who asks need not have any right.
  const script = await new PostgresTriggerSource({ url: `${runner.url}?sslmode=disable` }).installSql({
    role: runner.name,
  })
  const owning = await owner.client()
  await owning.query(script)
  await owning.query(script)
  const { rows } = await client.query(
    `select distinct proowner::regrole::text as owner from pg_proc where proname ~ '^surreal_sync_capture'`,
  )
  expect(rows).toEqual([{ owner: owner.name }])
  const replica = new Replica({ url: `${runner.url}?sslmode=disable` })
  await replica.full()
  await client.query('insert into t values (1)')
  await replica.catchUp()
  expect(replica.column('public.t', 'id')).toEqual({ 1: 1 })
  await sourceOf(database).teardown()
})
