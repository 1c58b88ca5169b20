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
import { type ConnectionSettings, parseConnection } from './connection-settings.js'
import { Connections } from './connections.js'
import { Consumer, isTolerable } from './consumers.js'
import { currentPosition } from './current-position.js'
import { readIdentity } from './identity.js'
import { Installer } from './installer.js'
import { openReader } from './open-reader.js'
import { decode, encode, publicJson, publicText } from './position.js'
import type { PostgresTable } from './postgres-table.js'
import { type AuditNames, auditNames } from './schema.sql.js'
import { ChunkedSnapshot, ConsistentSnapshot } from './snapshot.js'
import { checkReading, ownTable, selectTables } from './table-selection.js'

export interface PostgresTriggerSourceOptions {
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
  readonly #options: PostgresTriggerSourceOptions
  readonly #settings: ConnectionSettings
  readonly #names: AuditNames
  #open: OpenSource | undefined

  /** Checks the options; connects to nothing. @throws SyncError `E_CONFIG` */
  constructor(options: PostgresTriggerSourceOptions) {
    this.#options = options
    this.#settings = parseConnection(options.url, options)
    this.#names = auditNames(options.auditSchema ?? 'public')
  }

  async open(context: RunContext): Promise<void> {
    const { warn } = context
    const connections = new Connections(this.#settings, warn, { lockTimeoutMs: this.#options.lockTimeoutMs })
    const installer = new Installer(
      connections,
      this.#options.auditSchema ?? 'public',
      warn,
      this.#options.triggerLevel,
    )
    const consumer = new Consumer(connections, this.#names, context.syncId)
    this.#open = { connections, installer, consumer, warn, tables: [] }
    // Fails here, and not in the middle of something, if nobody answers.
    await connections.use(async () => undefined)
  }

  async tables(): Promise<readonly Table[]> {
    const open = this.#opened()
    open.tables = await open.connections.use((session) =>
      session.within('look', () => selectTables(session, this.#options, open.warn)),
    )
    return open.tables
  }

  async check(tables: readonly Table[], { captured }: CheckOptions): Promise<void> {
    const { connections, installer } = this.#opened()
    await connections.use((session) =>
      session.within('look', async () => {
        checkReading(tables.map(ownTable))
        if (!captured) return
        await readIdentity(session)
        await installer.check(session, tables.map(ownTable))
      }),
    )
  }

  async prepare(tables: readonly Table[], { signal }: Abortable): Promise<void> {
    await this.#opened().installer.install(tables.map(ownTable), { signal })
  }

  async position({ signal }: Abortable): Promise<Position> {
    const { connections, warn, tables } = this.#opened()
    const position = await connections.use((session) => currentPosition(session, this.#names, tables, { signal, warn }))
    return encode(position)
  }

  /** Accepts `postgresql:sequence:42` and `42`. @throws SyncError `E_CONFIG` */
  parse(text: string): Position {
    return encode(decode(text))
  }

  describe(position: Position): { readonly text: string; readonly json: Json } {
    const decoded = decode(position)
    return { text: publicText(decoded), json: publicJson(decoded) }
  }

  compare(a: Position, b: Position): number {
    return decode(a).sequence - decode(b).sequence
  }

  async openSnapshot({ tables, captured, signal }: SnapshotOptions): Promise<Snapshot> {
    const { connections } = this.#opened()
    if (captured) return new ChunkedSnapshot(connections, await this.position({ signal }))
    return ConsistentSnapshot.open(connections, tables.map(ownTable), this.parse('0'))
  }

  async *changes(options: ChangeOptions): AsyncGenerator<Delta> {
    const { connections, installer, warn } = this.#opened()
    try {
      const { reader } = await openReader(decode(options.after), {
        connections,
        installer,
        names: this.#names,
        warn,
        tables: options.tables.map(ownTable),
        selection: this.#options,
      })
      const untilSequence = options.until === undefined ? undefined : decode(options.until).sequence
      yield* reader.changes({ ...options, untilSequence })
    } finally {
      connections.verify(undefined)
    }
  }

  async acknowledge(position: Position): Promise<void> {
    const { consumer, warn } = this.#opened()
    try {
      await consumer.advance(decode(position).sequence)
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

  #opened(): OpenSource {
    if (this.#open === undefined) throw new SyncError('E_CONFIG', 'The PostgreSQL source is not open')
    return this.#open
  }
}

interface OpenSource {
  readonly connections: Connections
  readonly installer: Installer
  readonly consumer: Consumer
  readonly warn: (warning: SyncWarning) => void
  tables: readonly PostgresTable[]
}
