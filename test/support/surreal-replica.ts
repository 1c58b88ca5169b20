/** A pipeline from a test database into a SurrealDB of this process, run step by step. */
import { createNodeEngines } from '@surrealdb/node'
import { Surreal } from 'surrealdb'
import {
  MemoryCheckpointStore,
  PostgresTriggerSource,
  type PostgresTriggerSourceOptions,
  type RunOptions,
  type RunResult,
  SurrealSink,
  type SurrealSinkSettings,
  SyncEngine,
  type SyncEngineOptions,
  type SyncWarning,
  type VerifyOptions,
  type VerifyResult,
  verify,
} from '../../src/index.js'
import { type ComparisonOptions, type ComparisonReport, expectEqualDatabases } from './compare.js'

export interface SurrealReplicaOptions {
  /** The source's connection url. */
  readonly url: string
  readonly source?: Partial<PostgresTriggerSourceOptions>
  readonly sink?: SurrealSinkSettings
  readonly engine?: Partial<SyncEngineOptions>
}

/** Ends with its scope: `await using replica = await SurrealReplica.open({ url })`. */
export class SurrealReplica implements AsyncDisposable {
  readonly db: Surreal
  readonly warnings: SyncWarning[] = []
  #options: SurrealReplicaOptions
  readonly #checkpoints = new MemoryCheckpointStore()

  private constructor(db: Surreal, options: SurrealReplicaOptions) {
    this.db = db
    this.#options = options
  }

  static async open(options: SurrealReplicaOptions): Promise<SurrealReplica> {
    const db = new Surreal({ engines: createNodeEngines() })
    await db.connect('mem://')
    await db.use({ namespace: 'test', database: 'test' })
    return new SurrealReplica(db, options)
  }

  /** From the next run on. */
  configure(options: Partial<SurrealReplicaOptions>): void {
    this.#options = { ...this.#options, ...options }
  }

  engine(): SyncEngine {
    const made = new SyncEngine({ ...this.ends(), checkpoints: this.#checkpoints, ...this.#options.engine })
    made.on('warning', (warning) => this.warnings.push(warning))
    return made
  }

  run(options: RunOptions): Promise<RunResult> {
    return this.engine().run(options)
  }

  full(): Promise<RunResult> {
    return this.run({ phase: 'full' })
  }

  /** Applies changes until nothing visible is left. */
  catchUp(): Promise<RunResult> {
    return this.run({ phase: 'incremental' })
  }

  /** What the product says of itself, given its own options. */
  verify(options: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
    const { source, sink } = this.ends()
    return verify({ source, target: sink, id: this.#options.engine?.id, atRest: true, exclusive: true, ...options })
  }

  /** A source and a sink, for an engine of the caller's own. */
  ends(): { readonly source: PostgresTriggerSource; readonly sink: SurrealSink } {
    const { url, source, sink } = this.#options
    return {
      source: new PostgresTriggerSource({ url, ...source }),
      sink: new SurrealSink({ connect: async () => this.db, disconnect: async () => undefined, ...sink }),
    }
  }

  /** Throws unless both sides are equal, kinds of values included. */
  expectEqual(options: Partial<ComparisonOptions> = {}): Promise<ComparisonReport> {
    return expectEqualDatabases({ source: this.#options.url, target: this.db, ...options })
  }

  /** What a query returns, as SurrealQL prints it: `1`, `1f` and `1dec` are three things. */
  async printed(expression: string): Promise<string> {
    const [text] = await this.db.query<[string]>(`RETURN <string>[${expression}]`)
    return text.slice(1, -1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db.close()
  }
}
