/** Writes batches into SurrealDB. */
import { randomUUID } from 'node:crypto'
import { Connection } from '../../connections/surreal/connection.js'
import type { Alteration } from '../../core/alteration.js'
import { type Batch, isBarrier } from '../../core/batch.js'
import type { Checkpoint, CheckpointStore } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import type { SyncWarning } from '../../core/events.js'
import type { Finding } from '../../core/finding.js'
import type { Table } from '../../core/schema.js'
import type { PrepareOptions, Sink } from '../../core/sink.js'
import type { Abortable, BatchLimits, RunContext } from '../../core/source.js'
import { alterRecords, isAlterable } from './alter.js'
import { BatchWriter } from './batch-writer.js'
import { Catalog } from './catalog.js'
import { CborWriter } from './cbor-writer.js'
import { defineDatabases, defineQuarantine, defineState, defineTargets } from './definitions.js'
import { DeltaCommit } from './delta-commit.js'
import { type ExamineSinkOptions, examineTarget } from './examination.js'
import { FallbackReporter } from './fallback-reporter.js'
import { Inspection } from './inspection.js'
import { type Aside, Lane } from './lane.js'
import { LanePool } from './lane-pool.js'
import { Lease } from './lease.js'
import { type SinkConfig, type SurrealSinkOptions, sinkConfig } from './options.js'
import { Ownership } from './ownership.js'
import { checkpointIn, leaseIn, readPipelineState, stateMissing } from './progress.js'
import { Quarantine } from './quarantine.js'
import { isThere, rehearse } from './rehearsal.js'
import { surveyTarget, type TargetContent } from './survey.js'
import type { TablePlan } from './table-plan.js'

export type {
  SurrealFactoryOptions,
  SurrealSinkOptions,
  SurrealSinkSettings,
} from './options.js'

/** How long a last checkpoint may take when the run is being stopped. */
const stopMsMax = 5_000

/**
 * A sink for SurrealDB 2.1 to 3.x, on a server or embedded in this process.
 *
 * Every batch is one or more transactions, each of which also writes a state record whose returned value proves that it took
 * effect. Sending a batch again is harmless. Nothing is ever sent twice behind the engine's back.
 *
 * A delta takes effect exactly once, together with its checkpoint (I10), in the record `surreal_sync_state:['<id>', 0]`. Where
 * that record's field `consistent` is true, the rows that the same query sees are a state that the source had. It is false
 * from the first part to the last of a delta that is too large for one transaction, and during a full sync.
 */
export class SurrealSink implements Sink, CheckpointStore {
  readonly name = 'surrealdb'
  readonly obeysDeletes = true
  readonly address: string | undefined
  readonly limits: BatchLimits
  readonly inFlight: number
  readonly #config: SinkConfig
  readonly #pool: LanePool
  readonly #fallbacks = new FallbackReporter()
  readonly #quarantine: Quarantine
  readonly #writer: BatchWriter
  #warn: (warning: SyncWarning) => void = () => {}
  #pipeline: string | undefined
  #signal: AbortSignal | undefined
  #catalog: Catalog
  #ownership: Ownership | undefined
  #lease = new Lease()
  #choicesChecked = false

