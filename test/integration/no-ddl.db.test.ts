/** Runs as a role that may create nothing, after a DBA ran the script. */
import type pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { PostgresTriggerSource } from '../../src/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { Follower, Replica } from '../support/replica.js'
import { createRole, type TestRole } from '../support/roles.js'

let database: TestDatabase
let admin: pg.Client
let runner: TestRole
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  admin = await database.client()
  runner = await createRole(database)
  await admin.query(`create table users (id int primary key, v text); insert into users values (1, 'one');
    create table parts (id int primary key, v text) partition by range (id);
    create table parts_1 partition of parts for values from (0) to (100);
    revoke create on schema public from public`)
  await install()
  replica = new Replica({ url: `${runner.url}?sslmode=disable` })
  await replica.full()
})

afterEach(async () => {
  await new PostgresTriggerSource({ url: `${database.url}?sslmode=disable` }).teardown()
  await runner[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

/** What the DBA does. */
async function install(): Promise<void> {
  const source = new PostgresTriggerSource({ url: `${runner.url}?sslmode=disable` })
  await admin.query(await source.installSql({ role: runner.name }))
}

const codes = () => replica.warnings.map(({ code }) => code)

it('follows changes, and columns that come and go', async () => {
  const { rows } = await admin.query(`
    select n.nspname from pg_namespace n where has_schema_privilege('${runner.name}', n.oid, 'create')
    union all select c.relname from pg_class c where pg_get_userbyid(c.relowner) = '${runner.name}'`)
  expect(rows).toEqual([])
  await admin.query(`update users set v = 'changed'; insert into parts values (1, 'part')`)
  await replica.catchUp()
  expect(replica.column('public.users', 'v')).toEqual({ 1: 'changed' })
  expect(replica.sink.rows('public.parts')).toHaveLength(1)
  expect(replica.warnings).toEqual([])
  const follower = new Follower(replica)
  await follower.reaches(0)
  await admin.query(`alter table users add column w int; insert into users values (2, 'two', 2)`)
  await eventually(async () => replica.column('public.users', 'w')[2] === 2, 'the new column is there')
  await follower.stop()
  expect(codes()).toEqual(['table_altered'])
})

it('stops where what captures a table must be made anew, and names the script, after which it goes on', async () => {
  await admin.query(`alter table users rename column id to key`)
  const remedy = { code: 'E_RIGHTS', details: { hint: expect.stringContaining('surreal-sync plan postgresql --sql') } }
  await expect(replica.catchUp()).rejects.toMatchObject({ ...remedy, message: expect.stringMatching(/public\.users/) })
  // Also a full sync finds it out, before anything else.
  await expect(replica.full()).rejects.toMatchObject(remedy)
  await expect(admin.query(`insert into users values (2, 'two')`)).rejects.toThrow()
  await install()
  await admin.query(`insert into users values (2, 'two')`)
  await replica.catchUp()
  expect(replica.column('public.users', 'v', 'key')).toEqual({ 1: 'one', 2: 'two' })
})

it('says that connected writers may fail where a key got another type of the same kind', async () => {
  const writer = await database.client()
  await writer.query(`insert into users values (3, 'three')`)
  const follower = new Follower(replica)
  await follower.reaches(1)
  await admin.query('alter table users alter column id type bigint')
  await eventually(async () => codes().includes('function_not_rewritten'), 'it warns')
  await follower.stop()
  await install()
  await writer.query(`insert into users values (4, 'four')`)
  await replica.catchUp()
  expect(Object.keys(replica.column('public.users', 'v'))).toEqual(['1', '3', '4'])
})

it('follows new partitions, and notices by their files that one was truncated', async () => {
  const follower = new Follower(replica)
  await follower.reaches(0)
  await admin.query(
    `create table parts_2 partition of parts for values from (100) to (200); insert into parts values (100, 'new')`,
  )
  await eventually(async () => replica.sink.rows('public.parts').length === 1, 'the row of the new partition is there')
  expect(codes()).toContain('triggers_incomplete')
  await admin.query('truncate parts_2')
  await eventually(async () => replica.sink.rows('public.parts').length === 0, 'the row is gone')
  await admin.query(`insert into parts values (101, 'again')`)
  await eventually(async () => replica.sink.rows('public.parts').length === 1, 'the next row is there')
  await follower.stop()
  // While nobody runs, too; and what merely is incomplete is not copied again at each start.
  replica.warnings.length = 0
  await replica.catchUp()
  expect(codes()).toEqual(['triggers_incomplete'])
  await admin.query('truncate parts_2')
  await replica.catchUp()
  expect(replica.sink.rows('public.parts')).toEqual([])
  await install()
  replica.warnings.length = 0
  await admin.query(`insert into parts values (102, 'then'); truncate parts_2`)
  await replica.catchUp()
  await replica.catchUp()
  expect(replica.sink.rows('public.parts')).toEqual([])
  expect(codes().filter((code) => code !== 'table_replaced')).toEqual([])
})

it('refuses a table that lost its key, as for anybody else', async () => {
  await admin.query('alter table users drop constraint users_pkey')
  await expect(replica.catchUp()).rejects.toMatchObject({ code: 'E_TABLE_WITHOUT_KEY' })
})
