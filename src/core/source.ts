/** Where rows come from. */
import type { Alteration } from './alteration.js'
import type { Key, RowBatch } from './batch.js'
import type { Position } from './checkpoint.js'
import type { Delta } from './delta.js'
import type { SyncError, SyncErrorCode } from './errors.js'
import type { Phase, SyncWarning } from './events.js'
import type { Table } from './schema.js'
import type { Json } from './value.js'

/** Every operation stops early when the signal aborts, by throwing the signal's reason. */
export interface Abortable {
  readonly signal?: AbortSignal
}

/** Upper bounds of one batch. A single row may exceed `bytesMax`: it travels alone. */
export interface BatchLimits {
  readonly rowsMax: number
  /** In the source's wire form. */
  readonly bytesMax: number
  /** A larger row, in the source's wire form, is refused with `E_ROW_TOO_LARGE` before it is decoded. @defaultValue none */
  readonly rowBytesMax?: number
}

/** What an engine tells a source or a sink about the run. */
export interface RunContext extends Abortable {
  /** The pipeline's id: `[A-Za-z0-9_-]{1,64}`. */
  readonly syncId: string
  /** Reports something that an operator should know and that does not stop the run. */
  warn(warning: SyncWarning): void
}

/**
 * A source of rows and changes. One run uses one source; nothing is called concurrently except `acknowledge`, `report` and
 * the reads of a snapshot, of which the engine has up to `concurrency` open, each of another chunk.
 *
 * Order of calls: `open`, `lease`, `tables`, `check`; in the full phase with checkpoints `prepare`, `openSnapshot`, reads, `position`;
 * in the incremental phase `changes`; at the end `close`.
 */
export interface Source {
  readonly name: string
  /** Where it is, for people: `postgresql://localhost:5432/myapp`. Without user and password. */
  readonly address?: string | undefined
  /** How many parts of tables may be read at once, whatever the engine would like. @defaultValue no limit */
  readonly readersMax?: number | undefined
  /** Connects and checks. */
  open?(context: RunContext): Promise<void>
  /**
   * Finds out whether another run of this pipeline goes on, and keeps others from beginning until it is disposed of, which
   * never throws. It says who is alive; that only one of them writes is the sink's business. Without this method a second run is not refused.
   * @throws SyncError `E_LEASE_HELD`
   */
  lease?(options: LeaseOptions): Promise<AsyncDisposable>
  /** The tables that this source offers, as they are now. */
  tables(options: Abortable): Promise<readonly Table[]>
  /**
   * Finds out what would stop `prepare` and reading later: missing rights, settings, unusable tables, changes that nobody
   * captured. Called before anything is written on either side, and also when nothing will be. Changes nothing.
   * @throws SyncError
   */
  check?(tables: readonly Table[], options: CheckOptions): Promise<void>
  /** Makes sure that every later change of these tables is captured, for example by installing triggers. Idempotent. */
  prepare?(tables: readonly Table[], options: Abortable): Promise<void>
  /** Where the source is now: every change committed before this call is at or before the returned position. */
  position(options: Abortable): Promise<Position>
  /** Reads what `describe().text` writes, and the source's other public forms. @throws SyncError `E_CONFIG` */
  parse(text: string): Position
  describe(position: Position): { readonly text: string; readonly json: Json }
  /**
   * Names everything in this source's own options that decides what it makes of a row of this table. When a full sync that
   * was cut off goes on under another name, the table is copied from the start.
   */
  shape?(table: Table): string
  /** Negative: `a` is before `b`. Zero: the same point. */
  compare(a: Position, b: Position): number
  openSnapshot(options: SnapshotOptions): Promise<Snapshot>
  /**
   * Deltas after a position, in order, until `until` is reached at a drained delta, or for ever if `follow`. The first
   * drained delta is yielded even if it is empty. A delta that is abandoned before its end was not applied.
   */
  changes(options: ChangeOptions): AsyncIterable<Delta>
  /**
   * The rows with these keys as they are now: upserts for those that are there, deletes for the others, none twice. A key that
   * the source cannot look for is left out.
   */
  reread?(table: Table, keys: readonly Key[], options: ReadOptions): AsyncIterable<RowBatch>
  /** Everything up to here is durable in the sink, so the source may forget it. */
  acknowledge?(position: Position): Promise<void>
  /** Keeps how the run stands where people who look at the source find it. What it throws is ignored. */
  report?(report: RunReport): Promise<void>
  /** Ends what `open` began. May be called again, and without `open`. Never throws. */
  close?(): Promise<void>
}

