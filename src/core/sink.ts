/** Where rows go. */
import type { Alteration } from './alteration.js'
import type { Batch } from './batch.js'
import type { Checkpoint } from './checkpoint.js'
import type { Delta } from './delta.js'
import type { Table } from './schema.js'
import type { Abortable, BatchLimits, RunContext } from './source.js'

/**
 * A target of rows.
 *
 * Order of calls: `open`, `check`, `prepare`, then writes, at the end `close`. `write` may be called up to the engine's `inFlight`
 * times at once, never with the same key in two of them; `truncate` and `replace` batches always come alone (I6).
 */
export interface Sink {
  readonly name: string
  /** Where it is, for people: `ws://localhost:8000`. Without user and password. */
  readonly address?: string | undefined
  /** The batch size that this sink likes best. */
  readonly limits?: Partial<BatchLimits> | undefined
  /** How many writes this sink can use at once. */
  readonly inFlight?: number | undefined
  /**
   * Names everything in this sink's own options that decides what it makes of a row of this table, and where. When a full
   * sync that was cut off goes on under another name, the table is copied from the start.
   */
  shape?(table: Table): string
  /**
   * Whether it obeys `Table.shape.deletes`, in batches of deletes and in barriers. Without it a run with tables whose rows
   * are not simply to be deleted is refused.
   */
  readonly obeysDeletes?: boolean | undefined
  /** Connects and checks, without changing anything that a user would see. */
  open?(context: RunContext): Promise<void>
  /**
   * Finds out what would stop `prepare` later: missing rights, names that collide, content that is not ours. Called before
   * anything is written on either side, and also when nothing will be (`SyncEngine.plan`). Changes nothing.
   * @throws SyncError
   */
  check?(tables: readonly Table[], options: PrepareOptions): Promise<void>
  /** Makes ready for these tables. In the full phase the sink must refuse tables whose content it does not own. */
  prepare?(tables: readonly Table[], options: PrepareOptions): Promise<void>
  /** Whether the target of a table held nothing when `prepare` was called. What was copied into it before is gone then. */
  isEmpty?(table: Table): boolean
  /** Applies one batch. Idempotent, and resolves only when the batch is durable (I4). */
  write(batch: Batch, options: Abortable): Promise<void>
  /**
   * Applies one delta and saves its checkpoint, together or not at all (I10). `checkpoint()` may be asked for once the
   * batches have ended. The engine needs no store if the sink has `load` and `save` as well (see `CheckpointStore`).
   */
  commit?(delta: Delta, checkpoint: () => Checkpoint, options: Abortable): Promise<void>
  /** Whether `alter` can apply this. Changes nothing. @defaultValue it can, if there is an `alter` */
  alterable?(alteration: Alteration): boolean
  /**
   * Gives every row of a table the columns that were added, as null, and takes away those that were dropped. A value that is
   * there already stays, and nothing else is touched. Idempotent, and resolves only when it is durable; comes alone, like a
   * barrier (I6). Without it a source sends the whole table again instead.
   */
  alter?(alteration: Alteration, options: Abortable): Promise<void>
  /**
   * Finds out whether this run may still write. Called when another run may have begun meanwhile; writes may be open.
   * @throws SyncError `E_LEASE_LOST`
   */
  confirm?(options: Abortable): Promise<void>
  /** Ends what `open` began. May be called again, and without `open`. Never throws. */
  close?(): Promise<void>
}

/** For which phase a sink is to be ready. */
export interface PrepareOptions extends Abortable {
  readonly phase: 'full' | 'incremental'
  /** Tables that the run goes on to write to besides: no other may be written where they are. @defaultValue none */
  readonly beside?: readonly Table[] | undefined
}
