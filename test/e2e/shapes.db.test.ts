/** A generated database with every common shape of table ends up equal, before and after changes to all of it. */
import {
  MemoryCheckpointStore,
  PostgresTriggerSource,
  SurrealSink,
  type SurrealSinkOptions,
  SyncEngine,
} from 'surreal-sync'
import { describe, expect, test } from 'vitest'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase } from '../support/database.js'
import { createShapes } from '../support/shapes.js'
import { startSurreal } from '../support/surreal-server.js'
import { Changes } from './changes.js'
import { database, namespace, openMemory, openTarget, type Target } from './target.js'

const shapesMsMax = 240_000
/** Another one finds other things: SHAPES_SEED=… npx vitest run test/e2e/shapes */
const seed = Number(process.env.SHAPES_SEED ?? 20_260_730)
const rows = 60

async function replicate(sink: SurrealSinkOptions, target: Target): Promise<void> {
  await using source = await createDatabase()
  const client = await source.client()
  const labels = await createShapes(client, { seed, rows })
  const changes = await Changes.begin(client, seed, labels)
  const checkpoints = new MemoryCheckpointStore()
  const warnings: string[] = []
  const run = async (phase: 'full' | 'incremental') => {
    const engine = new SyncEngine({
      source: new PostgresTriggerSource({ url: source.url }),
      sink: new SurrealSink(sink),
      checkpoints,
    })
    engine.on('warning', ({ code, message }) => warnings.push(`${code}: ${message}`))
    return await engine.run({ phase })
  }
  const full = await run('full')
  const before = await expectEqualDatabases({ source: source.url, target: target.db })
  expect(before.tables.map(({ table }) => table).sort()).toEqual([...labels].sort())
  expect([...full.tables.values()].reduce((sum, table) => sum + table.rows, 0)).toBe(before.rows)
  await changes.apply()
  const incremental = await run('incremental')
  const after = await expectEqualDatabases({ source: source.url, target: target.db })
  expect(after.rows).toBeGreaterThan(before.rows / 2)
  expect([...incremental.tables.values()].reduce((sum, table) => sum + table.changes, 0)).toBeGreaterThan(
    before.rows / 2,
  )
  expect(
    warnings.filter((warning) => !/^(plaintext|table_skipped|value_fallback|column_renamed)/.test(warning)),
  ).toEqual([])
}

describe(`every shape of table, with the seed ${seed},`, () => {
  test('becomes equal through ws://', { timeout: shapesMsMax }, async () => {
    await using server = await startSurreal()
    await using target = await openTarget(server.ws)
    await replicate({ url: server.ws, namespace, database, username: 'root', password: 'root' }, target)
  })

  test('becomes equal through mem://', { timeout: shapesMsMax }, async () => {
    await using target = await openMemory()
    await replicate({ connect: async () => target.db, disconnect: async () => undefined }, target)
  })
})
