/** Kinds of tables and of writers that need more than one statement to set up. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query(
    `create table t (id int primary key, v text); insert into t select i, 'v' || i from generate_series(1, 9) i`,
  )
  replica = new Replica({ url: database.url })
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

async function versionOf(server: pg.Client): Promise<number> {
  const { rows } = await server.query<{ version: number }>(
    `select current_setting('server_version_num')::int as version`,
  )
  return rows[0]?.version ?? 0
}

it.each([
  ['captures what logical replication applies: insert, update, delete, truncate', 'row'],
  ['with statement triggers, captures of it only truncate, as the option says', 'statement'],
] as const)('%s', async (_, triggerLevel) => {
  replica = new Replica({ url: database.url, triggerLevel })
  await using publisher = await createDatabase()
  const publishing = await publisher.client()
  const slot = `slot_${publisher.name}`
  await publishing.query(`
    create table t (id int primary key, v text); create table u (id int primary key); insert into u values (1), (2);
    create publication p for table t, u`)
  await publishing.query('select pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput'])
  await client.query('create table u (id int primary key); truncate t; insert into u values (1), (2)')
  await replica.full()
  const conninfo = new URL(inject('postgresUrl'))
  conninfo.pathname = `/${publisher.name}`
  await client.query(
    `create subscription s_${publisher.name} connection '${conninfo.href}' publication p with (create_slot = false, slot_name = ${slot}, copy_data = false)`,
  )
  try {
    await publishing.query(
      `insert into t values (1, 'a'), (2, 'b'), (3, 'c'); update t set v = 'B' where id = 2; delete from t where id = 3`,
    )
    await publishing.query(`update t set id = 10 where id = 1; truncate u; insert into u values (5)`)
    const applied = async () => (await client.query('select from u where id = 5')).rowCount === 1
    await eventually(applied, 'the subscription applied everything')
    await replica.catchUp()
    if (triggerLevel === 'row') await expectFresh(replica, { url: database.url })
    expect(replica.column('public.t', 'v')).toEqual(triggerLevel === 'row' ? { 2: 'B', 10: 'a' } : {})
    expect(replica.column('public.u', 'id')).toEqual({ 5: 5 })
  } finally {
    const name = `s_${publisher.name}`
    await client.query(`alter subscription ${name} disable`)
    await client.query(`alter subscription ${name} set (slot_name = none)`)
    await client.query(`drop subscription ${name}`)
    const unused = async () => {
      const { rows } = await publishing.query('select from pg_replication_slots where slot_name = $1 and active', [
        slot,
      ])
      return rows.length === 0
    }
    await eventually(unused, 'the slot is free')
    await publishing.query('select pg_drop_replication_slot($1)', [slot])
  }
})

it('captures prepared transactions, committed and rolled back', async () => {
  await replica.full()
  const [kept, undone] = [`kept ${database.name}`, `undone ${database.name}`]
  await client.query(`begin; update t set v = 'kept' where id = 1; prepare transaction '${kept}'`)
  await client.query(`begin; update t set v = 'undone' where id = 2; prepare transaction '${undone}'`)
  await replica.catchUp()
  await client.query(`commit prepared '${kept}'`)
  await client.query(`rollback prepared '${undone}'`)
  await replica.catchUp()
  await expectFresh(replica, { url: database.url })
  expect(replica.column('public.t', 'v')).toMatchObject({ 1: 'kept', 2: 'v2' })
})

it('reads virtual generated columns, which no trigger sees', async ({ skip }) => {
  if ((await versionOf(client)) < 180_000) skip()
  await client.query(
    'create table g (id int primary key, n int, twice int generated always as (n * 2) virtual); insert into g values (1, 1)',
  )
  await replica.full()
  await client.query('update g set n = 5; insert into g values (2, 2)')
  await replica.catchUp()
  expect(replica.column('public.g', 'twice')).toEqual({ 1: 10, 2: 4 })
})

describe('skips with a warning by default, and refuses when named,', () => {
  it.each([
    ['unlogged tables', 'create unlogged table x (id int primary key)', 'E_UNSUPPORTED_TABLE'],
    ['views', 'create view x as select * from t', 'E_UNSUPPORTED_TABLE'],
    ['materialized views', 'create materialized view x as select * from t', 'E_UNSUPPORTED_TABLE'],
    [
      'foreign tables',
      'create foreign data wrapper w; create server s foreign data wrapper w; create foreign table x (id int) server s',
      'E_UNSUPPORTED_TABLE',
    ],
    ['tables without a key', 'create table x (id int, v text)', 'E_TABLE_WITHOUT_KEY'],
    [
      'tables with a unique index on nullable columns only',
      'create table x (id int unique, v text)',
      'E_TABLE_WITHOUT_KEY',
    ],
    [
      'tables with a partial unique index only',
      'create table x (id int not null); create unique index on x (id) where id > 0',
      'E_TABLE_WITHOUT_KEY',
    ],
    [
      'tables with a unique index on an expression only',
      'create table x (v text not null); create unique index on x (lower(v))',
      'E_TABLE_WITHOUT_KEY',
    ],
    [
      'partitions',
      'create table r (id int primary key) partition by range (id); create table x partition of r default',
      'E_UNSUPPORTED_TABLE',
    ],
  ])('%s', async (_, setup, code) => {
    await client.query(setup)
    await replica.full()
    expect(replica.sink.rows('public.x')).toEqual([])
    expect(replica.sink.rows('public.t')).toHaveLength(9)
    if (code === 'E_TABLE_WITHOUT_KEY' || !setup.includes('partition')) {
      expect(replica.warnings).toContainEqual(expect.objectContaining({ code: 'table_skipped', table: 'public.x' }))
    }
    await expect(new Replica({ url: database.url, tables: ['t', 'x'] }).full()).rejects.toMatchObject({ code })
  })

  it('temporary tables of other sessions, which it never sees', async () => {
    await client.query('create temporary table x (id int primary key); insert into x values (1)')
    await replica.full()
    await expect(new Replica({ url: database.url, tables: ['x'] }).full()).rejects.toMatchObject({
      code: 'E_UNKNOWN_TABLE',
    })
  })
})

describe('row level security', () => {
  it('is refused where it would hide rows, at the start and when it comes later', async () => {
    const role = `reader_${database.name}`
    await client.query(
      `create role ${role} login password 'x'; grant select, trigger on t to ${role}; grant create on schema public to ${role}`,
    )
    try {
      const limited = new Replica({ url: database.url, user: role, password: 'x' })
      await limited.full()
      await client.query('alter table t enable row level security; create policy p on t using (id = 1)')
      await client.query(`update t set v = 'x' where id = 2`)
      await expect(limited.catchUp()).rejects.toMatchObject({ code: 'E_RLS_FILTERED' })
      expect(limited.sink.rows('public.t')).toHaveLength(9)
      await expect(limited.full()).rejects.toMatchObject({ code: 'E_RLS_FILTERED' })
    } finally {
      await client.query(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`)
    }
  })
})
