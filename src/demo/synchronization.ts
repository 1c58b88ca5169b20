/** The demo's pipeline: what an application would write, plus figures. */
import type { Surreal } from 'surrealdb'
import {
  type CheckpointStore,
  MemoryCheckpointStore,
  PostgresTriggerSource,
  SurrealSink,
  SyncEngine,
  type VerifyResult,
  verify,
} from '../index.js'
import { count, type Screen, seconds } from './screen.js'

export interface SynchronizationOptions {
  readonly url: string
  readonly target: Surreal
  readonly screen: Screen
  readonly signal: AbortSignal
}

/** SurrealDB in memory slows down with the square of the rows in a transaction. */
const memoryRowsMax = 100
const id = 'demo'

/** One pipeline that is run three times: fully, following, and to the end. Each run goes on from the last checkpoint. */
export class Synchronization {
  readonly #options: SynchronizationOptions
  readonly #checkpoints: CheckpointStore = new MemoryCheckpointStore()

  constructor(options: SynchronizationOptions) {
    this.#options = options
  }

  /** Copies everything, while others write. */
  async full(): Promise<void> {
    const { screen, signal } = this.#options
    const name = 'Full sync'
    const startedAt = performance.now()
    const engine = this.#engine()
    const positions: string[] = []
    let rows = 0
    engine.on('batch', (batch) => {
      rows += batch.rows
      screen.progress(name, `${batch.table.label}: ${count(rows)} rows so far`)
    })
    engine.on('table', ({ table, state, rows: copied }) => {
      if (state === 'done') screen.detail(`${table.label}: ${count(copied)} rows`)
    })
    engine.on('checkpoint', ({ kind, text }) => {
      if (kind !== 'full_progress') positions.push(text)
    })
    const { tables } = await engine.run({ phase: 'full', signal })
    signal.throwIfAborted()
    const [start = '', end = ''] = positions
    screen.done(name, `${count(rows)} rows of ${tables.size} tables copied while they changed`, startedAt)
    screen.more(`t1 ${start}, before the first row: changes after it will be replayed`)
    screen.more(`t2 ${end}, after the last row: from there on the copy is consistent`)
  }

  /** Applies the changes since t1, and goes on until `enough` settles, which is called once it has caught up. */
  async follow(enough: () => Promise<void>): Promise<void> {
    const { screen, signal } = this.#options
    const name = 'Incremental'
    const startedAt = performance.now()
    const engine = this.#engine()
    const stop = new AbortController()
    const lags: number[] = []
    let [changes, backlog] = [0, 0]
    let caughtUpMs: number | undefined
    engine.on('batch', ({ rows }) => {
      changes += rows
    })
    engine.on('checkpoint', ({ text, lagMs }) => {
      if (caughtUpMs === undefined || lagMs === undefined)
        return screen.progress(name, `catching up: ${count(changes)} changes`)
      lags.push(lagMs)
      screen.progress(name, `${count(changes)} changes, now at ${text}, lag ${Math.round(lagMs)} ms`)
    })
    const caughtUp = new Promise<void>((resolve) => {
      engine.once('caughtUp', () => {
        caughtUpMs = performance.now() - startedAt
        backlog = changes
        resolve()
      })
    })
    const run = engine.run({ phase: 'incremental', follow: true, signal: AbortSignal.any([signal, stop.signal]) })
    try {
      await Promise.race([caughtUp, run])
      await Promise.race([enough(), run])
    } finally {
      stop.abort()
      await run
    }
    signal.throwIfAborted()
    screen.done(
      name,
      `${count(backlog)} changes since t1 caught up with in ${seconds(caughtUpMs ?? 0)}, then ${count(changes - backlog)} more as they came`,
    )
    screen.more(`lag behind the application: median ${median(lags)} ms, worst ${Math.round(Math.max(0, ...lags))} ms`)
  }

  /** Applies what is left, from the last checkpoint to the end. */
  async drain(): Promise<void> {
    const { screen, signal } = this.#options
    const startedAt = performance.now()
    const { position = '', tables } = await this.#engine().run({ phase: 'incremental', signal })
    signal.throwIfAborted()
    const changes = [...tables.values()].reduce((sum, table) => sum + table.changes, 0)
    screen.done(
      'Drained',
      `started again from its checkpoint: ${count(changes)} changes were left, now at ${position}`,
      startedAt,
    )
  }

  /** Compares every row of both sides, which must be at rest. */
  compare(): Promise<VerifyResult> {
    const { screen, signal } = this.#options
    return verify({
      ...{ source: this.#source(), target: this.#sink(), id, atRest: true, exclusive: true, listMax: 10, signal },
      onProgress: ({ table, rows }) => screen.progress('Comparison', `${table}: ${count(rows)} rows so far`),
    })
  }

  #engine(): SyncEngine {
    return new SyncEngine({ source: this.#source(), sink: this.#sink(), checkpoints: this.#checkpoints, id })
  }

  #source(): PostgresTriggerSource {
    return new PostgresTriggerSource({ url: this.#options.url, schemas: ['crm', 'shop', 'public'] })
  }

  /** The connection stays open after a run: the comparison and the queries use it too. */
  #sink(): SurrealSink {
    return new SurrealSink({
      connect: async () => this.#options.target,
      disconnect: async () => undefined,
      batchSize: memoryRowsMax,
    })
  }
}

function median(values: readonly number[]): number {
  return Math.round([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0)
}
