/** Keys in the audit table that are older than the key: of other types, of other columns, with values of other names. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Follower, Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  replica = new Replica({ url: `${database.url}?sslmode=disable` })
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

/** More audit rows than the first delta takes in. */
const backlogRows = 1_200

const changes: readonly (readonly [what: string, setup: string, alter: string])[] = [
  [
    'a value of its enum was renamed',
    `create type mood as enum ('sad', 'ok'); create table t (id mood primary key, v int); insert into t values ('sad', 1), ('ok', 2)`,
    `alter type mood rename value 'sad' to 'blue'`,
  ],
  [
    'it was text and became a number',
    `create table t (id text primary key, v int); insert into t values ('it''s', 1), ('2', 2), ('\\x', 3)`,
    `alter table t alter column id type int using length(id)`,
  ],
  [
    'numbers became smaller ones',
    `create table t (id bigint primary key, v int); insert into t values (5000000000, 1), (7, 2)`,
    `alter table t alter column id type smallint using id % 1000`,
  ],
  [
    'it is another column',
    `create table t (id text primary key, v int not null); insert into t values ('a', 1), ('bb', 2)`,
    `alter table t drop constraint t_pkey, add primary key (v)`,
  ],
  [
    'it has one column more',
    `create table t (id int primary key, v int not null); insert into t values (1, 1), (2, 2)`,
    `alter table t drop constraint t_pkey, add primary key (id, v)`,
  ],
  [
    'it has one column less',
    `create table t (id int, v int, primary key (v, id)); insert into t values (1, 10), (2, 20)`,
    `alter table t drop constraint t_pkey, add primary key (id)`,
  ],
]

describe.each(changes)('a table whose key changed: %s', (_, setup, alter) => {
  beforeEach(async () => {
    await client.query(setup)
    await replica.full()
  })

  const write = (rows: number) =>
    client.query(`do $$ begin for i in 1..${rows} loop update t set v = v; end loop; end $$`)
  const expectEqual = () => expectFresh(replica, { url: database.url })

  it('is read behind a backlog of old keys, and again from the bare number', async () => {
    await write(backlogRows)
    await client.query(alter)
    await replica.catchUp()
    await expectEqual()
    await client.query('delete from t where v in (1, 10)')
    await replica.run({ phase: 'incremental', from: '0', replay: true })
    await expectEqual()
    expect(replica.warnings.map(({ code }) => code)).toEqual(['table_replaced'])
  })

  it('is followed', async () => {
    const follower = new Follower(replica)
    await follower.reaches(0)
    await write(2)
    await client.query(`begin; update t set v = v; ${alter}; commit`)
    await expect.poll(() => replica.warnings.map(({ code }) => code), { timeout: 15_000 }).toEqual(['table_replaced'])
    await client.query('delete from t where v in (1, 10)')
    await expect
      .poll(() => replica.sink.rows('public.t').some(({ v }) => v === 1 || v === 10), { timeout: 15_000 })
      .toBe(false)
    await follower.stop()
    await replica.catchUp()
    await expectEqual()
  })
})
