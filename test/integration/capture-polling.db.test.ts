/** How often a reader asks, how much it takes in at once, and what it keeps in memory. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import { type Batch, isBarrier } from '../../src/core/batch.js'
import type { Sink } from '../../src/core/sink.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Follower, Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query('create table t (id bigint primary key, v text)')
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a follower', () => {
  it('asks many times a second for a while after a change, and then a few times', async () => {
    const replica = new Replica({ url: database.url })
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    const transactions = async () => {
      const sql = 'select xact_commit as count from pg_stat_database where datname = current_database()'
      return Number((await client.query<{ count: string }>(sql)).rows[0]?.count)
    }
    /** PostgreSQL counts what a session did about once a second. */
    const perSecond = async (seconds: number) => {
      const before = await transactions()
      await pause(seconds * 1_000)
      return ((await transactions()) - before) / seconds
    }
    await client.query('insert into t values (1)')
    const busy = await perSecond(4)
    await pause(4_000)
    const idle = await perSecond(5)
    console.log(`transactions a second: ${busy} after a change, ${idle} when idle`)
    // Four polls, and two or three questions about structure.
    expect(idle).toBeLessThan(12)
    expect(busy).toBeGreaterThan(2 * idle)
    const seen = follower.reaches(2)
    const startedAt = performance.now()
    await client.query('insert into t values (2)')
    await seen
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await follower.stop()
  })

  it('takes in more at once the further it is behind, and little when it is not', async () => {
    const replica = new Replica({ url: database.url })
    await replica.full()
    await client.query('insert into t select i from generate_series(1, 120000) i')
    const follower = new Follower(replica)
    const positions: number[] = [0]
    follower.engine.on('checkpoint', ({ text }) => positions.push(Number(text.split(':').at(-1))))
    const sizes = () => positions.slice(1).map((position, index) => position - (positions[index] ?? 0))
    await follower.reaches(120_000)
    expect(sizes()).toEqual([1_000, 4_000, 16_000, 64_000, 35_000])
    positions.splice(0, positions.length, 120_000)
    const reached = follower.reaches(123_000)
    await client.query('insert into t select i from generate_series(120001, 123000) i')
    await reached
    expect(sizes()).toEqual([1_000, 2_000])
    await follower.stop()
  })
})

/** Counts rows and forgets them; now and then notes how much memory is in use when all garbage is gone. */
class ForgetfulSink implements Sink {
  readonly name = 'forgetful'
  readonly #collect: () => void
  rows = 0
  writes = 0
  bytesMax = 0

  constructor() {
    setFlagsFromString('--expose-gc')
    this.#collect = runInNewContext('gc') as () => void
  }

  async write(batch: Batch): Promise<void> {
    if (!isBarrier(batch)) for (const _ of batch.rows()) this.rows += 1
    this.writes += 1
    if (this.writes % 10 === 0) this.measure()
  }

  measure(): number {
    this.#collect()
    const { heapUsed, external } = process.memoryUsage()
    this.bytesMax = Math.max(this.bytesMax, heapUsed + external)
    return heapUsed + external
  }
}

describe('the memory of a reader', () => {
  it.each([
    ['numbers', 'i', 150_000],
    ['texts of 500 letters', `repeat('x', 500) || i`, 50_000],
  ])('is bounded whatever the backlog: keys are %s', async (_, key, rowCount) => {
    const sink = new ForgetfulSink()
    const checkpoints = new MemoryCheckpointStore()
    const engine = () => new SyncEngine({ source: new PostgresTriggerSource({ url: database.url }), sink, checkpoints })
    await client.query('create table k (k text primary key)')
    await engine().run({ phase: 'full' })
    await client.query(`insert into k select ${key} from generate_series(1, ${rowCount}) i`)
    await client.query('delete from k')
    const before = sink.measure()
    await engine().run({ phase: 'incremental' })
    const grownMib = (sink.bytesMax - before) / 1_048_576
    console.log(`at most ${grownMib.toFixed(1)} MiB more, for ${rowCount * 2} audit rows`)
    expect(sink.rows).toBeGreaterThanOrEqual(rowCount)
    expect(grownMib).toBeLessThan(96)
  })
})
