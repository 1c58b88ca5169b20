/** How a full sync sees the tables: in one snapshot or in one for each part, and what each of them keeps waiting. */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Chunk, ReadOptions, Snapshot, SnapshotOptions } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource, type PostgresTriggerSourceOptions } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

/** One row on a page: two chunks of 8,192 pages. */
const rowCount = 9_000
const balance = 100

let database: TestDatabase
let client: pg.Client
let sink: MemorySink

beforeAll(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query(`
    create table accounts (id int primary key, balance int not null, filler text not null) with (fillfactor = 10);
    alter table accounts alter filler set storage plain;
    insert into accounts select i, ${balance}, repeat('x', 900) from generate_series(1, ${rowCount}) i;
    create table notes (id int primary key, v int); insert into notes values (1, 7);
    analyze`)
}, 60_000)

beforeEach(() => {
  sink = new MemorySink()
})

afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

/** Does something before the snapshot is opened, or before a chunk is read. */
class Disturbed extends PostgresTriggerSource {
  before: (open: () => Promise<Snapshot>) => Promise<Snapshot> = (open) => open()
  atChunk: (index: number) => Promise<unknown> = async () => undefined
  #chunks = 0

  constructor(options: Partial<PostgresTriggerSourceOptions>) {
    super({ url: `${database.url}?sslmode=disable`, ...options })
  }

  override async openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
    const snapshot = await this.before(() => super.openSnapshot(options))
    const read = snapshot.read.bind(snapshot)
    const disturbing = async function* (this: Disturbed, chunk: Chunk, limits: ReadOptions) {
      await this.atChunk(this.#chunks++)
      yield* read(chunk, limits)
    }
    snapshot.read = disturbing.bind(this)
    return snapshot
  }
}

function copy(source: Disturbed, captured: boolean): SyncEngine {
  const checkpoints = captured ? new MemoryCheckpointStore() : undefined
  return new SyncEngine({ source, sink, checkpoints, concurrency: 1 })
}

/** Null: the statement went through within a moment. */
async function refusal(sql: string): Promise<string | null> {
  const other = await database.client()
  try {
    await other.query(`set lock_timeout = '200ms'`)
    await other.query(sql)
    return null
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.code ?? '') : String(error)
  } finally {
    await other.end()
  }
}

describe.each([
  ['auto', true, 'chunked'],
  ['auto', false, 'consistent'],
  ['consistent', true, 'consistent'],
  ['consistent', false, 'consistent'],
  ['chunked', true, 'chunked'],
] as const)('snapshot: %s, captured: %s', (snapshot, captured, actual) => {
  it(`is ${actual}: what it keeps waiting, and what it shows`, async () => {
    const source = new Disturbed({ snapshot })
    const refusals: (string | null)[] = []
    const horizons: boolean[] = []
    source.atChunk = async (index) => {
      // From the one to the other end, and back: the sum stays the same.
      await client.query(`update accounts set balance = balance + case when id <= 10 then ${index ? 1 : -1} else
        ${index ? -1 : 1} end where id <= 10 or id > ${rowCount - 10}`)
      if (index === 0) return
      refusals.push(await refusal(`alter table accounts alter balance set default ${index}`))
      const { rows } = await client.query<{ holds: boolean }>(
        `select bool_or(backend_xmin is not null) as holds from pg_stat_activity
         where datname = current_database() and application_name like 'surreal-sync%'`,
      )
      horizons.push(rows[0]?.holds === true)
    }
    const engine = copy(source, captured)
    await engine.run({ phase: 'full' })
    const waits = actual === 'consistent'
    expect(refusals).toEqual([waits ? '55P03' : null, waits ? '55P03' : null])
    expect(horizons).toEqual([waits, waits])
    if (waits) expect(sum()).toBe(rowCount * balance)
    // Also what was seen in one moment is followed from before it.
    if (captured) await engine.run({ phase: 'incremental' })
    expect(sum()).toBe(rowCount * balance)
    expect(sink.rows('public.accounts')).toHaveLength(rowCount)
  })

  it('waits for a transaction that empties a table, and sees what it put there', async () => {
    const source = new Disturbed({ snapshot, tables: ['notes'] })
    source.before = async (open) => {
      await client.query('begin; truncate notes; insert into notes values (1, 8), (2, 9)')
      const opening = open()
      // With capture it is t1 that waits for whoever is writing.
      if (!captured) await expect.poll(waiting, { timeout: 10_000 }).toBeGreaterThan(0)
      await client.query('commit')
      return opening
    }
    await copy(source, captured).run({ phase: 'full' })
    expect(sink.rows('public.notes').map(({ v }) => v)).toEqual([8, 9])
  })

  it('reads a table as it is by then', async () => {
    const source = new Disturbed({ snapshot, tables: ['notes'] })
    source.before = async (open) => {
      await client.query('alter table notes alter v type text using v::text || $$!$$')
      return open()
    }
    await copy(source, captured).run({ phase: 'full' })
    expect(sink.rows('public.notes').map(({ v }) => v)).toEqual(['8!', '9!'])
    await client.query('alter table notes alter v type int using rtrim(v, $$!$$)::int')
  })
})

it('snapshot: chunked without capture is refused before anything is written', async () => {
  const source = new Disturbed({ snapshot: 'chunked' })
  await expect(copy(source, false).run({ phase: 'full' })).rejects.toMatchObject({
    code: 'E_CONFIG',
    details: { hint: expect.stringContaining('checkpoints') },
  })
  expect(sink.operations).toEqual([])
})

function sum(): number {
  return sink.rows('public.accounts').reduce((total, row) => total + Number(row.balance), 0)
}

/** How many of the product's sessions wait for a lock. */
async function waiting(): Promise<number> {
  const other = await database.client()
  const { rows } = await other.query<{ count: number }>(
    `select count(*)::int from pg_stat_activity where datname = current_database()
     and application_name like 'surreal-sync%' and wait_event_type = 'Lock'`,
  )
  await other.end()
  return rows[0]?.count ?? 0
}