/** How a run stands. */
export interface RunReport {
  /** Undefined: it has ended before its first. */
  readonly phase: Phase | undefined
  /** In no order, and not more than 1,000. */
  readonly tables: readonly TableReport[]
  /** Why the run ends, if it failed. */
  readonly error?: SyncErrorCode
}

/** How one table of a run stands. */
export interface TableReport {
  readonly label: string
  readonly state: 'waiting' | 'running' | 'done'
  /** Copied in the full phase, later applied since the run began. */
  readonly rows: number
}

/** For which run a source is to be checked. */
export interface CheckOptions extends Abortable {
  /** Whether `prepare` will be called. */
  readonly captured: boolean
  /** Where `changes` will be read from. Undefined: a full phase comes first, which makes that possible. */
  readonly after?: Position
  /**
   * Where a full phase that was cut off would go on. If nothing but another full phase helps, and somebody has to look first
   * why, that is refused here, before anything is installed; what beginning again repairs is not.
   */
  readonly since?: Position
}

/** How a lease is taken. */
export interface LeaseOptions extends Abortable {
  /** Take it although another run has it. */
  readonly takeover: boolean
  /** Called when it was lost for a while, in which another run may have begun and ended, and is held again. */
  doubted(): void
  /** Called at most once, when another run turns out to have it now: with what this run must end with. */
  lost(error: SyncError): void
}

/** What a snapshot is to hold. */
export interface SnapshotOptions extends Abortable {
  readonly tables: readonly Table[]
  /** Whether changes are captured, so that replaying from the snapshot's position repairs what one snapshot cannot see. */
  readonly captured: boolean
  /**
   * A copy goes on that began at this position, and whose changes will be replayed from there. The snapshot's position
   * should then be the same point, with whatever else it says brought up to date. Throws `E_AUDIT_HOLE`,
   * `E_SOURCE_REWOUND` or `E_SOURCE_IDENTITY` if changes since then are no longer complete: the copy then begins again.
   */
  readonly since?: Position
}

/** How rows are read. */
export interface ReadOptions extends Abortable {
  readonly limits: BatchLimits
}

/** Which changes a source is to give, and how. */
export interface ChangeOptions extends ReadOptions {
  readonly tables: readonly Table[]
  readonly after: Position
  readonly until?: Position
  /** False: end at the first drained delta. True: wait for more. */
  readonly follow: boolean
  /** Whether the sink applies this in place. A table for which it does not, is replaced. @defaultValue never */
  readonly alterable?: (alteration: Alteration) => boolean
}

/** A part of a table that is read in one go. */
export interface Chunk {
  /**
   * Unique within the table, and stable between snapshots and runs: while it stays the same, the rows that were in it
   * at an earlier time and have not changed since are still in it. So it changes when the table is rewritten.
   */
  readonly id: string
  readonly table: Table
}

/** A read of whole tables. Its rows plus the changes after its position equal the source (I7). */
export interface Snapshot extends AsyncDisposable {
  readonly position: Position
  /** The chunks that together are the table. */
  chunks(table: Table, options: Abortable): Promise<readonly Chunk[]>
  /** Upserts only. */
  read(chunk: Chunk, options: ReadOptions): AsyncIterable<RowBatch>
  /** Which of these keys (at most 1,000) the source does not have, for {@link ReplaceBatch}. */
  absent?(table: Table, keys: readonly Key[], options: Abortable): Promise<readonly boolean[]>
}
