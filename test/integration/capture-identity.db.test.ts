/** A position is continued from only where it means what it meant. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decode, encode } from '../../src/sources/postgres/position.js'
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
  await a.query('create table accounts (id bigint primary key, v text)')
  replica = new Replica({ url })
  await replica.full()
  await a.query(`insert into accounts select i, 'v' || i from generate_series(1, 10) i`)
  await replica.catchUp()
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

async function refusal(code: string): Promise<void> {
  const before = replica.sink.operations.length
  await expect(replica.catchUp()).rejects.toMatchObject({ code })
  expect(replica.sink.operations.length).toBe(before)
}

/** As whoever may do so: past the guard. */
async function unguarded(sql: string): Promise<void> {
  await a.query(`alter table surreal_sync_changes disable trigger all; ${sql};
    do $$ declare t name; begin for t in select tgname from pg_trigger where tgrelid = 'surreal_sync_changes'::regclass loop
      execute format('alter table surreal_sync_changes enable always trigger %I', t); end loop; end $$`)
}

describe('a position is refused', () => {
  it('where the last change that was applied is gone', async () => {
    await unguarded('delete from surreal_sync_changes where sequence_id = 10')
    await refusal('E_SOURCE_REWOUND')
  })

  it('where that change is another one', async () => {
    await unguarded(`update surreal_sync_changes set operation = 'DELETE' where sequence_id = 10`)
    await refusal('E_SOURCE_REWOUND')
  })

  it('where the sequence has not come that far', async () => {
    await unguarded(`delete from surreal_sync_changes; select setval('surreal_sync_changes_sequence_id_seq', 5)`)
    await refusal('E_SOURCE_REWOUND')
  })

  it('where changes after it were pruned', async () => {
    await a.query(
      `insert into accounts values (11, 'pruned'); delete from surreal_sync_consumers; delete from surreal_sync_changes`,
    )
    await refusal('E_AUDIT_HOLE')
  })

  it('where the audit table was made anew', async () => {
    await a.query('drop table surreal_sync_changes, surreal_sync_meta, surreal_sync_consumers')
    await refusal('E_AUDIT_HOLE')
    const other = new Replica({ url })
    await other.full()
    await refusal('E_AUDIT_HOLE')
    await replica.full()
    await replica.catchUp()
    expect(replica.sink.rows('public.accounts')).toHaveLength(10)
  })

  it('in a copy of the database, until a full sync made the copy one of its own', async () => {
    const admin = await database.client()
    const checkpoint = await stored()
    await a.end()
    await using copy = await createDatabase()
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    const name = `${copy.name}_copy`
    const elsewhere = await copy.client()
    await admin.end()
    await elsewhere.query(`create database ${name} template ${database.name}`)
    try {
      const copyUrl = url.replace(database.name, name)
      const same = new Replica({ url: copyUrl })
      await same.store.save('default', checkpoint)
      await expect(same.catchUp()).rejects.toMatchObject({ code: 'E_SOURCE_IDENTITY' })
      await expect(same.run({ phase: 'incremental', from: '10' })).rejects.toMatchObject({ code: 'E_SOURCE_IDENTITY' })
      await same.full()
      await same.catchUp()
      expect(same.sink.rows('public.accounts')).toHaveLength(10)
    } finally {
      await elsewhere.query(`drop database ${name} with (force)`)
    }
  })

  it.each([
    ['another cluster', { system: '1' }, 'E_SOURCE_IDENTITY'],
    ['another timeline', { timeline: 99 }, 'E_SOURCE_REWOUND'],
  ])('on %s', async (_, change, code) => {
    const checkpoint = await stored()
    const position = decode(checkpoint.resumeAfter)
    if (position.identity === undefined) throw new Error('There is no identity')
    const resumeAfter = encode({ ...position, identity: { ...position.identity, ...change } })
    await replica.store.save('default', { ...checkpoint, resumeAfter })
    await refusal(code)
  })

  it('also when it is only a new connection of a run that leads elsewhere', async () => {
    const follower = new Follower(replica)
    await follower.reaches(10)
    await unguarded('delete from surreal_sync_changes where sequence_id = 10')
    const ended = follower.ended
    await a.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'surreal-sync%'`)
    await expect(ended).rejects.toMatchObject({ code: 'E_SOURCE_REWOUND' })
  })
})

async function stored() {
  const checkpoint = await replica.store.load('default')
  if (checkpoint === undefined) throw new Error('There is no checkpoint')
  return checkpoint
}
