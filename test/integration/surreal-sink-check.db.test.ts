/** What a sink finds out before anything is written, and that finding out leaves nothing behind. */
import { createRemoteEngines, Surreal } from 'surrealdb'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Sink, SurrealSink, type SurrealSinkOptions } from '../../src/index.js'
import { defineTable } from '../../src/testing/index.js'
import { observeTarget } from '../e2e/observe.js'
import { openServer } from '../e2e/target.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const users = defineTable('public.users', { id: 'integer' }, ['id'])
const empty = defineTable('public.empty', { id: 'integer' }, ['id'])
const password = 'secret'

let server: SurrealServer

beforeAll(async () => {
  server = await startSurreal()
  await using root = await openServer(server.ws)
  await root.db.query(
    `define namespace n; use ns n; define database d; use db d; create users:1 set name = 'of somebody else';
     define user root_editor on root password '${password}' roles editor;
     define user root_viewer on root password '${password}' roles viewer;
     define user namespace_editor on namespace password '${password}' roles editor;
     define user namespace_viewer on namespace password '${password}' roles viewer;
     define user database_editor on database password '${password}' roles editor;
     define user database_viewer on database password '${password}' roles viewer;`,
  )
})

afterAll(() => server.stop())

type Options = Partial<Extract<SurrealSinkOptions, { url: string }>>

function sinkFor(options: Options = {}): SurrealSink {
  const user = { username: 'root', password: options.username === undefined ? 'root' : password }
  return new SurrealSink({ url: server.ws, namespace: 'n', database: 'd', ...user, ...options })
}

/** `fine`, or the code of the refusal. */
async function verdict(sink: Sink, table = empty, phase: 'full' | 'incremental' = 'full'): Promise<string> {
  const before = await observeTarget(server.ws)
  await sink.open?.({ syncId: 'test', warn: () => {} })
  const found = await Promise.resolve(sink.check?.([table], { phase })).then(
    () => 'fine',
    (error: { code: string }) => error.code,
  )
  await sink.close?.()
  expect(await observeTarget(server.ws)).toEqual(before)
  return found
}

const missing = { database: 'elsewhere' }
const allMissing = { namespace: 'elsewhere', database: 'elsewhere' }

it.each<readonly [string, Options]>([
  ['fine', {}],
  ['fine', missing],
  ['fine', allMissing],
  ['fine', { username: 'root_editor' }],
  ['fine', { username: 'root_editor', ...allMissing }],
  ['E_RIGHTS', { username: 'root_viewer' }],
  ['E_RIGHTS', { username: 'root_viewer', ...missing }],
  ['E_RIGHTS', { username: 'root_viewer', ...allMissing }],
  ['fine', { username: 'namespace_editor' }],
  ['fine', { username: 'namespace_editor', ...missing }],
  ['E_RIGHTS', { username: 'namespace_viewer' }],
  ['E_RIGHTS', { username: 'namespace_viewer', ...missing }],
  ['fine', { username: 'database_editor' }],
  ['E_RIGHTS', { username: 'database_viewer' }],
])('is %s: %j', async (expected, options) => {
  expect(await verdict(sinkFor(options))).toBe(expected)
  expect(await verdict(sinkFor({ ...options, url: server.http }))).toBe(expected)
})

it('looks at the content of the target in the full phase, unless it is to be replaced or kept', async () => {
  expect(await verdict(sinkFor(), users)).toBe('E_TARGET_NOT_EMPTY')
  expect(await verdict(sinkFor({ existing: 'replace' }), users)).toBe('fine')
  expect(await verdict(sinkFor({ existing: 'keep' }), users)).toBe('fine')
  expect(await verdict(sinkFor(), users, 'incremental')).toBe('fine')
})

it('finds out that the connections of the caller use no database', async () => {
  const connect = async () => {
    const db = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
    await db.connect(server.ws, { authentication: { username: 'root', password: 'root' }, reconnect: false })
    return db
  }
  expect(await verdict(new SurrealSink({ connect }))).toBe('E_CONFIG')
})

it('finds values that no column has', async () => {
  const values = { columns: { 'public.empty.nothing': { interval: 'string' } } } as const
  expect(await verdict(sinkFor({ values }))).toBe('E_CONFIG')
})
