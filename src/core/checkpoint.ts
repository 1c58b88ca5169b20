/** What is saved so that a restart resumes. */
import type { RunContext } from './source.js'
import type { Json } from './value.js'

declare const positionBrand: unique symbol

/** A point in the source's history. Opaque text to all but the source that made it. */
export type Position = string & { readonly [positionBrand]: never }

/** How far a pipeline has come. `incremental` follows `full_sync_end`. */
export type CheckpointKind = 'full_sync_start' | 'full_progress' | 'full_sync_end' | 'incremental'

/** What is saved. Stores copy it and read nothing but `kind` out of it. */
export interface Checkpoint {
  readonly kind: CheckpointKind
  /** t1 in a `full_sync_start`, t2 in a `full_sync_end`, what has been applied in an `incremental`. */
  readonly position: Position
  /** The position after which changes must be read next: t1 until the incremental phase has moved on. */
  readonly resumeAfter: Position
  /** The source's public form of `position`, for people and scripts: `{"PostgreSQL":{"sequence":42, …}}`. */
  readonly described: Json
  /** What is durable of a full sync, in a `full_progress`. Only the engine reads it. */
  readonly completed?: readonly string[]
  /** ISO 8601, UTC. */
  readonly timestamp: string
  /** Another tool made it, one that keeps nothing about it in the target. Not saved. */
  readonly external?: true
}

/** Keeps the newest checkpoint of each pipeline. */
export interface CheckpointStore {
  /** Called first in every run. Need not connect: whatever may fail belongs into `load` and `probe`. */
  open?(context: RunContext): Promise<void>
  /** The checkpoint saved last under this id, or undefined. @throws SyncError `E_CHECKPOINT_CORRUPT`, never a guess. */
  load(syncId: string): Promise<Checkpoint | undefined>
  /**
   * Finds out what would stop `save`: missing rights, for example. Called before anything is written on either side, and
   * also when nothing will be. Changes nothing.
   * @throws SyncError
   */
  probe?(syncId: string): Promise<void>
  /**
   * Resolves when the checkpoint is durable. A failed save leaves the last one intact. A `full_progress` is saved
   * while a sink's writes are open.
   */
  save(syncId: string, checkpoint: Checkpoint): Promise<void>
  /** Ends the connections that the store opened. May be called again, and without use; what is called later opens them anew. */
  close?(): Promise<void>
}
