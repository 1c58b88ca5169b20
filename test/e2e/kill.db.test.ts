/** The command line is killed again and again while it applies changes: the target's own state says where the next one goes on. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { RecordId } from 'surrealdb'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/demo/seeded-random.js'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase } from '../support/database.js'
import { startSurreal } from '../support/surreal-server.js'
import { start, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { createShop, execute, lastChange, Writers } from './shop.js'
import { openTarget, type Target } from './target.js'

const id = 'shop'
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)
const cycles = Number(process.env.KILL_CYCLES ?? 8)
const delayMsMax = 700

test(`kill -9, ${cycles} times while it applies changes (KILL_SEED=${seed})`, { timeout: 240_000 }, async () => {
  await using source = await createDatabase()
  await using directory = await temporaryDirectory()
  await using server = await startSurreal({ storage: `surrealkv://${join(directory.path, 'target')}` })
  await createShop(source.url, { customers: 7_000, orders: 1_000 })
  const sync = () =>
    start(['sync', 'postgresql', ...connectionFlags(source.url, server.ws), '--id', id, '--log-level', 'debug'], {
      cwd: directory.path,
    })
  const random = seededRandom(seed)
  await using writers = new Writers(source.url)
  let reached = 0
  const ends = { consistent: 0, betweenParts: 0, fileBehind: 0 }
  await using target = await openTarget(server.ws)
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    await using command = sync()
    await command.saw(cycle === 0 ? /: Caught up with the source at / : /: Saved incremental checkpoint/)
    // A delta of several parts.
    if (cycle % 4 > 0) await execute(source.url, `update customers set name = 'cycle ${cycle}'`)
    await pause(random() * delayMsMax)
    command.kill('SIGKILL')
    expect(await command.ended).toMatchObject({ signal: 'SIGKILL' })
    const state = await stateOf(target)
    const file = await positionInFile(join(directory.path, '.surreal-sync-checkpoints'))
    expect(state.sequence).toBeGreaterThanOrEqual(reached)
    expect(state.sequence).toBeGreaterThanOrEqual(file)
    reached = state.sequence
    if (state.consistent) ends.consistent += 1
    if (state.part > 0) ends.betweenParts += 1
    if (state.sequence > file) ends.fileBehind += 1
  }
  console.info('kills:', ends)
  await writers.more(20)
  await writers.stop()
  await using command = sync()
  await command.appliedUpTo(await lastChange(source.url))
  command.kill('SIGTERM')
  expect(await command.ended).toMatchObject({ code: 0 })
  expect(await stateOf(target)).toMatchObject({ consistent: true, part: 0 })
  await expectEqualDatabases({ source: source.url, target: target.db })
})

interface State {
  readonly sequence: number
  readonly consistent: boolean
  readonly part: number
}

async function stateOf({ db }: Target): Promise<State> {
  const [state] = await db.query<[State]>(
    'SELECT checkpoint.described.PostgreSQL.sequence AS sequence, consistent, part FROM ONLY $record',
    { record: new RecordId('surreal_sync_state', [id, 0]) },
  )
  return state
}

async function positionInFile(folder: string): Promise<number> {
  expect(await readdir(folder)).toContain('checkpoint_incremental.json')
  const content = JSON.parse(await readFile(join(folder, 'checkpoint_incremental.json'), 'utf8'))
  return content.checkpoint.PostgreSQL.sequence
}
