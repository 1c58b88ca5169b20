/** Closing: as often as one likes, before and after, and the same object opens again. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { PostgresTriggerSource, type Sink, type Source, SurrealSink } from '../../src/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

let database: TestDatabase
let server: SurrealServer

beforeAll(async () => {
  database = await createDatabase()
  server = await startSurreal()
})

afterAll(async () => {
  await server.stop()
  await database[Symbol.asyncDispose]()
})

const context = { syncId: 'test', warn: () => {} }

async function closesAgain(side: Source | Sink): Promise<void> {
  await side.close?.()
  for (let time = 0; time < 2; time += 1) {
    await side.open?.(context)
    await Promise.all([side.close?.(), side.close?.()])
    await side.close?.()
  }
}

const ours = `select wait_event_type from pg_stat_activity
  where application_name like 'surreal-sync%' and datname = current_database()`

it('a PostgreSQL source closes again, and leaves no connection', async () => {
  const source = new PostgresTriggerSource({ url: database.url })
  await closesAgain(source)
  await expect(source.tables()).rejects.toMatchObject({ code: 'E_CONFIG' })
  const client = await database.client()
  await expect.poll(async () => (await client.query(ours)).rows).toEqual([])
})

it('a PostgreSQL source leaves no connection that was in use when it closed', async () => {
  const client = await database.client()
  await client.query('create table surreal_sync_consumers (id text, report jsonb)')
  await client.query('begin; lock table surreal_sync_consumers')
  const source = new PostgresTriggerSource({ url: database.url })
  await source.open(context)
  const report = source.report({ phase: 'full', tables: [] })
  const waiting = { wait_event_type: 'Lock' }
  await expect.poll(async () => (await client.query(ours)).rows).toEqual([waiting])
  await source.close()
  await client.query('commit')
  await report
  await expect.poll(async () => (await client.query(ours)).rows).toEqual([])
})

it('a SurrealDB sink closes again', async () => {
  const user = { username: 'root', password: 'root' }
  await closesAgain(new SurrealSink({ url: server.ws, namespace: 'n', database: 'd', ...user }))
  await closesAgain(new SurrealSink({ url: 'mem://', namespace: 'n', database: 'd' }))
})
