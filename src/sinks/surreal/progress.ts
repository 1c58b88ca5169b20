/** What the first lane's state record says about the pipeline: its checkpoint, and what readers may rely on. */
import { RecordId } from 'surrealdb'
import type { Connection } from '../../connections/surreal/connection.js'
import { isMissingTable, isUnselected, toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import type { Checkpoint, CheckpointKind, Position } from '../../core/checkpoint.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Abortable } from '../../core/source.js'
import type { Json } from '../../core/value.js'
import { readState, stateTable } from './statements.js'

/** What becomes true with one transaction. */
export interface Progress {
  /** Names the transaction. Kept in the record until the next one of its kind, it proves that this one took effect. */
  readonly wrote: string
  /** How many parts of a delta have been applied, from 1; 0 after the last one. */
  readonly part: number
  /** Whether the rows are, as a whole, a state that the source had. */
  readonly consistent: boolean
  /** Undefined: what was saved last stays. */
  readonly checkpoint?: Checkpoint
}

export function progressBindings({ checkpoint, ...others }: Progress): Record<string, unknown> {
  if (checkpoint === undefined) return { ...others }
  const { kind, position, resumeAfter, described, completed, timestamp } = checkpoint
  return { ...others, checkpoint: { kind, position, resume_after: resumeAfter, described, completed, timestamp } }
}

/** Whether the transaction with this progress took effect and is the last that did. */
export function wroteLast({ wrote }: Progress, state: unknown): boolean {
  return field(state, 'wrote') === wrote
}

/** The first lane's state record of a pipeline. Undefined also where there is no database yet. */
export async function readPipelineState(
  connection: Connection,
  pipeline: string,
  options: Abortable,
): Promise<unknown> {
  const bindings = { record: new RecordId(stateTable, [pipeline, 0]) }
  const { results, failure } = await connection.call((db) => ask(db, readState, bindings), options)
  if (isUnselected(failure) || isMissingTable(failure, stateTable)) return undefined
  if (failure !== undefined) throw toSyncError(failure)
  return results.at(-1)
}

/** The lease of the run that began last. Empty: there was none. */
export function leaseIn(state: unknown): string {
  const lease = field(state, 'lease')
  return typeof lease === 'string' ? lease : ''
}

/** The checkpoint in that record. @throws SyncError `E_CHECKPOINT_CORRUPT` */
export function checkpointIn(state: unknown, pipeline: string): Checkpoint | undefined {
  const stored = field(state, 'checkpoint')
  if (stored === undefined || stored === null) return undefined
  const checkpoint = checkpointOf(stored)
  if (checkpoint !== undefined) return checkpoint
  throw new SyncError(
    'E_CHECKPOINT_CORRUPT',
    `The checkpoint of the pipeline ${pipeline} in SurrealDB cannot be read`,
    {
      hint: 'Run a full sync again.',
    },
  )
}

const kinds: readonly CheckpointKind[] = ['full_sync_start', 'full_progress', 'full_sync_end', 'incremental']

function checkpointOf(stored: unknown): Checkpoint | undefined {
  const [position, resumeAfter, timestamp] = ['position', 'resume_after', 'timestamp'].map((name) =>
    field(stored, name),
  )
  const kind = kinds.find((known) => known === field(stored, 'kind'))
  const completed = field(stored, 'completed')
  if (kind === undefined || typeof timestamp !== 'string') return undefined
  if (typeof position !== 'string' || typeof resumeAfter !== 'string') return undefined
  if (completed !== undefined && !isTexts(completed)) return undefined
  return {
    kind,
    // The brand's constructor, and a document that nobody reads but to copy it.
    position: position as Position,
    resumeAfter: resumeAfter as Position,
    described: (field(stored, 'described') ?? null) as Json,
    ...(completed !== undefined && { completed }),
    timestamp,
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** A warning before changes are applied to what nobody has copied. */
export function stateMissing(pipeline: string): SyncWarning {
  const message = `The target has no state of the pipeline ${pipeline}: no full sync ran under this id`
  return { code: 'state_missing', message }
}
