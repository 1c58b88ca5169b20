/** What the log of a run says to whoever reads it, and what it does not say twice. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { type Directory, start, surrealSyncHere, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { execute } from './shop.js'
import { database, namespace } from './target.js'

let source: TestDatabase
let target: SurrealServer
let directory: Directory

beforeAll(async () => {
  source = await createDatabase()
  await execute(source.url, 'create table users (id bigint primary key); insert into users values (1)')
  target = await startSurreal()
  directory = await temporaryDirectory()
})

afterAll(async () => {
  await target.stop()
  await source[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

function withoutTlsChoice(url: string): string {
  const other = new URL(url)
  other.searchParams.delete('sslmode')
  return other.href
}

test('a sync says what runs from where to where, warns once of plaintext, and repeats no position', async () => {
  const url = withoutTlsChoice(source.url)
  const args = ['sync', 'postgresql', ...connectionFlags(url, target.ws), '--log-level', 'debug']
  await using command = start(args, { cwd: directory.path })
  await command.saw(/Caught up/)
  for (const id of [2, 3]) {
    await execute(source.url, `insert into users values (${id}); update users set id = id where id = ${id}`)
    await command.saw(new RegExp(`Caught up with the source at postgresql:sequence:${2 * id - 2}$`, 'm'))
  }
  command.kill('SIGTERM')
  const { code, stderr } = await command.ended
  expect(code).toBe(0)

  const { host, pathname } = new URL(source.url)
  const first = stderr.split('\n').find((line) => line.startsWith('INFO'))
  expect(first).toContain(
    `INFO surreal_sync::postgresql: Sync from postgresql://${host}${pathname} to ${target.ws}, ` +
      `namespace ${namespace}, database ${database} (pipeline `,
  )
  expect(stderr).not.toContain(new URL(source.url).password)
  expect(stderr.match(/^WARN .*not encrypted$/gm)).toHaveLength(1)
  const caughtUp = stderr.match(/Caught up with the source at \S+/g) ?? []
  expect(caughtUp).toEqual([...new Set(caughtUp)])
  // For people, once is enough.
  expect(stderr.match(/^INFO .*Caught up/gm)).toHaveLength(1)
})

test('a run of one phase says which', async () => {
  const flags = connectionFlags(source.url, target.ws)
  const { stderr } = await surrealSyncHere(['full', 'postgresql', ...flags, '--to-namespace', 'another'])
  expect(stderr).toMatch(/^INFO surreal_sync::postgresql: Full sync from postgresql:.* to ws:.*, namespace another, /)
})
