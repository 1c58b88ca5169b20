/** How long after its commit a row is seen in the target, with one row a second. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { RecordId, Surreal } from 'surrealdb'
import { PostgresTriggerSource, SurrealSink, SyncEngine } from '../../src/index.js'
import { MemorySink } from '../../src/testing/index.js'
import { timed } from './clock.js'
import type { Job, Sample } from './job.js'

/** Follows an empty table into `mem://`, which is read through the same engine. */
export async function followLatency({ postgres, rows }: Job): Promise<Sample> {
  const { createNodeEngines } = await import('@surrealdb/node')
  const db = new Surreal({ engines: createNodeEngines() })
  await db.connect('mem://')
  await db.use({ namespace: 'bench', database: 'bench' })
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query('drop table if exists ticks; create table ticks (id int primary key, v text)')

  const stop = new AbortController()
  const engine = new SyncEngine({
    source: new PostgresTriggerSource({ url: postgres.url, tables: ['ticks'] }),
    sink: new SurrealSink({ connect: async () => db, disconnect: async () => {}, writers: 1 }),
    checkpoints: new MemorySink(),
  })
  const caughtUp = new Promise((resolve) => engine.once('caughtUp', resolve))
  const run = engine.run({ follow: true, signal: stop.signal })
  await caughtUp
  const latenciesMs: number[] = []
  const sample = await timed(postgres.dataDir, async () => {
    for (let id = 1; id <= rows; id += 1) {
      await sleep(1_000)
      await client.query('insert into ticks values ($1, $2)', [id, `tick ${id}`])
      const committedAt = performance.now()
      while ((await db.select(new RecordId('ticks', id))) === undefined) await sleep(1)
      latenciesMs.push(performance.now() - committedAt)
    }
    return rows
  })
  stop.abort()
  await run
  await client.end()
  return { ...sample, latenciesMs }
}
