/** One job in a process of its own: `tsx child.ts '{"kind":"sync",…}'` prints a sample as JSON on its last line. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { Surreal } from 'surrealdb'
import {
  PostgresTriggerSource,
  SurrealSink,
  type SurrealSinkOptions,
  SyncEngine,
  type Transform,
} from '../../src/index.js'
import { MemorySink } from '../../src/testing/index.js'
import { startSurreal } from '../support/surreal-server.js'
import { timed } from './clock.js'
import type { Job, Sample } from './job.js'
import { followLatency } from './latency.js'
import { naiveCopy, naiveEncode } from './naive.js'
import { encodeTable, openLanes, send } from './pieces.js'

const job = JSON.parse(process.argv[2] ?? '') as Job
const directory = await mkdtemp(join(tmpdir(), 'surreal-sync-bench-'))
const storages: { readonly [target: string]: string } = { ws: 'mem://', wskv: `surrealkv://${join(directory, 'data')}` }
const storage = storages[job.target]
await using server = storage === undefined ? undefined : await startSurreal({ storage })
const sinkOptions: SurrealSinkOptions = {
  url: server?.ws ?? (job.target === 'mem' ? 'mem://' : `${job.target}://${join(directory, 'data')}`),
  ...{ namespace: 'bench', database: 'bench' },
  ...(server === undefined ? {} : { username: 'root', password: 'root' }),
}
try {
  console.log(JSON.stringify(await run()))
} finally {
  await rm(directory, { recursive: true, force: true })
}
// An embedded engine may keep threads.
process.exit(0)

function source(): PostgresTriggerSource {
  return new PostgresTriggerSource({ url: job.postgres.url, tables: [job.table] })
}

async function run(): Promise<Sample> {
  const { kind, postgres, table } = job
  const measure = (work: () => Promise<number>) => timed(postgres.dataDir, work)
  const second = async (work: () => Promise<number>) => {
    await work()
    return measure(work)
  }
  switch (kind) {
    case 'sync':
      return measure(() => fullSync())
    case 'objects':
      return measure(() => fullSync(true))
    case 'encode':
      return second(async () => (await encodeTable(source(), sinkOptions, false)).rows)
    case 'encodeNaive':
      return second(() => naiveEncode(postgres.url, table))
    case 'naive': {
      const db = await naiveTarget()
      return measure(() => naiveCopy(postgres.url, table, db))
    }
    case 'pure': {
      const pieces = await encodeTable(source(), sinkOptions, true)
      const lanes = await openLanes(pieces)
      return measure(() => send(pieces, lanes, 'insert'))
    }
    case 'apply': {
      const pieces = await encodeTable(source(), sinkOptions, true)
      const lanes = await openLanes(pieces)
      await send(pieces, lanes, 'insert')
      await changeEveryRow()
      const changed = await encodeTable(source(), sinkOptions, true)
      return measure(() => send(changed, lanes, 'upsert'))
    }
    case 'drain':
      return drain(measure)
    case 'latency':
      return followLatency(job)
  }
}

async function fullSync(transformed = false): Promise<number> {
  const sink = await SurrealSink.connect(sinkOptions)
  const transforms: readonly Transform[] = transformed ? [(rows) => rows.map((row) => ({ ...row, seen: true }))] : []
  const { tables } = await new SyncEngine({ source: source(), sink, transforms }).run({ phase: 'full' })
  return [...tables.values()].reduce((sum, { rows }) => sum + rows, 0)
}

/** A full sync and a change of every row are not measured. */
async function drain(measure: (work: () => Promise<number>) => Promise<Sample>): Promise<Sample> {
  const checkpoints = new MemorySink()
  const engine = () => new SyncEngine({ source: source(), sink: new SurrealSink(sinkOptions), checkpoints })
  await engine().run({ phase: 'full' })
  await changeEveryRow()
  return measure(async () => {
    const { tables } = await engine().run({ phase: 'incremental' })
    return tables.get(`public.${job.table}`)?.changes ?? 0
  })
}

async function changeEveryRow(): Promise<void> {
  const client = new pg.Client({ connectionString: job.postgres.url })
  await client.connect()
  await client.query(`update ${job.table} set n = n + 1`)
  await client.end()
}

async function naiveTarget(): Promise<Surreal> {
  const { createNodeEngines } = await import('@surrealdb/node')
  const db = new Surreal({ engines: createNodeEngines() })
  await db.connect(String(sinkOptions.url))
  await db.use({ namespace: 'bench', database: 'bench' })
  await db.query(`DEFINE TABLE IF NOT EXISTS ${job.table}`)
  return db
}
