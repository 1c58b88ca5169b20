/** What the log of a run says to whoever reads it, and what it does not say twice. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { type Directory, start, surrealSyncHere, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { execute } from './shop.js'
import { database, namespace, openServer } from './target.js'

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

const jsonLines = (text: string): readonly Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

test.each([
  ...['plan', 'check', 'full', 'incremental', 'sync', 'verify', 'repair', 'status', 'cleanup', 'teardown'].map(
    (name) => [name, 'postgresql'] as const,
  ),
  ['resync', 'postgresql', 'users'],
  ['quarantine', 'list'],
  ['quarantine', 'retry'],
])('%s %s says as JSON why it failed', async (...command) => {
  const from = command[0] === 'incremental' ? ['--incremental-from', 'postgresql:sequence:1'] : []
  const target = ['resync', 'status', 'cleanup', 'teardown'].includes(command[0])
    ? []
    : ['--to-namespace', namespace, '--to-database', database]
  const args = [...command, ...from, ...target, '--source-uri', 'postgresql://h:port/db', '--log-format', 'json']
  const { code, stdout, stderr } = await surrealSyncHere(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  const lines = jsonLines(stderr)
  expect(lines).toEqual([expect.objectContaining({ level: 'error', event: 'error', code: 'E_CONFIG', exit_code: 2 })])
})

test('repair and quarantine retry warn as JSON, by flag and by config file', async () => {
  const flags = connectionFlags(withoutTlsChoice(source.url), target.ws)
  const into = (name: string) => [...flags, '--to-namespace', name]
  const own = ['--checkpoint-dir', directory.path, '--emit-checkpoints']
  const copied = await surrealSyncHere(['full', 'postgresql', ...into('warned'), ...own])
  expect(copied.code, copied.stderr).toBe(0)
  await using refusing = await openServer(target.ws, { namespace: 'refusing', database })
  await refusing.db.query(`DEFINE TABLE users; DEFINE EVENT no ON users THEN { THROW 'no' }`)
  const kept = await surrealSyncHere(['full', 'postgresql', ...into('refusing'), ...own, '--quarantine'])
  expect(kept.code, kept.stderr).toBe(0)

  await using warned = await openServer(target.ws, { namespace: 'warned', database })
  const config = join(directory.path, 'json.yaml')
  await writeFile(config, 'logFormat: json\n')
  const warning = expect.objectContaining({ level: 'warn', event: 'warning', code: 'plaintext' })
  for (const how of [
    ['--log-format', 'json'],
    ['--config', config],
  ]) {
    await warned.db.query('DELETE users:1')
    const repaired = await surrealSyncHere(['repair', 'postgresql', ...into('warned'), ...how])
    expect(repaired.stdout).toBe('1 row differed, 1 repaired, 0 left\n')
    expect(jsonLines(repaired.stderr)).toEqual(expect.arrayContaining([warning]))
    const retried = await surrealSyncHere(['quarantine', 'retry', ...into('refusing'), ...how])
    expect(retried.code).toBe(3)
    expect(retried.stdout).toMatch(/^\d+ rows? tried again, \d+ left$/m)
    expect(jsonLines(retried.stderr)).toEqual(expect.arrayContaining([warning]))
  }
  const unknown = ['full', 'postgresql', ...flags, '--tables', 'nobody', '--config', config]
  const failed = await surrealSyncHere(unknown)
  expect(failed.code).toBe(2)
  expect(jsonLines(failed.stderr).at(-1)).toMatchObject({ event: 'error', code: 'E_UNKNOWN_TABLE', exit_code: 2 })
})
