/**
 * A pipeline in memory that can crash at any call that crosses a boundary: from then on nothing works, as after kill -9. The
 * source forgets what was acknowledged, so a position that is acknowledged or saved too early shows as E_AUDIT_HOLE or as a
 * difference.
 */
import { isDeepStrictEqual } from 'node:util'
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

export interface Setting {
  readonly name: string
  readonly transactional: boolean
  readonly ownStore: boolean
  /** Whether the copy is finished before the first crash. */
  readonly copied: boolean
}

export const settings: readonly Setting[] = [
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

/** At which call of a run, counted from 1, and whether that call still takes effect. */
export interface Crash {
  readonly call: number
  readonly when: 'before' | 'after'
}

/** What came of a life. */
export interface Outcome {
  /** How many of its crashes happened: a run may have fewer calls. */
  readonly crashes: number
  /** Undefined: the target ended equal to the source. */
  readonly failure?: string
}

/** Runs a pipeline through these crashes, one each run, then to its end. */
export async function live(setting: Setting, crashes: readonly Crash[]): Promise<Outcome> {
  let count = 0
  try {
    const life = await begin(setting)
    for (const { call, when } of crashes) {
      if ((await life.run(crashAt(call, when).script)) === 'completed') break
      count += 1
      life.change()
    }
    await life.run({})
    return { crashes: count, ...(life.isEqual() ? {} : { failure: 'the target differs from the source' }) }
  } catch (error) {
    return { crashes: count, failure: String(error) }
  }
}

/** How many calls an undisturbed run makes. */
export async function countCalls(setting: Setting): Promise<number> {
  const never = crashAt(Number.POSITIVE_INFINITY, 'before')
  const life = await begin(setting)
  await life.run(never.script)
  if (!life.isEqual()) throw new Error(`${setting.name}: the target differs without any crash`)
  return never.calls
}

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
    let crashed = false
    try {
      await engine.run()
    } catch (error) {
      if (error !== crash) throw error
      crashed = true
    }
    if (this.source.opened || this.sink.opened) throw new Error('the run left something open')
    return crashed ? 'crashed' : 'completed'
  }

  change(): void {
    steps[this.#step]?.(this.source)
    this.#step += 1
  }

  isEqual(): boolean {
    return tables.every(({ label }) => isDeepStrictEqual(this.sink.rows(label), this.source.rows(label)))
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
function crashAt(crashCall: number, when: Crash['when']) {
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
