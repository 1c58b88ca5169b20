/** The library as a program uses it: by its name, in a few lines. */
import { join } from 'node:path'
import {
  type Batch,
  FileCheckpointStore,
  MemoryCheckpointStore,
  PostgresTriggerSource,
  type Row,
  type Sink,
  SurrealSink,
  SyncEngine,
} from 'surreal-sync'
import { expect, test } from 'vitest'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase } from '../support/database.js'
import { startSurreal } from '../support/surreal-server.js'
import { temporaryDirectory } from './command.js'
import { createShop, execute, lastChange } from './shop.js'
import { database, namespace, openMemory, openTarget } from './target.js'

const deadlineMs = 60_000

test('the quick start copies, follows and stops', { timeout: 2 * deadlineMs }, async () => {
  await using postgres = await createDatabase()
  await createShop(postgres.url, { customers: 100, orders: 200 })
  await using server = await startSurreal()
  await using directory = await temporaryDirectory()

  const source = new PostgresTriggerSource({ url: postgres.url })
  const sink = new SurrealSink({ url: server.ws, namespace, database, username: 'root', password: 'root' })
  const checkpoints = new FileCheckpointStore(join(directory.path, 'checkpoints'))
  const engine = new SyncEngine({ source, sink, checkpoints })
  const stop = new AbortController()
  const caughtUp = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
  const run = engine.run({ follow: true, signal: stop.signal })
  await Promise.race([caughtUp, run])

  await execute(postgres.url, `update customers set name = 'changed' where id < 10`)
  const last = await lastChange(postgres.url)
  await new Promise<void>((resolve) => {
    engine.on('caughtUp', ({ text }) => text === last && resolve())
  })
  await using target = await openTarget(server.ws)
  await expectEqualDatabases({ source: postgres.url, target: target.db })
  stop.abort()
  expect(await run).toMatchObject({ reason: 'aborted', phase: 'incremental', position: last })
})

test('a factory gives the sink connections of the program', { timeout: deadlineMs }, async () => {
  await using postgres = await createDatabase()
  await createShop(postgres.url, { customers: 100, orders: 200 })
  await using target = await openMemory()
  const returned: unknown[] = []
  const sink = new SurrealSink({
    connect: async () => target.db,
    disconnect: async (db) => returned.push(db),
  })
  const checkpoints = new MemoryCheckpointStore()
  const engine = new SyncEngine({ source: new PostgresTriggerSource({ url: postgres.url }), sink, checkpoints })
  expect(await engine.run()).toMatchObject({ reason: 'completed', phase: 'incremental' })
  expect(new Set(returned)).toEqual(new Set([target.db]))
  await execute(postgres.url, `delete from customers where id > 90; update orders set customer = customer + 1000`)
  expect(await engine.run()).toMatchObject({ reason: 'completed', phase: 'incremental' })
  await expectEqualDatabases({ source: postgres.url, target: target.db })
})

test('a sink is ten lines', { timeout: deadlineMs }, async () => {
  class TextSink implements Sink {
    readonly name = 'text'
    readonly rows = new Map<string, Row>()

    async write(batch: Batch): Promise<void> {
      const id = (row: Row) => JSON.stringify([batch.table.label, ...batch.table.key.map(({ name }) => row[name])])
      if (batch.op === 'upsert') for (const row of batch.rows()) this.rows.set(id(row), row)
      else if (batch.op === 'delete') for (const row of batch.rows()) this.rows.delete(id(row))
      else for (const key of this.rows.keys()) if (JSON.parse(key)[0] === batch.table.label) this.rows.delete(key)
    }
  }

  await using postgres = await createDatabase()
  await execute(
    postgres.url,
    `create table notes (id integer primary key, line text, at date);
     insert into notes select i, 'line ' || i, date '2024-01-01' + i from generate_series(1, 5) i`,
  )
  const sink = new TextSink()
  const engine = new SyncEngine({
    source: new PostgresTriggerSource({ url: postgres.url }),
    sink,
    checkpoints: new MemoryCheckpointStore(),
  })
  await engine.run()
  expect(sink.rows.size).toBe(5)
  await execute(postgres.url, `delete from notes where id = 1; update notes set id = 7, line = 'moved' where id = 2`)
  await engine.run()
  expect([...sink.rows.keys()].sort()).toEqual([
    '["public.notes",3]',
    '["public.notes",4]',
    '["public.notes",5]',
    '["public.notes",7]',
  ])
  expect(sink.rows.get('["public.notes",7]')).toMatchObject({ id: 7, line: 'moved' })
})
