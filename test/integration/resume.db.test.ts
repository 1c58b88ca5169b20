/** A full sync of PostgreSQL that was cut off goes on: nothing that was finished is copied again, nothing is missed. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SyncEvents } from '../../src/core/events.js'
import type { Chunk, Snapshot, SnapshotOptions } from '../../src/core/source.js'
import type { RunOptions, SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Replica } from '../support/replica.js'
import { SurrealReplica } from '../support/surreal-replica.js'

/** One row on a page: three chunks of 8,192 pages. */
const rowCount = 20_000
const chunkRows = 8_192

let database: TestDatabase
let url: string
let client: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  url = `${database.url}?sslmode=disable`
  client = await database.client()
  await client.query(`
    create table accounts (id int primary key, v text, filler text not null) with (fillfactor = 10);
    alter table accounts alter filler set storage plain;
    insert into accounts select i, 'v' || i, repeat('x', 900) from generate_series(1, ${rowCount}) i;
    create table notes (id int primary key, v text); insert into notes values (1, 'one');
    analyze`)
}, 60_000)

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

/** Runs until so many chunks of the large table are done. */
async function cutOff(engine: SyncEngine, done = 1): Promise<void> {
  const stop = new AbortController()
  engine.on('table', ({ table, chunks }) => {
    if (table.label === 'public.accounts' && chunks?.done === done) stop.abort()
  })
  expect(await engine.run({ phase: 'full', signal: stop.signal })).toMatchObject({ reason: 'aborted' })
}

async function goOn(engine: SyncEngine, options: RunOptions = {}) {
  let resumed: SyncEvents['resumed'][0] | undefined
  engine.on('resumed', (event) => {
    resumed = event
  })
  const { tables, phase } = await engine.run(options)
  return { resumed, phase, rows: tables.get('public.accounts')?.rows ?? 0 }
}

it('into SurrealDB: finished chunks are not copied again, and changes made meanwhile are applied', async () => {
  await using replica = await SurrealReplica.open({ url, engine: { concurrency: 1 } })
  await cutOff(replica.engine(), 2)
  await client.query(`
    update accounts set v = 'changed' where id % 1000 = 1;
    update accounts set id = id + 100000 where id % 1000 = 2;
    delete from accounts where id % 1000 = 3;
    insert into accounts select i, 'new', 'x' from generate_series(200001, 200010) i;
    insert into notes values (2, 'two')`)
  const { resumed, phase, rows } = await goOn(replica.engine())
  expect(phase).toBe('incremental')
  expect(resumed).toMatchObject({ chunks: { done: 2, total: 4 } })
  expect(rows).toBeGreaterThan(0)
  expect(rows).toBeLessThan(rowCount - 2 * chunkRows + 200)
  await replica.expectEqual()
})

it('a table that somebody emptied meanwhile is copied from the start', async () => {
  await using replica = await SurrealReplica.open({ url, engine: { concurrency: 1 } })
  await cutOff(replica.engine(), 2)
  await replica.db.query('REMOVE TABLE accounts')
  const { rows } = await goOn(replica.engine())
  expect(rows).toBe(rowCount)
  expect(replica.warnings.map(({ code }) => code)).toContain('table_restarted')
  await replica.expectEqual()
})

describe('rows that move without a trigger', () => {
  /** Does something before the second chunk of the large table is read. */
  class Disturbed extends PostgresTriggerSource {
    readonly #disturb: () => Promise<unknown>
    #reads = 0

    constructor(disturb: () => Promise<unknown>) {
      super({ url })
      this.#disturb = disturb
    }

    override async openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
      const snapshot = await super.openSnapshot(options)
      const read = snapshot.read.bind(snapshot)
      const disturbing = async function* (this: Disturbed, chunk: Chunk, ...rest: [Parameters<Snapshot['read']>[1]]) {
        if (chunk.table.label === 'public.accounts') this.#reads += 1
        if (this.#reads === 2) await this.#disturb()
        yield* read(chunk, ...rest)
      }
      snapshot.read = disturbing.bind(this)
      return snapshot
    }
  }

  it.each([
    ['VACUUM FULL', 'vacuum full accounts'],
    ['CLUSTER', 'cluster accounts using accounts_pkey'],
  ])('%s between two chunks', async (_, statement) => {
    const replica = new Replica({ url })
    // The rows of the second chunk come to where those of the first one were.
    const source = new Disturbed(async () => {
      await client.query(`delete from accounts where id <= ${chunkRows}`)
      await client.query(statement)
    })
    const engine = replica.engine({ source, concurrency: 1, retry: { delayMs: 0, delayMsMax: 0 } })
    const codes: string[] = []
    engine.on('retry', ({ code }) => codes.push(code))
    await engine.run()
    expect(codes).toEqual(['E_BUSY'])
    await expectSameIds(replica)
  })

  it('VACUUM FULL before it goes on: the table is copied from the start', async () => {
    const replica = new Replica({ url })
    await cutOff(replica.engine({ concurrency: 1 }))
    await client.query(`delete from accounts where id <= ${chunkRows}`)
    await client.query('vacuum full accounts')
    const { resumed, rows } = await goOn(replica.engine())
    expect(resumed).toMatchObject({ chunks: { done: 0 } })
    expect(rows).toBe(rowCount - chunkRows)
    expect(replica.warnings).toMatchObject([{ code: 'table_restarted', table: 'public.accounts' }])
    await expectSameIds(replica)
  })
})

