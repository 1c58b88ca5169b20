/**
 * A crash at every call that crosses a boundary, one after the other: from then on nothing works, as after kill -9. A
 * fresh engine on what is left must bring the target to the source's content. The source forgets what was
 * acknowledged, so a position that is acknowledged or saved too early shows as E_AUDIT_HOLE or as a difference.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { CheckpointStore } from '../../src/core/checkpoint.js'
import type { SyncEngineOptions } from '../../src/engine/options.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import {
  defineTable,
  FailAfterWrite,
  type FaultScript,
  faulty,
  MemorySink,
  MemorySource,
  Reject,
} from '../../src/testing/index.js'

const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
const orders = defineTable('public.orders', { number: 'integer', total: 'decimal' }, ['number'])
const tables = [users, orders]

const crash = new Error('crash')

/** What the users do meanwhile, one step at each batch. */
const steps: readonly ((source: MemorySource) => unknown)[] = [
  (source) => source.upsert(users.label, { id: 1, name: 'renamed' }),
  (source) => source.delete(users.label, { id: 2 }),
  (source) => source.upsert(users.label, { id: 2, name: 'again' }, { id: 30, name: 'new' }),
  (source) => source.truncate(orders.label),
  (source) => source.upsert(orders.label, { number: 7, total: '7.00' }),
  (source) =>
    source.commit(
      { op: 'delete', table: users.label, rows: [{ id: 3 }] },
      { op: 'upsert', table: users.label, rows: [{ id: 31, name: 'moved' }] },
    ),
  (source) => source.replace(orders.label, { number: 8, total: '8' }, { number: 9, total: '9' }),
  (source) => source.upsert(users.label, { id: 31, name: 'moved again' }),
  (source) => source.delete(users.label, { id: 1 }, { id: 30 }),
]

interface Setting {
  readonly name: string
  readonly transactional: boolean
  readonly ownStore: boolean
  /** Whether the copy is finished before the first crash. */
  readonly copied: boolean
}

const settings: readonly Setting[] = [
  { name: 'both phases, a store apart', transactional: false, ownStore: false, copied: false },
  { name: 'the incremental phase, a store apart', transactional: false, ownStore: false, copied: true },
  { name: 'both phases, a sink that commits', transactional: true, ownStore: true, copied: false },
  { name: 'the incremental phase, a sink that commits', transactional: true, ownStore: true, copied: true },
  {
    name: 'the incremental phase, a sink that commits and a store apart',
    transactional: true,
    ownStore: false,
    copied: true,
  },
]

/** One life of a pipeline. */
class Life {
  readonly source = new MemorySource({ tables, chunks: 2, commitsMax: 2 })
  readonly sink: MemorySink
  readonly store: CheckpointStore
  #step = 0

  constructor({ transactional, ownStore }: Setting) {
    this.sink = new MemorySink({ transactional })
    this.store = ownStore ? this.sink : new MemoryCheckpointStore()
    this.source.upsert(users.label, ...[1, 2, 3, 4, 5, 6].map((id) => ({ id, name: `user ${id}` })))
    this.source.upsert(orders.label, { number: 1, total: '1.10' }, { number: 2, total: '2.20' })
  }

  /** Runs until it is done or crashes. */
  async run(script: FaultScript): Promise<'completed' | 'crashed'> {
    const sink = faulty(this.sink, script)
    const checkpoints = this.store === this.sink ? sink : faulty(this.store, script)
    const options: SyncEngineOptions = {
      source: faulty(this.source, script),
      sink,
      checkpoints,
      inFlight: 2,
      limits: { rowsMax: 2 },
      progressIntervalMs: 0,
    }
    const engine = new SyncEngine(options)
    engine.on('batch', () => this.change())
    try {
      await engine.run()
      return 'completed'
    } catch (error) {
      if (error !== crash) throw error
      return 'crashed'
    } finally {
      expect([this.source.opened, this.sink.opened]).toEqual([false, false])
    }
  }

  change(): void {
    steps[this.#step]?.(this.source)
    this.#step += 1
  }

  expectEqual(): void {
    for (const { label } of tables) expect(this.sink.rows(label)).toEqual(this.source.rows(label))
  }
}

async function begin(setting: Setting): Promise<Life> {
  const life = new Life(setting)
  if (setting.copied) {
    await new SyncEngine({ source: life.source, sink: life.sink, checkpoints: life.store }).run()
    for (let count = 0; count < 4; count += 1) life.change()
  }
  return life
}

/** The n-th call crashes, before or after it takes effect, and no later call has an effect. */
function crashAt(crashCall: number, when: 'before' | 'after') {
  let calls = 0
  return {
    get calls() {
      return calls
    },
    script: () => {
      calls += 1
      if (calls < crashCall) return undefined
      return calls === crashCall && when === 'after' ? new FailAfterWrite(crash) : new Reject(crash)
    },
  }
}

async function countCalls(setting: Setting): Promise<number> {
  const never = crashAt(Number.POSITIVE_INFINITY, 'before')
  const life = await begin(setting)
  await life.run(never.script)
  life.expectEqual()
  return never.calls
}

let singles = 0
let pairs = 0

describe.each(settings)('$name', (setting) => {
  it.each(['before', 'after'] as const)('I1, I2: survives a crash %s every call', async (when) => {
    const calls = await countCalls(setting)
    expect(calls).toBeGreaterThan(15)
    for (let crashCall = 1; crashCall <= calls; crashCall += 1) {
      const life = await begin(setting)
      expect(await life.run(crashAt(crashCall, when).script), `crash ${when} call ${crashCall}`).toBe('crashed')
      life.change()
      expect(await life.run({}), `crash ${when} call ${crashCall}`).toBe('completed')
      life.expectEqual()
      singles += 1
    }
  })

  it('I1, I2: survives a second crash while it recovers from the first', async () => {
    const calls = await countCalls(setting)
    const call = fc.integer({ min: 1, max: calls })
    const when = fc.constantFrom('before' as const, 'after' as const)
    await fc.assert(
      fc.asyncProperty(call, when, call, when, async (first, whenFirst, second, whenSecond) => {
        const life = await begin(setting)
        await life.run(crashAt(first, whenFirst).script)
        await life.run(crashAt(second, whenSecond).script)
        await life.run({})
        life.expectEqual()
        pairs += 1
      }),
      { numRuns: 150 },
    )
  })
})

it('says how many crashes there were', () => {
  console.log(`crash at every call: ${singles} runs with one crash, ${pairs} with two; each resumed and ended equal`)
  expect(singles).toBeGreaterThan(500)
})