  /** @throws SyncError `E_CONFIG` */
  constructor(options: SurrealSinkOptions) {
    const config = sinkConfig(options)
    this.#config = config
    const warn = (warning: SyncWarning) => this.#warn(warning)
    this.#quarantine = new Quarantine(config.quarantine, warn)
    this.#writer = new BatchWriter(config, this.#quarantine, warn)
    this.address = config.address
    this.limits = config.limits
    this.inFlight = config.writers
    this.#catalog = new Catalog(config.choices, config.tableName)
    this.#pool = new LanePool(
      Array.from({ length: config.writers }, (_, index) => {
        const connection = new Connection(config.dial, { callTimeoutMs: config.callTimeoutMs, address: config.address })
        return new Lane({ index, connection, writer: new CborWriter(config.choices.general) })
      }),
    )
  }

  /**
   * Connects, so that a wrong address or password is known at once. Call `close()` if no engine does.
   * @throws SyncError `E_CONFIG`, `E_UNREACHABLE`, `E_AUTH`, `E_TLS`, `E_MISSING_PACKAGE`
   */
  static async connect(options: SurrealSinkOptions, abortable: Abortable = {}): Promise<SurrealSink> {
    const sink = new SurrealSink(options)
    await sink.#pool.first.connection.open(abortable)
    return sink
  }

  shape(table: Table): string {
    return this.#catalog.shape(table, this.#config.existing)
  }

  async open(context: RunContext): Promise<void> {
    this.#warn = (warning) => context.warn(warning)
    this.#pipeline = context.syncId
    this.#signal = context.signal
    this.#ownership = undefined
    this.#choicesChecked = false
    this.#catalog = new Catalog(this.#config.choices, this.#config.tableName)
    for (const lane of this.#pool.lanes) lane.bind(context.syncId)
    this.#lease = new Lease()
    await this.#pool.first.connection.open(context)
    if (this.#config.warning !== undefined) this.#warn(this.#config.warning)
  }

  async check(tables: readonly Table[], options: PrepareOptions): Promise<void> {
    const { connection } = this.#pool.first
    const pipeline = this.#opened()
    const plans = this.#register(tables, options)
    if (options.phase === 'full' && (await isThere(connection, this.#config, options))) {
      const ownership = new Ownership(connection, pipeline)
      await ownership.load(options)
      await ownership.adopt(plans, this.#config.existing, options)
    }
    await rehearse(connection, this.#config, pipeline, options)
  }

  async prepare(tables: readonly Table[], options: PrepareOptions): Promise<void> {
    const { connection } = this.#pool.first
    const [lease, pipeline] = [this.#lease, this.#opened()]
    const begins = this.#ownership === undefined
    const plans = this.#register(tables, options)
    await defineDatabases(connection, this.#config, options)
    await this.#pool.findEncoding((warning) => this.#warn(warning), options)
    const ownership = new Ownership(connection, pipeline)
    const known = await ownership.load(options)
    if (!known && options.phase === 'incremental') this.#warn(stateMissing(pipeline))
    if (options.phase === 'full') await ownership.adopt(plans, this.#config.existing, options)
    else await ownership.resume(plans, this.#config.existing, { ...options, known })
    // Up to here a refusal leaves everything as it was.
    await defineState(connection, options)
    if (this.#config.quarantine) await defineQuarantine(connection, options)
    if (!lease.seen) lease.see(leaseIn(await readPipelineState(connection, pipeline, options)))
    await this.#pool.claim(lease, options)
    await this.#quarantine.load({ connection, pipeline, begins }, plans, options)
    await ownership.save(lease.current, options)
    await defineTargets(connection, plans, options)
    const roundTripMs = await this.#pool.check(options)
    const filled = plans.map(({ target }) => target).filter((target) => !ownership.isFresh(target))
    this.#writer.begin(roundTripMs, options.phase === 'full' ? filled : [])
    const others = begins ? this.#quarantine.releaseOthers() : undefined
    if (options.phase === 'full') await this.#progress(undefined, options, others)
    this.#ownership = ownership
  }

  isEmpty(table: Table): boolean {
    return this.#prepared('isEmpty').isFresh(this.#catalog.plan(table).target)
  }

  async write(batch: Batch, options: Abortable): Promise<void> {
    const ownership = this.#prepared('write')
    const plan = this.#catalog.plan(batch.table)
    ownership.requireDecided(plan)
    await this.#pool.use(options, async (lane) => {
      if (isBarrier(batch)) await this.#writer.sweep(lane, plan, batch, ownership, options)
      else await this.#writer.rows(lane, plan, batch, ownership, options)
    })
    this.#fallbacks.report(plan, this.#warn)
  }

  /** Comes alone: no `write` may be open. */
  async commit(delta: Delta, checkpoint: () => Checkpoint, options: Abortable): Promise<void> {
    const ownership = this.#prepared('commit')
    const plans = new Set<TablePlan>()
    await this.#pool.useFirst(options, async (lane) => {
      const commit = new DeltaCommit(lane, this.#config.writeLimits, this.#quarantine, options)
      try {
        for await (const batch of delta.batches) {
          const plan = this.#catalog.plan(batch.table)
          ownership.requireDecided(plan)
          plans.add(plan)
          if (isBarrier(batch)) {
            await commit.beforeBarrier()
            await this.#writer.sweep(lane, plan, batch, ownership, options)
          } else await commit.add(plan, batch, delta.rewrites === true || this.#writer.rewrites(plan))
        }
        await commit.finish(checkpoint(), delta.drained)
      } finally {
        await commit.settled()
      }
    })
    for (const plan of plans) this.#fallbacks.report(plan, this.#warn)
  }

  alterable(alteration: Alteration): boolean {
    const before = this.#catalog.plan(alteration.before)
    const owned = this.#ownership?.isOwned(before.target) === true
    return owned && isAlterable(before, this.#catalog.plan(alteration.table), alteration)
  }

  /** In many transactions; meanwhile, and until the delta is there, `consistent` is false. */
  async alter({ before, table }: Alteration, options: Abortable): Promise<void> {
    this.#prepared('alter')
    await this.#progress(undefined, options)
    const plans = [this.#catalog.plan(before), this.#catalog.plan(table)] as const
    await this.#pool.use(options, (lane) => alterRecords(lane, ...plans, options))
  }

  /** The checkpoint that was committed or saved last. @throws SyncError `E_CHECKPOINT_CORRUPT` */
  async load(syncId: string): Promise<Checkpoint | undefined> {
    const { connection } = this.#pool.first
    const options = { signal: this.#signal }
    const isHere = await isThere(connection, this.#config, options)
    const state = isHere ? await readPipelineState(connection, syncId, options) : undefined
    // Who begins on the strength of this may do so only while nobody else has begun.
    if (syncId === this.#pipeline) this.#lease.see(leaseIn(state))
    return checkpointIn(state, syncId)
  }

  /** Saves a checkpoint of a full sync, also when the run is being stopped. That of a delta comes with it: see `commit`. */
  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    this.#prepared('save')
    if (syncId !== this.#pipeline) throw new Error(`SurrealSink.save() was called for the pipeline ${syncId}`)
    const stopped = this.#signal?.aborted === true
    await this.#progress(checkpoint, { signal: stopped ? AbortSignal.timeout(stopMsMax) : this.#signal })
  }

  /** Opens a connection for `verify`: see its options. Whether or not a run is going on. @throws SyncError */
  inspect(id: string, options: Abortable): Promise<Inspection> {
    return Inspection.open(this.#config, id, options)
  }

  /** What the target tables of these tables hold now, for a pipeline of that id. Connects by itself, and changes nothing. @throws SyncError */
  survey(tables: readonly Table[], id: string, options: Abortable = {}): Promise<readonly TargetContent[]> {
    return surveyTarget(this.#config, { tables, id }, options)
  }

  /**
   * Looks at everything in the target that a run depends on: see {@link examine}. Connects by itself, and does not throw for what
   * it finds. Only a probe record is written, in the table `surreal_sync_check`, and removed again with its table.
   */
  examine(options: ExamineSinkOptions = {}): Promise<readonly Finding[]> {
    return examineTarget(this.#config, options)
  }

  async confirm(options: Abortable): Promise<void> {
    if (this.#ownership === undefined) return
    await this.#pool.useFirst(options, (lane) => lane.check(options))
  }

  async close(): Promise<void> {
    this.#fallbacks.flush(this.#warn)
    this.#ownership = undefined
    await this.#pool.close()
  }

  #prepared(method: string): Ownership {
    if (this.#ownership !== undefined) return this.#ownership
    throw new Error(`SurrealSink.${method}() was called before prepare()`)
  }

  /** Until the next drained delta, the rows are no state that the source had. */
  async #progress(checkpoint: Checkpoint | undefined, options: Abortable, aside?: Aside): Promise<void> {
    const progress = { wrote: randomUUID(), part: 0, consistent: false, checkpoint }
    await this.#pool.useFirst(options, (lane) => lane.apply({ steps: [], progress, aside }, options))
    this.#quarantine.settled(aside)
  }

  /** The pipeline's id. */
  #opened(): string {
    if (this.#pipeline === undefined) throw new Error('SurrealSink was used before open()')
    return this.#pipeline
  }

  #register(tables: readonly Table[], options: PrepareOptions): readonly TablePlan[] {
    // Once in a run: later there may be fewer tables, which is no mistake in the options.
    if (!this.#choicesChecked) this.#config.choices.checkUsed(tables, options, this.#warn)
    this.#choicesChecked = true
    return this.#catalog.register(tables, this.#warn, options.beside)
  }
}
