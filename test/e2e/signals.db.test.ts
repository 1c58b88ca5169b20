/** Whatever ends a run, or cuts its connections, the next one goes on and both sides end up equal. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compareDatabases, expectEqualDatabases } from '../support/compare.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { type Command, type Directory, type Ended, start, surrealSync, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { observeSource, observeTarget } from './observe.js'
import { createShop, execute, lastChange, Writers, withClient } from './shop.js'
import { openTarget } from './target.js'

const runMsMax = 240_000
/** The copy of this many takes a while. */
const large = { customers: 8_000, orders: 12_000 }
const small = { customers: 300, orders: 1_000 }

let source: TestDatabase
let target: SurrealServer
let directory: Directory

beforeEach(async () => {
  source = await createDatabase()
  directory = await temporaryDirectory()
  target = await startSurreal({ storage: `surrealkv://${join(directory.path, 'target')}` })
})

afterEach(async () => {
  await target.stop()
  await source[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

function flags(...others: readonly string[]): readonly string[] {
  return [...connectionFlags(source.url, target.ws), ...others]
}

function startSync(...others: readonly string[]): Command {
  return start(['sync', 'postgresql', ...flags(...others)], { cwd: directory.path, timeoutMs: runMsMax })
}

async function full(): Promise<Ended> {
  return await surrealSync(['full', 'postgresql', ...flags('--emit-checkpoints')], { cwd: directory.path })
}

async function incremental(...others: readonly string[]): Promise<Ended> {
  return await surrealSync(['incremental', 'postgresql', ...flags(...others)], { cwd: directory.path })
}

/** Runs `sync` until it has applied everything, and compares. */
async function expectSyncMakesEqual(): Promise<void> {
  await using sync = startSync()
  await sync.saw(/: Caught up with the source at /)
  sync.kill('SIGTERM')
  expect(await sync.ended).toMatchObject({ code: 0 })
  await expectEqual()
}

async function expectEqual(): Promise<void> {
  await using connection = await openTarget(target.ws)
  await expectEqualDatabases({ source: source.url, target: connection.db })
}

async function rowsInTarget(): Promise<number> {
  await using connection = await openTarget(target.ws)
  const { tables } = await compareDatabases({ source: source.url, target: connection.db })
  return tables.reduce((sum, { records }) => sum + records, 0)
}

/** Ends the product's sessions in the source. Returns how many there were: in between two tries there is none. */
async function terminateAll(): Promise<number> {
  return await withClient(source.url, async (client) => {
    const { rows } = await client.query<{ count: number }>(
      `select count(pg_terminate_backend(pid))::int as count from pg_stat_activity
       where application_name like 'surreal-sync%' and datname = current_database()`,
    )
    return rows[0]?.count ?? 0
  })
}

/** The largest table comes first, and the next one takes a while. */
const copying = /: Copied public\.orders: /
const caughtUp = /: Caught up with the source at /

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  test('during the full sync ends it in order, and the next run completes it', { timeout: runMsMax }, async () => {
    await createShop(source.url, large)
    await using writers = new Writers(source.url)
    await using sync = startSync()
    await sync.saw(copying)
    sync.kill(signal)
    const { code, stderr } = await sync.ended
    expect(code).toBe(0)
    expect(stderr).toMatch(/: Stopping after the open writes; a second signal stops at once\n/)
    expect(stderr).toMatch(/: Stopped: .+\n$/)
    expect(stderr).not.toMatch(/^error:/m)
    await writers.more(20)
    await writers.stop()
    expect(await rowsInTarget()).toBeGreaterThan(0)
    await expectSyncMakesEqual()
  })

  test('while it follows changes ends it in order, and the next run goes on', { timeout: runMsMax }, async () => {
    await createShop(source.url, small)
    await using writers = new Writers(source.url)
    await using sync = startSync()
    await sync.saw(caughtUp)
    await writers.more(50)
    sync.kill(signal)
    const { code, stderr } = await sync.ended
    expect(code).toBe(0)
    expect(stderr).toMatch(/: Stopped: .+, position postgresql:sequence:\d+(, 1 warning)? \[.+\]\n$/)
    await writers.more(50)
    await writers.stop()
    await expectSyncMakesEqual()
  })

  test('given twice ends it at once', { timeout: runMsMax }, async () => {
    await createShop(source.url, large)
    await using sync = startSync()
    await sync.saw(copying)
    await target.pause()
    sync.kill(signal)
    await sync.saw(/: Stopping after the open writes/)
    sync.kill(signal)
    const { code } = await sync.ended
    await target.resume()
    expect(code).toBe(signal === 'SIGINT' ? 130 : 143)
    await expectSyncMakesEqual()
  })
})

describe('kill -9', () => {
  test.each([
    ['during the full sync', copying, large],
    ['while it follows changes', caughtUp, small],
  ] as const)('%s loses nothing', { timeout: runMsMax }, async (_, moment, size) => {
    await createShop(source.url, size)
    await using writers = new Writers(source.url)
    for (let kill = 0; kill < 2; kill += 1) {
      await using sync = startSync()
      // The second one goes on where the first one was: if that was the end of the copy, it has nothing to copy.
      await sync.saw(kill === 0 ? moment : new RegExp(`${moment.source}|${caughtUp.source}`))
      // However fast it copies, it does not come to an end.
      if (moment === copying) await target.pause()
      await writers.more(10)
      sync.kill('SIGKILL')
      expect(await sync.ended).toMatchObject({ signal: 'SIGKILL' })
      if (moment === copying) await target.resume()
    }
    await writers.more(20)
    await writers.stop()
    await expectSyncMakesEqual()
  })
})

test('connections that are cut while it follows changes are opened again', { timeout: runMsMax }, async () => {
  await createShop(source.url, small)
  await using writers = new Writers(source.url)
  await using sync = startSync('--log-level', 'debug')
  await sync.saw(caughtUp)
  for (let cut = 0; cut < 3; cut += 1) {
    await writers.more(20)
    await target.cutAll()
    await writers.more(20)
    await expect.poll(terminateAll, { timeout: runMsMax }).toBeGreaterThan(0)
  }
  await writers.stop()
  await execute(source.url, `insert into customers (name) values ('the last one')`)
  await sync.appliedUpTo(await lastChange(source.url))
  sync.kill('SIGTERM')
  const { code, stderr } = await sync.ended
  expect(code).toBe(0)
  expect(stderr).not.toMatch(/^error:/m)
  await expectEqual()
})

test('sync goes on after a full sync of its own kind, without copying again', { timeout: runMsMax }, async () => {
  await createShop(source.url, small)
  expect(await full()).toMatchObject({ code: 0 })
  await execute(source.url, `update customers set name = 'changed' where id <= 5`)
  await using sync = startSync()
  await sync.saw(caughtUp)
  sync.kill('SIGINT')
  const { stderr } = await sync.ended
  expect(stderr).not.toMatch(/: Copying /)
  expect(stderr).toMatch(/: Stopped: 3 tables, 5 changes in /)
  await expectEqual()
})

test('a dry run says what would happen, and writes nothing on either side', { timeout: runMsMax }, async () => {
  await createShop(source.url, small)
  const before = [await observeSource(source.url), await observeTarget(target.ws)]
  const { path: cwd } = directory
  const first = await surrealSync(['sync', 'postgresql', ...flags('--dry-run')], { cwd })
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^3 tables:\n {2}public\.Stock levels /m) })
  expect(first.stdout).toMatch(
    /1\. capture changes, and copy 3 tables\n {2}2\. apply the changes made since the copy began/,
  )
  const second = await surrealSync(['full', 'postgresql', ...flags('--dry-run', '--log-format', 'json')], { cwd })
  expect(JSON.parse(second.stdout)).toMatchObject({ event: 'plan', phases: ['full'], tables: [{}, {}, {}] })
  expect([await observeSource(source.url), await observeTarget(target.ws)]).toEqual(before)

  expect(await full()).toMatchObject({ code: 0 })
  const installed = [await observeSource(source.url), await observeTarget(target.ws)]
  const third = await surrealSync(['incremental', 'postgresql', ...flags('--incremental-from', '0', '--dry-run')], {
    cwd,
  })
  expect(third).toMatchObject({ code: 0 })
  expect(third.stdout).toMatch(/1\. apply the changes made after postgresql:sequence:0\n/)
  expect([await observeSource(source.url), await observeTarget(target.ws)]).toEqual(installed)
})

