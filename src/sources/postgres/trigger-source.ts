/** PostgreSQL as a source: whole tables by COPY, changes by triggers that log keys into an audit table. */
import type { Position } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Table } from '../../core/schema.js'
import type {
  Abortable,
  ChangeOptions,
  CheckOptions,
  RunContext,
  Snapshot,
  SnapshotOptions,
  Source,
} from '../../core/source.js'
import type { Json } from '../../core/value.js'
import type { TriggerLevel } from './capture-function.js'
import { type ConnectionSettings, describeAddress, parseConnection } from './connection-settings.js'
import { Connections } from './connections.js'
import { Consumer, isTolerable } from './consumers.js'
import { currentPosition } from './current-position.js'
import { readIdentity } from './identity.js'
import { Installer } from './installer.js'
import { isKeyedByAddress } from './keyless-table.js'
import { checkReader, openReader } from './open-reader.js'
import { decode, encode, publicJson, publicText } from './position.js'
import type { PostgresTable } from './postgres-table.js'
import { type AuditConsumer, forgetConsumer, listConsumers, type PruneOptions, Pruner, prune } from './pruning.js'
import { type AuditNames, auditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { ChunkedSnapshot, ConsistentSnapshot } from './snapshot.js'
import { checkReading, type KeylessTables, ownTable, selectTables } from './table-selection.js'
import { type ShapingOptions, TableShaper } from './table-shape.js'
import { type TeardownOptions, teardown, teardownScript } from './teardown.js'

export interface PostgresTriggerSourceOptions extends ShapingOptions {
  /**
   * `postgresql://user:password@host:port/database?sslmode=…`. Without `sslmode`: verified TLS; near hosts (loopback,
   * private addresses, single-label names) that offer no TLS are used without it, with a warning.
   */
  readonly url: string
  /** Replaces the database of the url. */
  readonly database?: string
  /** Replaces the user of the url. */
  readonly user?: string
  /** Replaces the password of the url. */
  readonly password?: string
  /** `name` or `schema.name`, also with `*` and `?`. @defaultValue all tables with a key in all selected schemas */
  readonly tables?: readonly string[]
  /** Tables to leave out, in the same form. */
  readonly excludeTables?: readonly string[]
  /** @defaultValue all schemas but PostgreSQL's own */
  readonly schemas?: readonly string[]
  /**
   * Tables without a primary key, and without a unique index on columns that are not NULL. `refuse`: they are left out with
   * a warning, and refused where they are named. `copy`: full syncs copy them, with the places where their rows are stored
   * (`ctid`) as record ids; their changes are not followed. @defaultValue `refuse`
   */
  readonly keyless?: KeylessTables
  /** Where the audit table and the capture functions are. @defaultValue `public` */
  readonly auditSchema?: string
  /**
   * How long a statement of ours waits for a lock, in milliseconds, and so at most keeps others waiting behind it. A table
   * that is locked for longer is tried again later. @defaultValue 2,000
   */
  readonly lockTimeoutMs?: number
  /**
   * `row`: a trigger for each changed row, which sees every write. `statement`: one for each statement, which costs the
   * source less for bulk writes and more for single rows, and misses what logical replication applies to the table and
   * what is written into a partition before its triggers are there. Tables that inherit or are inherited from get row
   * triggers in any case. @defaultValue `row`
   */
  readonly triggerLevel?: TriggerLevel
  /**
   * Also install an event trigger that follows ALTER TABLE at once, so that writers do not fail for the second until this
   * source has noticed that a key column was renamed or got another type. Only a superuser can. @defaultValue false
   */
  readonly eventTrigger?: boolean
  /**
   * While following, remove audit rows that every consumer has passed and that are older than this, now and then. Keep
   * them for as long as the target might be restored from a backup. @defaultValue never; see {@link PostgresTriggerSource.prune}
   */
  readonly pruneAfterMs?: number
}

/**
 * Replicates tables of one PostgreSQL database (14 or later).
 *
 * A full sync with checkpoints installs, for each table, a trigger that logs the key of every changed row; the incremental
 * sync reads those keys again in one snapshot, so that the sink gets the latest state, in whatever order transactions
 * committed. Nothing is installed by a full sync without checkpoints.
 */
export class PostgresTriggerSource implements Source {
  readonly name = 'postgresql'
  readonly address: string
  readonly #options: PostgresTriggerSourceOptions
  readonly #settings: ConnectionSettings
  readonly #auditSchema: string
  readonly #names: AuditNames
  #shaper: TableShaper
  #open: OpenSource | undefined

  /** Checks the options; connects to nothing. @throws SyncError `E_CONFIG` */
  constructor(options: PostgresTriggerSourceOptions) {
    this.#options = options
    this.#settings = parseConnection(options.url, options)
    this.address = describeAddress(this.#settings)
    this.#auditSchema = options.auditSchema ?? 'public'
    this.#names = auditNames(this.#auditSchema)
    this.#shaper = new TableShaper(options.shaping, options.maskSecret)
  }

  async open(context: RunContext): Promise<void> {
    const { warn } = context
    this.#shaper = new TableShaper(this.#options.shaping, this.#options.maskSecret)
    const connections = this.#connect(warn)
    const { triggerLevel, eventTrigger } = this.#options
    const installer = new Installer(connections, this.#auditSchema, warn, { triggerLevel, eventTrigger })
    const consumer = new Consumer(connections, this.#names, context.syncId)
    const { pruneAfterMs } = this.#options
    const pruner = pruneAfterMs === undefined ? undefined : new Pruner(connections, this.#names, pruneAfterMs)
    this.#open = { connections, installer, consumer, pruner, warn, tables: [] }
    // Fails here, and not in the middle of something, if nobody answers.
    await connections.use(async () => undefined)
  }

  async tables(): Promise<readonly Table[]> {
    const open = this.#opened()
    const options = { keyless: this.#options.keyless ?? 'refuse', warn: open.warn, shaper: this.#shaper }
    const select = (session: Session) => selectTables(session, this.#options, options)
    open.tables = await open.connections.use((session) => session.within('look', () => select(session)))
    return open.tables
  }

  async check(given: readonly Table[], { captured, after }: CheckOptions): Promise<void> {
    const { connections, consumer, installer } = this.#opened()
    checkReading(given.map(ownTable))
    const tables = this.#followable(given)
    await connections.use((session) =>
      session.within('look', async () => {
        if (captured) {
          await readIdentity(session)
          await installer.check(session, tables)
        }
        if (after === undefined) return
        const [names, selection] = [this.#names, this.#options]
        await checkReader(session, decode(after), { consumer, installer, names, tables, selection })
      }),
    )
  }

  async prepare(tables: readonly Table[], { signal }: Abortable): Promise<void> {
    await this.#opened().installer.install(this.#followable(tables), { signal })
  }

  async position({ signal }: Abortable): Promise<Position> {
    const { connections, warn, tables } = this.#opened()
    const followed = this.#followable(tables)
    const read = (session: Session) => currentPosition(session, this.#names, followed, { signal, warn })
    return encode(await connections.use(read))
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

  async openSnapshot({ tables, captured, signal }: SnapshotOptions): Promise<Snapshot> {
    const { connections } = this.#opened()
    const own = tables.map(ownTable)
    if (captured) return ChunkedSnapshot.open(connections, own, await this.position({ signal }), this.#shaper)
    return ConsistentSnapshot.open(connections, own, this.parse('0'))
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
        tables: this.#followable(options.tables, warn),
        selection: this.#options,
        shaper: this.#shaper,
      })
      const untilSequence = options.until === undefined ? undefined : decode(options.until).sequence
      yield* reader.changes({ ...options, untilSequence })
    } finally {
      connections.verify(undefined)
    }
  }

  async acknowledge(position: Position): Promise<void> {
    const { consumer, pruner, warn } = this.#opened()
    try {
      await consumer.advance(decode(position))
      await pruner?.advance()
    } catch (error) {
      if (!isTolerable(error)) throw error
      warn({
        code: 'position_not_recorded',
        message: `The position could not be recorded in the source: ${error.message}`,
      })
    }
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.consumer.flush().catch(() => undefined)
    await open?.connections.close()
  }

  /**
   * Removes audit rows that every registered consumer has passed. Needs no run: it connects by itself.
   * @returns how many rows were removed
   */
  prune(options: PruneOptions = {}): Promise<number> {
    return this.#apart((connections) => prune(connections, this.#names, options))
  }

  /** The pipelines that read the audit table, and how far each has come. Connects by itself. */
  consumers(): Promise<readonly AuditConsumer[]> {
    return this.#apart((connections) => listConsumers(connections, this.#names))
  }

  /**
   * Unregisters a pipeline that will not come back, so that its changes can be pruned. Connects by itself.
   * @returns whether there was one of that id
   */
  forget(id: string): Promise<boolean> {
    return this.#apart((connections) => forgetConsumer(connections, this.#names, id))
  }

  /**
   * Removes everything that was installed: triggers, functions, the audit table, the role. Waits for no lock longer than
   * `lockTimeoutMs`, and may be repeated. Connects by itself; no run may be going on.
   * @throws SyncError `E_RIGHTS` if this role may not remove all of it: then nothing is removed, and the hint is a script
   */
  teardown({ signal, warn = () => {} }: Abortable & Partial<Pick<RunContext, 'warn'>> = {}): Promise<void> {
    return this.#apart((connections) => teardown({ ...this.#teardown(connections), warn, signal }))
  }

  /** The script that removes everything that was installed, for whoever may; empty if there is nothing. */
  teardownSql(): Promise<string> {
    return this.#apart((connections) => teardownScript(this.#teardown(connections)))
  }

  /** Without the tables that have no key. */
  #followable(tables: readonly Table[], warn?: RunContext['warn']): readonly PostgresTable[] {
    const own = tables.map(ownTable)
    for (const { label } of own.filter(isKeyedByAddress)) {
      const message = `${label} has no key: its changes are not followed, only full syncs copy it`
      warn?.({ code: 'table_not_followed', table: label, message })
    }
    return own.filter((table) => !isKeyedByAddress(table))
  }

  #teardown(connections: Connections): TeardownOptions {
    return { connections, names: this.#names, auditSchema: this.#auditSchema, warn: () => {} }
  }

  /** Works with connections of its own, whether or not a run is going on. */
  async #apart<T>(work: (connections: Connections) => Promise<T>): Promise<T> {
    const connections = this.#connect(() => {})
    try {
      return await work(connections)
    } finally {
      await connections.close()
    }
  }

  #connect(warn: RunContext['warn']): Connections {
    return new Connections(this.#settings, warn, { lockTimeoutMs: this.#options.lockTimeoutMs })
  }

  #opened(): OpenSource {
    if (this.#open === undefined) throw new SyncError('E_CONFIG', 'The PostgreSQL source is not open')
    return this.#open
  }
}

interface OpenSource {
  readonly connections: Connections
  readonly installer: Installer
  readonly consumer: Consumer
  readonly pruner: Pruner | undefined
  readonly warn: (warning: SyncWarning) => void
  tables: readonly PostgresTable[]
}
