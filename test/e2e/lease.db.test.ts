/** The same pipeline started twice, as processes: the second one is refused, or takes over and fences the first. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { type Command, type Directory, start, surrealSync, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { observeTarget } from './observe.js'
import { createShop, lastChange, Writers } from './shop.js'
import { openTarget } from './target.js'

const runMsMax = 120_000
const held = {
  code: 5,
  stderr: expect.stringMatching(/^error: .+ is already running.* \[E_LEASE_HELD\]\nhint: .+--takeover/m),
}
const lost = { code: 5, stderr: expect.stringMatching(/^error: Another run took over .+ \[E_LEASE_LOST\]\n/m) }

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

function sync(...others: readonly string[]): Command {
  const flags = [...connectionFlags(source.url, target.ws), '--log-level', 'debug', ...others]
  return start(['sync', 'postgresql', ...flags], { cwd: directory.path, timeoutMs: runMsMax })
}

async function expectEqual(): Promise<void> {
  await using connection = await openTarget(target.ws)
  await expectEqualDatabases({ source: source.url, target: connection.db })
}

test('a second start under load is refused; with --takeover it ends the first one', { timeout: runMsMax }, async () => {
  await createShop(source.url, { customers: 300, orders: 1_000 })
  await using writers = new Writers(source.url)
  await using first = sync()
  await first.saw(/: Caught up with the source at /)
  for (const command of [
    ['sync', 'postgresql'],
    ['full', 'postgresql'],
  ]) {
    const refused = await surrealSync([...command, ...connectionFlags(source.url, target.ws)], { cwd: directory.path })
    expect(refused).toMatchObject(held)
  }
  await writers.more(20)
  await using second = sync('--takeover')
  expect(await first.ended).toMatchObject(lost)
  await writers.more(20)
  await writers.stop()
  await second.appliedUpTo(await lastChange(source.url))
  second.kill('SIGTERM')
  expect(await second.ended).toMatchObject({ code: 0 })
  await expectEqual()
})

test.each([
  ['follows changes', /: Caught up with the source at /, 1_000],
  ['copies', /: Copied public\.orders: /, 8_000],
] as const)(
  'one that was frozen while it %s, and taken over, changes nothing when it wakes up',
  {
    timeout: runMsMax,
  },
  async (what, moment, orders) => {
    await createShop(source.url, { customers: what === 'copies' ? 5_000 : 300, orders })
    await using writers = new Writers(source.url)
    await using frozen = sync()
    await frozen.saw(moment)
    await writers.more(5)
    frozen.kill('SIGSTOP')
    await using second = sync('--takeover')
    await second.saw(/: Caught up with the source at /)
    await writers.more(20)
    await writers.stop()
    await second.appliedUpTo(await lastChange(source.url))
    await expectEqual()
    const before = await observeTarget(target.ws)
    frozen.kill('SIGCONT')
    expect(await frozen.ended).toMatchObject(lost)
    expect(await observeTarget(target.ws)).toEqual(before)
    second.kill('SIGTERM')
    expect(await second.ended).toMatchObject({ code: 0 })
    await expectEqual()
  },
)

test('after kill -9 the next one begins at once', { timeout: runMsMax }, async () => {
  await createShop(source.url, { customers: 300, orders: 1_000 })
  for (let turn = 0; turn < 2; turn += 1) {
    await using command = sync()
    await command.saw(/: Caught up with the source at /)
    command.kill('SIGKILL')
    expect(await command.ended).toMatchObject({ signal: 'SIGKILL' })
  }
  await expectEqual()
})
