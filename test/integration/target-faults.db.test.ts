/** What may become of a target while a pipeline follows, and what it does about it: a server, its storage, its sessions. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { createRemoteEngines, Surreal } from 'surrealdb'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import {
  PostgresTriggerSource,
  type RunResult,
  SurrealSink,
  SyncEngine,
  type SyncWarning,
  verify,
} from '../../src/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const place = { namespace: 'n', database: 'd' }
const root = { username: 'root', password: 'root' }

let database: TestDatabase
let client: pg.Client
let directory: string
let server: SurrealServer
const warnings: SyncWarning[] = []

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query(
    `create table t (id int primary key, v text); insert into t select i, 'v' || i from generate_series(1, 100) i`,
  )
  directory = await mkdtemp(join(tmpdir(), 'surreal-sync-target-'))
  server = await startSurreal({ storage: `surrealkv://${storage()}` })
  warnings.length = 0
})

afterEach(async () => {
  await server.stop()
  await database[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

const storage = () => join(directory, 'data')

function ends() {
  return {
    source: new PostgresTriggerSource({ url: `${database.url}?sslmode=disable` }),
    sink: new SurrealSink({ url: server.ws, ...place, ...root }),
  }
}

function pipeline(): SyncEngine {
  const { source, sink } = ends()
  const engine = new SyncEngine({
    source,
    sink,
    checkpoints: sink,
    retry: { attemptsMax: 50, delayMs: 20, delayMsMax: 200 },
  })
  engine.on('warning', (warning) => warnings.push(warning))
  return engine
}

interface Followed extends AsyncDisposable {
  stop(): Promise<RunResult>
}

async function follow(): Promise<Followed> {
  const engine = pipeline()
  const stop = new AbortController()
  const caughtUp = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
  const ended = engine.run({ follow: true, signal: stop.signal })
  await Promise.race([caughtUp, ended])
  const end = () => {
    stop.abort()
    return ended
  }
  return { stop: end, [Symbol.asyncDispose]: async () => void (await end().catch(() => undefined)) }
}

async function startAgain(): Promise<void> {
  server = await startSurreal({ storage: `surrealkv://${storage()}`, port: server.port })
}

async function query<T>(text: string): Promise<T> {
  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await db.connect(server.ws, { ...place, authentication: root, reconnect: false })
  try {
    const [result] = await db.query<[T]>(text)
    return result
  } finally {
    await db.close()
  }
}

const arrived = (id: number) => () =>
  query<string[]>(`SELECT VALUE v FROM t:${id}`).then(
    (found) => found.length === 1,
    () => false,
  )

async function expectEqual(): Promise<void> {
  const { source, sink } = ends()
  expect(await verify({ source, target: sink, atRest: true, exclusive: true })).toMatchObject({ equal: true })
}

it('a server that is killed under the load, and starts again on its storage, gets the rest', async () => {
  await using run = await follow()
  for (const turn of [1, 2]) {
    const writing = client.query(
      `update t set v = v || '+' where id <= 50; insert into t values (${100 + turn}, 'last')`,
    )
    await server.kill()
    await writing
    await startAgain()
    await eventually(arrived(100 + turn), 'the changes arrive')
  }
  await run.stop()
  await expectEqual()
})

it('a target that is restored from a backup gets again what came after it, and says so', async () => {
  await pipeline().run()
  await server.stop()
  await cp(storage(), join(directory, 'backup'), { recursive: true })
  await startAgain()
  await client.query(
    `update t set v = 'changed' where id < 10; delete from t where id > 90; insert into t values (200, 'new')`,
  )
  await pipeline().run()
  await expectEqual()
  await server.stop()
  await rm(storage(), { recursive: true })
  await cp(join(directory, 'backup'), storage(), { recursive: true })
  await startAgain()
  expect(await query<unknown[]>('SELECT * FROM t:200')).toEqual([])
  await pipeline().run()
  expect(await query<unknown[]>('SELECT * FROM t:200')).toHaveLength(1)
  await expectEqual()
})

it('a session that expires is followed by a new one, whichever request is told', async () => {
  await using run = await follow()
  for (const nth of [1, 2]) {
    const fault = await server.fault({ when: 'before', action: 'expire', matching: 'token', nth })
    for (const id of [300 + nth, 310 + nth]) {
      await client.query(`insert into t values (${id}, 'x')`)
      await eventually(arrived(id), 'the row arrives')
    }
    await fault.triggered
  }
  await client.query(`insert into t values (399, 'end')`)
  await eventually(arrived(399), 'the last row arrives')
  await run.stop()
  await expectEqual()
})

it('what others write into records is found by verify, and put right by the next change of the row', async () => {
  await pipeline().run()
  await query(`UPDATE t:1 SET v = 'foreign'; DELETE t:2; CREATE t:900 SET v = 'foreign'`)
  const { source, sink } = ends()
  expect(await verify({ source, target: sink, atRest: true, exclusive: true })).toMatchObject({ equal: false })
  await client.query(`update t set v = v || '!' where id in (1, 2); insert into t values (900, 'ours')`)
  await pipeline().run()
  await expectEqual()
})
