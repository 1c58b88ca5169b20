// A SurrealDB live query that fires when a row is written in PostgreSQL.
import { createNodeEngines } from '@surrealdb/node'
import { MemoryCheckpointStore, PostgresTriggerSource, SurrealSink, SyncEngine } from 'surreal-sync'
import { Surreal, Table } from 'surrealdb'

const { DATABASE_URL = '' } = process.env
const db = new Surreal({ engines: createNodeEngines() })
await db.connect('mem://', { namespace: 'app', database: 'app' })

const engine = new SyncEngine({
  id: 'live',
  source: new PostgresTriggerSource({ url: DATABASE_URL, tables: ['users'] }),
  sink: new SurrealSink({ connect: async () => db, disconnect: async () => undefined }),
  checkpoints: new MemoryCheckpointStore(),
})

// Whoever listens from here on hears of changes only: everything that was there has been copied.
engine.once('caughtUp', async () => {
  const live = await db.live(new Table('users'))
  live.subscribe(({ action, value }) => console.log(action, JSON.stringify(value)))
  console.log('listening')
})

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.once('SIGINT', () => stop.abort())
await engine.run({ follow: true, signal: stop.signal })
await db.close()
