/** Runs the matrix of docs/operations.md: what a statement does is what the page says. */
import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { SyncError } from '../../src/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Follower, Replica } from '../support/replica.js'

const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const rowPattern =
  /^\| ([^|]+) \| ((?:goes on|altered in place|copied again|no longer followed|stops)[^|]*) \| ([^|]+) \|$/gm
const matrix = [...page.matchAll(rowPattern)].map(([, statement = '', running = '', stopped = '']) => ({
  statement,
  running,
  stopped,
}))

interface Scenario {
  /** Beside the table `t` that every scenario has. */
  readonly setup?: string
  readonly statement: string
  /** Changes afterwards. `undefined`: of the table's rows by its columns `id` and `v`. */
  readonly changes?: string
  /** Tables that are not followed afterwards. */
  readonly others?: readonly string[]
  /** The trigger refuses changes until the statement was noticed. */
  readonly blocks?: boolean
}

const partitions = `
  drop table t; create table t (id int primary key, v text) partition by range (id);
  create table t1 partition of t for values from (0) to (10); create table t2 partition of t for values from (10) to (20);
  insert into t select i, 'v' || i from generate_series(1, 19) i`

const scenarios: Readonly<Record<string, Scenario>> = {
  'add a nullable column': { statement: 'alter table t add column extra int' },
  'add a column with a default': { statement: 'alter table t add column extra int default 7' },
  'add a generated column': { statement: `alter table t add column extra text generated always as (v || '!') stored` },
  'drop a column': { statement: 'alter table t drop column w' },
  'drop a column and add another of its name': {
    statement: 'alter table t drop column w; alter table t add column w int',
  },
  'rename a column': { statement: 'alter table t rename column w to renamed' },
  "change a column's type": { statement: 'alter table t alter column w type double precision' },
  "change a column's type by an expression": { statement: `alter table t alter column w type text using 'was ' || w` },
  'change a default, a check, NOT NULL': {
    statement: 'alter table t alter column w set default 5, alter column w set not null, add check (w < 1000)',
  },
  'create or drop an index': {
    setup: 'create index dropped on t (v)',
    statement: 'create index on t (w); drop index dropped',
  },
  'add an enum value': {
    setup: `create type mood as enum ('sad'); alter table t add column m mood default 'sad'`,
    statement: `alter type mood add value 'ok'`,
    changes: `update t set m = 'ok' where id = 1`,
  },
  'rename an enum value': {
    setup: `create type mood as enum ('sad', 'ok'); alter table t add column m mood default 'sad'`,
    statement: `alter type mood rename value 'sad' to 'blue'`,
    changes: `update t set m = 'ok' where id = 1`,
  },
  'add an attribute to a composite type': {
    setup: `create type pair as (a int, b text); alter table t add column p pair; update t set p = row(id, v)::pair`,
    statement: 'alter type pair add attribute c int',
    changes: 'update t set p.c = 5 where id = 1',
  },
  'rename an attribute of a composite type': {
    setup: `create type inner_pair as (a int, b text); create type pair as (list inner_pair[], n int);
      alter table t add column p pair; update t set p = row(array[row(id, v)::inner_pair], 1)::pair`,
    statement: 'alter type inner_pair rename attribute a to c',
    changes: 'update t set p.n = 5 where id = 1',
  },
  'rename the table': { statement: 'alter table t rename to u', changes: `update u set v = 'new' where id = 1` },
  'move the table to another schema': {
    setup: 'create schema other',
    statement: 'alter table t set schema other',
    changes: `update other.t set v = 'new' where id = 1`,
  },
  'rename its schema': {
    setup: 'create schema other; alter table t set schema other',
    statement: 'alter schema other rename to third',
    changes: `update third.t set v = 'new' where id = 1`,
  },
  'recreate the table': {
    statement: `drop table t; create table t (id int primary key, v text, w int); insert into t values (1, 'x', 1), (50, 'y', 2)`,
  },
  'truncate the table': { statement: 'truncate t' },
  'attach a partition': {
    setup: `${partitions}; create table t3 (id int primary key, v text); insert into t3 values (21, 'attached')`,
    statement: 'alter table t attach partition t3 for values from (20) to (30)',
  },
  'detach a partition': { setup: partitions, statement: 'alter table t detach partition t2', others: ['t2'] },
  'drop a partition': { setup: partitions, statement: 'drop table t2' },
  'drop the table': { statement: 'drop table t', changes: '' },
  'create a table': { statement: `create table u (id int primary key); insert into u values (1)`, others: ['u'] },
  'drop the primary key': { statement: 'alter table t drop constraint t_pkey' },
  'change the primary key': { statement: 'alter table t drop constraint t_pkey, add primary key (v)' },
  'rename a key column': {
    statement: 'alter table t rename column id to number',
    blocks: true,
    changes: `update t set v = 'new' where number = 1; delete from t where number = 2`,
  },
  "change a key column's type": { statement: 'alter table t alter column id type bigint' },
  'disable and enable the trigger': {
    statement: `alter table t disable trigger all; update t set w = 99 where id = 3; alter table t enable trigger all`,
  },
  'VACUUM FULL, CLUSTER': { statement: 'vacuum full t; cluster t using t_pkey' },
  'make the table unlogged': { statement: 'alter table t set unlogged' },
}

