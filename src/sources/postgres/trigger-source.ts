/** PostgreSQL as a source: whole tables by COPY, changes by triggers that log keys into an audit table. */
import { randomUUID } from 'node:crypto'
import { describeAddress } from '../../connections/postgres/connection-settings.js'
import type { Key, RowBatch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import { SyncError } from '../../core/errors.js'
import type { Table } from '../../core/schema.js'
import type {
  Abortable,
  ChangeOptions,
  CheckOptions,
  LeaseOptions,
  ReadOptions,
  RunContext,
  RunReport,
  Snapshot,
  SnapshotOptions,
  Source,
} from '../../core/source.js'
import type { Json } from '../../core/value.js'
import { type AuditLimitOutcome, enforceAuditLimit, limitOf } from './audit-limit.js'
import { readStatus, type SourceStatus } from './audit-status.js'
import { Consumer } from './consumers.js'
import { checkCopy, currentPosition, positionSince } from './current-position.js'
import { type ExamineSourceOptions, examineSource, type SourceExamination } from './examination.js'
import { withAudit } from './identity.js'
import { Inspection, type SourceInspection } from './inspection.js'
import type { InstallScriptOptions } from './install-script.js'
import { checkReader, openReader } from './open-reader.js'
import { acknowledge, endSource, type OpenSource } from './open-source.js'
import { PipelineLease, runName } from './pipeline-lease.js'
import { decode, encode, publicJson, publicText } from './position.js'
import { presentRows } from './present-rows.js'
import { readersOf } from './protection.js'
import { type AuditConsumer, forgetConsumer, listConsumers, type PruneOptions, Pruner, prune } from './pruning.js'
import { requestResync } from './resync.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { notCaptured, openSnapshot } from './snapshot.js'
import { SourceDatabase } from './source-database.js'
import { SourceGuard } from './source-guard.js'
import type { PostgresTriggerSourceOptions } from './source-options.js'
import { type PlanContext, planScript, planSource, type SourcePlan } from './source-plan.js'
import { checkReading, followableTables, ownTable, selectTables } from './table-selection.js'
import { TableShaper } from './table-shape.js'
import { type TeardownOptions, teardown, teardownScript } from './teardown.js'

export type { PostgresTriggerSourceOptions } from './source-options.js'

/**
 * Replicates tables of one PostgreSQL database (14 or later).
 * A full sync with checkpoints installs, for each table, a trigger that logs the key of every changed row; the incremental
 * sync reads those keys again in one snapshot, so that the sink gets the latest state, in whatever order transactions
 * committed. Nothing is installed by a full sync without checkpoints.
 */
export class PostgresTriggerSource implements Source {
  readonly name = 'postgresql'
  readonly address: string
  readonly readersMax: number | undefined
  readonly #options: PostgresTriggerSourceOptions
  readonly #database: SourceDatabase
  readonly #names: AuditNames
  #shaper: TableShaper
  #open: OpenSource | undefined

  /** Checks the options; connects to nothing. @throws SyncError `E_CONFIG` */
  constructor(options: PostgresTriggerSourceOptions) {
    this.#options = options
    this.#database = new SourceDatabase(options)
    this.#names = this.#database.names
    this.readersMax = readersOf(options)
    this.address = describeAddress(this.#database.settings)
    this.#shaper = new TableShaper(options.shaping, options.maskSecret)
  }

  async open(context: RunContext): Promise<void> {
    const { warn, syncId } = context
    this.#shaper = new TableShaper(this.#options.shaping, this.#options.maskSecret)
    const connections = this.#database.connect(warn, runName(syncId))
    const { pruneAfterMs } = this.#options
    const installer = this.#database.installer(connections, warn)
    const consumer = new Consumer(connections, this.#names, syncId)
    const pruner = pruneAfterMs === undefined ? undefined : new Pruner(connections, this.#names, pruneAfterMs)
    const guard = new SourceGuard({ ...this.#options, ...this.#context, connections, syncId, warn })
    this.#open = { connections, installer, consumer, pruner, guard, warn, tables: [], syncId, run: randomUUID() }
    // Fails here, and not in the middle of something, if nobody answers.
    await connections.use(async () => undefined)
  }

  async lease(options: LeaseOptions): Promise<AsyncDisposable> {
    const open = this.#opened()
    const lease = await PipelineLease.take(open.connections, open.syncId, options)
    await open.guard.watch(options.lost)
    return lease
  }

  async tables(): Promise<readonly Table[]> {
    const open = this.#opened()
    const options = { keyless: this.#options.keyless ?? 'refuse', warn: open.warn, shaper: this.#shaper }
    const select = (session: Session) => selectTables(session, this.#options, options)
    open.tables = await open.connections.use((session) => session.within('look', () => select(session)))
    return open.tables
  }

  async check(given: readonly Table[], { captured, after, since }: CheckOptions): Promise<void> {
    const { connections, consumer, installer } = this.#opened()
    if (this.#options.snapshot === 'chunked' && !captured && after === undefined) throw notCaptured()
    checkReading(given.map(ownTable))
    const tables = followableTables(given)
    const reading = { consumer, installer, tables, names: this.#names, selection: this.#options }
    const check = async (session: Session) => {
      if (captured) await checkCopy(session, reading, since)
      if (after !== undefined) await checkReader(session, decode(after), reading)
    }
    await connections.use((session) => session.within('look', () => check(session)))
  }

  async prepare(tables: readonly Table[], { signal }: Abortable): Promise<void> {
    await this.#opened().installer.install(followableTables(tables), { signal })
  }

  async position({ signal }: Abortable): Promise<Position> {
    const { connections, warn, tables } = this.#opened()
    const followed = followableTables(tables)
    const read = (session: Session) => currentPosition(session, this.#names, followed, { signal, warn })
    return encode(await withAudit(connections, this.#names, undefined, read))
  }

  /** Accepts `postgresql:sequence:42` and `42`. @throws SyncError `E_CONFIG` */
  parse(text: string): Position {
    return encode(decode(text))
  }

  describe(position: Position): { readonly text: string; readonly json: Json } {
    return { text: publicText(decode(position)), json: publicJson(decode(position)) }
  }

  compare(a: Position, b: Position): number {
    return decode(a).sequence - decode(b).sequence
  }

  async openSnapshot({ tables, captured, signal, since }: SnapshotOptions): Promise<Snapshot> {
    const { connections, run, guard } = this.#opened()
    const { snapshot: mode = 'auto' } = this.#options
    const setup = { connections, tables: tables.map(ownTable), run, shaper: this.#shaper }
    const position = async () => (captured ? this.#snapshotPosition(since, signal) : this.parse('0'))
    return guard.over(await openSnapshot(mode, captured, setup, position))
  }

  async #snapshotPosition(since: Position | undefined, signal: AbortSignal | undefined): Promise<Position> {
    if (since === undefined) return this.position({ signal })
    const { connections, tables } = this.#opened()
    const read = (session: Session) => positionSince(session, this.#names, followableTables(tables), decode(since))
    return encode(await connections.use(read))
  }

  async *changes(options: ChangeOptions): AsyncGenerator<Delta> {
    const { connections, consumer, installer, warn } = this.#opened()
    try {
      const { reader } = await openReader(decode(options.after), {
        connections,
        consumer,
        installer,
        names: this.#names,
        warn,
        tables: followableTables(options.tables, warn),
        selection: this.#options,
        alterable: options.alterable,
        shaper: this.#shaper,
      })
      const untilSequence = options.until === undefined ? undefined : decode(options.until).sequence
      yield* reader.changes({ ...options, untilSequence })
    } finally {
      connections.verify(undefined)
    }
  }

  reread(table: Table, keys: readonly Key[], options: ReadOptions): AsyncGenerator<RowBatch> {
    return presentRows(this.#opened().connections, ownTable(table), keys, options)
  }

  acknowledge(position: Position): Promise<void> {
    return acknowledge(this.#opened(), position)
  }

  report(report: RunReport): Promise<void> {
    return this.#opened().consumer.report(report)
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined) await endSource(open, (detachment) => this.#remove({ warn: open.warn, detachment }))
  }

  /**
   * Removes audit rows that every registered consumer has passed. Needs no run: it connects by itself.
   * @returns how many rows were removed
   */
  prune(options: PruneOptions = {}): Promise<number> {
    return this.#database.apart((connections) => prune(connections, this.#names, options))
  }

  /**
   * Holds the audit table to `auditBytesMax` while no run does. With the policy `detach` it removes what every pipeline has
   * applied, and if that is not enough, everything that is installed: runs then end with `E_AUDIT_DETACHED`. Connects by itself.
   * @throws SyncError `E_CONFIG` if there is no limit; `E_RIGHTS` and `E_LOCK_TIMEOUT` as `teardown`
   */
  async enforceAuditLimit({ signal }: Abortable = {}): Promise<AuditLimitOutcome> {
    const limit = { ...limitOf(this.#options), signal, warn: ignore }
    return this.#database.apart((connections) => enforceAuditLimit({ ...this.#context, ...limit, connections }))
  }

  /** How much is captured, who reads it and how far behind each is. Connects by itself, and changes nothing. */
  status(): Promise<SourceStatus> {
    return this.#database.apart((connections) => readStatus(connections, this.#names, this.#database.auditSchema))
  }

  /** The pipelines that read the audit table, and how far each has come. Connects by itself. */
  consumers(): Promise<readonly AuditConsumer[]> {
    return this.#database.apart((connections) => listConsumers(connections, this.#names))
  }

  /**
   * Unregisters a pipeline that will not come back, so that its changes can be pruned. Connects by itself.
   * @returns whether there was one of that id
   */
  forget(id: string): Promise<boolean> {
    return this.#database.apart((connections) => forgetConsumer(connections, this.#names, id))
  }

  /**
   * Asks pipelines to read these tables (names or patterns) again as a whole, and those that select but do not follow them
   * yet to do so from now on. They do it in order with other changes, at once where they run. Connects by itself.
   * @returns the tables' names
   * @throws SyncError `E_TRIGGER_MISSING` if nothing is followed here yet, `E_TABLE_WITHOUT_KEY`
   */
  resync(tables: readonly string[], { signal }: Abortable = {}): Promise<readonly string[]> {
    return this.#database.apart((connections) => {
      const installer = this.#database.installer(connections, ignore)
      return requestResync({ ...this.#options, tables }, { connections, names: this.#names, installer, signal })
    })
  }

  /**
   * Removes everything that was installed: triggers, functions, the audit table, the role. Waits for no lock longer than
   * `lockTimeoutMs`, and may be repeated. Connects by itself; no run may be going on.
   * @throws SyncError `E_RIGHTS` if this role may not remove all of it: then nothing is removed, and the hint is a script
   */
  teardown({ signal, warn = ignore }: Abortable & Partial<Pick<RunContext, 'warn'>> = {}): Promise<void> {
    return this.#remove({ warn, signal })
  }

  /** The script that removes everything that was installed, for whoever may; empty if there is nothing. */
  teardownSql(): Promise<string> {
    return this.#database.apart((connections) => teardownScript({ ...this.#context, connections, warn: ignore }))
  }

  /** What would be copied and installed. Connects by itself, needs no right but to connect, and changes nothing. @throws SyncError */
  plan(): Promise<SourcePlan> {
    return this.#database.apart((connections) => planSource({ ...this.#context, connections }))
  }

  /**
   * The script that installs what captures changes, for a DBA to run by `psql` or any other client; afterwards the role in
   * the options can run pipelines and needs no right to create anything. It does only what is missing, so it may be run
   * again. It is made for this database, and for the selected tables as they are now. Connects by itself, and changes nothing.
   */
  installSql(options: InstallScriptOptions = {}): Promise<string> {
    return this.#database.apart((connections) => planScript({ ...this.#context, connections }, options))
  }

  /** Looks at everything that a run depends on: see {@link examine}. Connects by itself, changes nothing, and does not throw for what it finds. */
  examine(options: ExamineSourceOptions = {}): Promise<SourceExamination> {
    return examineSource((warn) => this.#database.connect(warn), this.#context, { ...options, address: this.address })
  }

  /** Opens a connection for `verify`: see its options. Whether or not a run is going on. @throws SyncError */
  inspect(options: Abortable): Promise<SourceInspection> {
    const selection = { ...this.#options, shaper: this.#shaper }
    return Inspection.open(this.#database.connect(ignore), this.#names, selection, options)
  }

  #remove(options: Pick<TeardownOptions, 'warn' | 'signal' | 'detachment'>): Promise<void> {
    return this.#database.apart((connections) => teardown({ ...this.#context, connections, ...options }))
  }

  get #context(): Omit<PlanContext, 'connections'> {
    return { names: this.#names, auditSchema: this.#database.auditSchema, options: this.#options }
  }

  #opened(): OpenSource {
    if (this.#open === undefined) throw new SyncError('E_CONFIG', 'The PostgreSQL source is not open')
    return this.#open
  }
}

const ignore = () => {}
