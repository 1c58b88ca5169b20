/** A pipeline from a test database into memory, run step by step. */
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { CheckpointStore } from '../../src/core/checkpoint.js'
import type { SyncWarning } from '../../src/core/events.js'
import type { SyncEngineOptions } from '../../src/engine/options.js'
import { type RunOptions, type RunResult, SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource, type PostgresTriggerSourceOptions } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'

export class Replica {
  readonly sink = new MemorySink()
  readonly store: CheckpointStore = new MemoryCheckpointStore()
  readonly warnings: SyncWarning[] = []
  readonly #options: PostgresTriggerSourceOptions
  readonly #id: string

  /** @param id Those that run at once need one each. */
  constructor(options: PostgresTriggerSourceOptions, id = 'default') {
    this.#options = options
    this.#id = id
  }

  engine(options: Partial<SyncEngineOptions> = {}): SyncEngine {
    const source = new PostgresTriggerSource(this.#options)
    const engine = new SyncEngine({ source, sink: this.sink, checkpoints: this.store, id: this.#id, ...options })
    engine.on('warning', (warning) => this.warnings.push(warning))
    return engine
  }

  run(options: RunOptions = {}): Promise<RunResult> {
    return this.engine().run(options)
  }

  /** Full sync, then changes until nothing visible is left. */
  full(): Promise<RunResult> {
    return this.run({ phase: 'full' })
  }

  catchUp(): Promise<RunResult> {
    return this.run({ phase: 'incremental' })
  }

  /** Like {@link catchUp}, from nothing but the number of the stored position. */
  async catchUpFromNumber(): Promise<RunResult> {
    const stored = await this.store.load(this.#id)
    if (stored === undefined) throw new Error('There is no checkpoint')
    const { sequence } = JSON.parse(stored.resumeAfter) as { readonly sequence: number }
    return this.run({ phase: 'incremental', from: String(sequence), replay: true })
  }

  /** One column of a table by the text of its key. */
  column(label: string, name: string, key = 'id'): Readonly<Record<string, unknown>> {
    return Object.fromEntries([...this.sink.rows(label)].map((row) => [String(row[key]), row[name]]))
  }
}

/** Follows changes until stopped. */
export class Follower {
  readonly engine: SyncEngine
  readonly #stop = new AbortController()
  readonly #ended: Promise<RunResult>

  constructor(replica: Replica, options: RunOptions = {}) {
    this.engine = replica.engine()
    this.#ended = this.engine.run({ phase: 'incremental', ...options, follow: true, signal: this.#stop.signal })
    this.#ended.catch(() => undefined)
  }

  /** The end of the run, for good or ill. */
  get ended(): Promise<RunResult> {
    return this.#ended
  }

  /** Resolves at the next drained delta at or past the number. */
  async reaches(sequence: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      const listener = ({ text }: { readonly text: string }) => {
        if (Number(text.split(':').at(-1)) < sequence) return
        this.engine.off('caughtUp', listener)
        resolve()
      }
      this.engine.on('caughtUp', listener)
    })
    await Promise.race([reached, this.#ended.then(() => Promise.reject(new Error('The run ended')))])
  }

  async stop(): Promise<RunResult> {
    this.#stop.abort()
    return this.#ended
  }
}