it('what nobody captured meanwhile is found all the same', async () => {
  const replica = new Replica({ url })
  await cutOff(replica.engine({ concurrency: 1 }))
  await client.query(`
    alter table accounts disable trigger user;
    update accounts set v = 'unseen' where id = 1;
    alter table accounts enable trigger user`)
  await goOn(replica.engine())
  expect(replica.warnings).toMatchObject([{ code: 'table_replaced', table: 'public.accounts' }])
  expect(replica.column('public.accounts', 'v')['1']).toBe('unseen')
})

it('an audit table that was removed meanwhile: it begins again, and says so', async () => {
  const replica = new Replica({ url })
  await cutOff(replica.engine({ concurrency: 1 }))
  await new PostgresTriggerSource({ url }).teardown()
  await client.query(`update accounts set v = 'unseen' where id = 1`)
  const { resumed, rows } = await goOn(replica.engine())
  expect([resumed, rows]).toEqual([undefined, rowCount])
  expect(replica.warnings).toMatchObject([{ code: 'full_sync_restarted', message: expect.stringMatching(/again/) }])
  expect(replica.column('public.accounts', 'v')['1']).toBe('unseen')
})

it('a table that was added meanwhile is captured and copied, one that left is left alone', async () => {
  const replica = new Replica({ url, tables: ['accounts', 'notes'] })
  await cutOff(replica.engine({ concurrency: 1 }), 2)
  await client.query(`create table added (id int primary key, v text); insert into added values (1, 'a')`)
  const other = replica.engine({
    source: new PostgresTriggerSource({ url, tables: ['accounts', 'added'] }),
  })
  const { resumed } = await goOn(other, { phase: 'full' })
  expect(resumed).toMatchObject({ chunks: { done: 2, total: 4 } })
  await client.query(`update added set v = 'b'; insert into added values (2, 'c'); delete from accounts where id = 1`)
  await replica
    .engine({ source: new PostgresTriggerSource({ url, tables: ['accounts', 'added'] }) })
    .run({ phase: 'incremental' })
  expect(replica.column('public.added', 'v')).toEqual({ 1: 'b', 2: 'c' })
  expect(replica.warnings).toEqual([])
  await expectSameIds(replica)
})

it('a table without a key is copied again, since nothing of it is captured', async () => {
  await client.query(`create table loose (v text); insert into loose values ('a')`)
  const replica = new Replica({ url, keyless: 'copy', tables: ['accounts', 'loose'] })
  await cutOff(replica.engine({ concurrency: 1 }), 2)
  // Its chunk comes last, so the first run goes on to it.
  const first = replica.engine({ concurrency: 1 })
  const stop = new AbortController()
  first.on('table', ({ table, state }) => table.label === 'public.loose' && state === 'done' && stop.abort())
  await first.run({ phase: 'full', signal: stop.signal })
  await client.query(`update loose set v = 'b'`)
  await goOn(replica.engine(), { phase: 'full' })
  expect(replica.sink.rows('public.loose').map(({ v }) => v)).toEqual(['b'])
})

async function expectSameIds({ sink }: Replica): Promise<void> {
  const { rows } = await client.query<{ id: number }>('select id from accounts order by id')
  const ids = sink.rows('public.accounts').map(({ id }) => Number(id))
  expect(ids.toSorted((a, b) => a - b)).toEqual(rows.map(({ id }) => id))
}