const tableSql = `
  create table t (id int primary key, v text, w int); insert into t select i, 'v' || i, i from generate_series(1, 9) i;
  create table other_table (id int primary key); insert into other_table values (1)`
const markerSql = 'insert into other_table select max(id) + 1 from other_table'
const changeSql = `update t set v = 'new' where id = 1; delete from t where id = 2`

interface Prepared {
  readonly client: pg.Client
  readonly replica: Replica
  /** How many operations the full sync took. */
  readonly before: number
  alter(): Promise<void>
  change(): Promise<void>
}

async function prepare(database: TestDatabase, { setup, statement, changes = changeSql }: Scenario): Promise<Prepared> {
  const client = await database.client()
  await client.query(tableSql)
  if (setup !== undefined) await client.query(setup)
  const replica = new Replica({ url: database.url })
  await replica.full()
  replica.warnings.length = 0
  // Some of them cannot run together in one transaction.
  const alter = async () => {
    for (const part of statement.split(';')) await client.query(part)
  }
  const change = async () => {
    await client.query(`${changes}; ${markerSql}`)
  }
  return { client, replica, before: replica.sink.operations.length, alter, change }
}

/** What happened, in the words of the page. */
async function outcome({ replica, before }: Prepared, run: Promise<unknown>): Promise<string> {
  try {
    await run
  } catch (error) {
    if (error instanceof SyncError) return `stops: ${error.code}`
    throw error
  }
  const operations = replica.sink.operations.slice(before).map(({ op }) => op)
  if (operations.includes('replace')) return 'copied again'
  if (operations.includes('alter')) return 'altered in place'
  return replica.warnings.some(({ code }) => code === 'table_gone') ? 'no longer followed' : 'goes on'
}

/** Follows while the changes are made, until they have arrived or the run has ended. */
async function follow({ client, replica, alter, change }: Prepared, { blocks }: Scenario): Promise<void> {
  const follower = new Follower(replica)
  await follower.reaches(0)
  await alter()
  if (blocks)
    await eventually(
      () =>
        change().then(
          () => true,
          () => false,
        ),
      'changes are accepted again',
    )
  else await change()
  const { rows } = await client.query<{ last: string }>(
    'select last_value as last from surreal_sync_changes_sequence_id_seq',
  )
  const arrived = follower.reaches(Number(rows[0]?.last) + 1).catch(() => follower.ended)
  await client.query(markerSql)
  await arrived
  await follower.stop()
}

async function expectFollowed({ replica }: Prepared, database: TestDatabase, { others }: Scenario): Promise<void> {
  await expectFresh(replica, { url: database.url, excludeTables: others })
}

describe('the matrix of docs/operations.md', { timeout: 30_000 }, () => {
  it('names what is tested here', () => {
    expect(matrix.map(({ statement }) => statement)).toEqual(Object.keys(scenarios))
  })

  for (const { statement, running, stopped } of matrix) {
    const scenario = scenarios[statement]
    if (scenario === undefined) continue

    it.concurrent(`${statement} while running: ${running}`, async () => {
      await using database = await createDatabase()
      const prepared = await prepare(database, scenario)
      expect(await outcome(prepared, follow(prepared, scenario))).toBe(running)
      if (!running.startsWith('stops')) await expectFollowed(prepared, database, scenario)
    })

    it.concurrent(`${statement} while stopped: ${stopped}`, async () => {
      await using database = await createDatabase()
      const prepared = await prepare(database, scenario)
      await prepared.alter()
      if (scenario.blocks) await expect(prepared.change()).rejects.toThrow('has no field')
      else await prepared.change()
      expect(await outcome(prepared, prepared.replica.catchUp())).toBe(stopped)
      if (scenario.blocks) {
        await prepared.change()
        await prepared.replica.catchUp()
      }
      if (!stopped.startsWith('stops')) await expectFollowed(prepared, database, scenario)
    })
  }
})
