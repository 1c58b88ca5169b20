/** A full sync that reads several parts of tables at once: every row once, and from one moment where nothing is captured. */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { TableProgress } from '../../src/core/events.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const rowCount = 20_000
const balance = 1_000

let database: TestDatabase
let client: pg.Client

beforeAll(async () => {
  database = await createDatabase()
  client = await database.client()
  // One row on each page, so that a small table has three chunks.
  await client.query(`
    create table accounts (id int primary key, balance int not null, filler text not null) with (fillfactor = 10);
    alter table accounts alter filler set storage plain;
    insert into accounts select i, ${balance}, repeat('x', 900) from generate_series(1, ${rowCount}) i;
    create table events (id int, part int, filler text not null, primary key (part, id)) partition by list (part);
    create table events_few partition of events for values in (0) with (fillfactor = 10);
    create table events_many partition of events for values in (1) with (fillfactor = 10);
    insert into events select i, (i > 500)::int, repeat('x', 900) from generate_series(1, ${rowCount / 2}) i;
    create table nothing (id int primary key);
    analyze`)
}, 120_000)

afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

function sumOf(sink: MemorySink): number {
  return sink.rows('public.accounts').reduce((sum, row) => sum + Number(row.balance), 0)
}

describe.each([1, 4])('%d chunks at once', (concurrency) => {
  it.each([false, true])('captured: %s', async (captured) => {
    const sink = new MemorySink()
    const source = new PostgresTriggerSource({ url: database.url })
    const checkpoints = captured ? new MemoryCheckpointStore() : undefined
    const engine = new SyncEngine({ source, sink, checkpoints, concurrency })
    const last = new Map<string, TableProgress>()
    engine.on('table', (progress) => last.set(progress.table.label, progress))
    const writer = await database.client()
    let writing = true
    const write = (async () => {
      for (let turn = 1; writing; turn += 1) {
        const [from, to] = [(turn * 7_919) % rowCount, (turn * 104_729) % rowCount].map((id) => id + 1)
        await writer.query(
          `update accounts set balance = balance + case id when ${from} then -1 else 1 end where id in (${from}, ${to}) and ${from} <> ${to}`,
        )
      }
    })()
    await engine.run({ phase: 'full' }).finally(() => {
      writing = false
    })
    await write
    expect(sink.rows('public.accounts')).toHaveLength(rowCount)
    expect(sink.rows('public.events')).toHaveLength(rowCount / 2)
    expect(sink.rows('public.nothing')).toEqual([])
    for (const label of ['public.accounts', 'public.events']) {
      const { state, chunks } = last.get(label) ?? {}
      expect(state).toBe('done')
      expect(chunks?.total).toBeGreaterThan(1)
      expect(chunks?.done).toBe(chunks?.total)
    }
    // Captured chunks are of several moments, until the changes are replayed.
    if (captured) await engine.run({ phase: 'incremental' })
    expect(sumOf(sink)).toBe(rowCount * balance)
  })
})
