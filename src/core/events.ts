/** What a run tells the outside while it goes on. */
import type { CheckpointKind, Position } from './checkpoint.js'
import type { SyncErrorCode } from './errors.js'
import type { Table } from './schema.js'

/** What a run does: copy everything, or follow what changes. */
export type Phase = 'full' | 'incremental'

/** Something that an operator should know and that does not stop the run. Never contains a cell value. */
export interface SyncWarning {
  /** Stable, for scripts: `table_skipped`, `value_fallback`, `table_replaced`, … */
  readonly code: string
  /** One sentence. */
  readonly message: string
  readonly table?: string
  readonly column?: string
  /** How many times since the last such warning. */
  readonly count?: number
}

/** One table's progress. In the full phase rows are copied rows, later they are changes applied. */
export interface TableProgress {
  readonly phase: Phase
  readonly table: Table
  readonly state: 'waiting' | 'running' | 'done'
  readonly rows: number
  /** The source's estimate. Only in the full phase, and only where there is one. */
  readonly rowCountEstimate?: number
  /** The parts in which a table is read, and how many of them are durable. Only in the full phase. */
  readonly chunks?: { readonly done: number; readonly total: number }
}

/** What `SyncEngine` emits. There is no `error` event: `run()` rejects. A throwing listener stops neither the run nor other listeners. */
export interface SyncEvents {
  /** A run begins, before anything is opened. */
  start: [{ readonly id: string }]
  /**
   * A run has ended, and `run()` is about to settle: the last event of each run that said `start`. `code` says why it
   * `failed`; a failure without one is a bug.
   */
  end: [
    {
      readonly reason: 'completed' | 'aborted' | 'failed'
      readonly code?: SyncErrorCode
      readonly durationMs: number
    },
  ]
  phase: [{ readonly phase: Phase; readonly tables: readonly Table[] }]
  /** A full sync that was cut off goes on: so much of it is done, and changes will be replayed from `position`. */
  resumed: [
    {
      readonly position: Position
      readonly text: string
      readonly chunks: { readonly done: number; readonly total: number }
    },
  ]
  table: [TableProgress]
  /** A batch became durable. */
  batch: [
    {
      readonly phase: Phase
      readonly table: Table
      readonly op: string
      readonly rows: number
      readonly bytes?: number
    },
  ]
  /** A checkpoint became durable. `text` is the source's public form of `position`. */
  checkpoint: [
    {
      readonly kind: CheckpointKind
      readonly position: Position
      readonly text: string
      /** Now minus the commit time of the newest change applied, in milliseconds, by two clocks. */
      readonly lagMs?: number
    },
  ]
  /**
   * A delta with changes has begun, `at` in milliseconds since 1970: until its `delta` the target is not as the source.
   */
  applying: [{ readonly at: number }]
  /**
   * A delta took effect, with its checkpoint; an idle source has deltas without batches, too. `drained`: nothing else was
   * visible at the source.
   */
  delta: [
    {
      readonly batches: number
      readonly rows: number
      readonly drained: boolean
      /** From its beginning until it was durable, what reading it took included. */
      readonly durationMs: number
      /** See `checkpoint`. */
      readonly lagMs?: number
    },
  ]
  /** Everything visible at the source has been applied. Emitted at the first drained delta, then at each one that ends changes. */
  caughtUp: [{ readonly position: Position; readonly text: string }]
  retry: [
    { readonly code: SyncErrorCode; readonly message: string; readonly attempt: number; readonly delayMs: number },
  ]
  warning: [SyncWarning]
}