test('incremental, started again with the same flags, goes on where it stopped', { timeout: runMsMax }, async () => {
  await createShop(source.url, small)
  expect(await full()).toMatchObject({ code: 0 })
  const from = ['--incremental-from', 'postgresql:sequence:0']
  await execute(source.url, `update customers set name = 'first' where id <= 10`)
  const first = await incremental(...from, '--incremental-to', await lastChange(source.url))
  expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/: Finished: 3 tables, 10 changes in /) })
  await execute(source.url, `update customers set name = 'second' where id <= 3`)
  const second = await incremental(...from, '--incremental-to', await lastChange(source.url))
  expect(second).toMatchObject({ code: 0, stderr: expect.stringMatching(/: Finished: 3 tables, 3 changes in /) })
  await expectEqual()

  // Someone has changed the copy: replaying repairs it.
  await using connection = await openTarget(target.ws)
  await connection.db.query(`update customers set name = 'spoilt' where id < customers:8`)
  const replay = await incremental(...from, '--replay', '--incremental-to', await lastChange(source.url))
  expect(replay).toMatchObject({ code: 0, stderr: expect.stringMatching(/: Finished: 3 tables, 10 changes in /) })
  await expectEqual()
})

test('incremental refuses to start after what it has applied', { timeout: runMsMax }, async () => {
  await createShop(source.url, small)
  expect(await full()).toMatchObject({ code: 0 })
  await execute(source.url, `update customers set name = 'changed' where id <= 10`)
  const { code, stderr } = await incremental('--incremental-from', '5', '--incremental-to', '10')
  expect(code).toBe(2)
  expect(stderr).toMatch(
    /^error: .+postgresql:sequence:0 .+postgresql:sequence:5 .+ \[E_CHECKPOINT_MISMATCH\]\nhint: .+--replay/m,
  )
})

test('incremental ends at t2, also if the last changes before it were rolled back', { timeout: runMsMax }, async () => {
  await createShop(source.url, small)
  expect(await full()).toMatchObject({ code: 0 })
  await withClient(source.url, async (client) => {
    await client.query(`update customers set name = 'kept' where id = 1`)
    await client.query(`begin; update customers set name = 'undone' where id <= 5; rollback`)
  })
  // Where t2 is when that happens during the full sync.
  const ended = await incremental('--incremental-from', '0', '--incremental-to', '6', '--timeout', '30s')
  expect(ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/: Finished: 3 tables, 1 change in /) })
  await expectEqual()
})
