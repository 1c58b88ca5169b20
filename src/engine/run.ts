/** What the phases of one run share: settings, events, counters, checkpoints. */
import type { EventEmitter } from 'eventemitter3'
import type { Batch, Key, ReplaceBatch, RowBatch } from '../core/batch.js'
import type { Checkpoint, CheckpointKind, Position } from '../core/checkpoint.js'
import type { Phase, SyncEvents } from '../core/events.js'
import type { Table } from '../core/schema.js'
import type { EngineSettings } from './options.js'
import { Retries, type RetryNotice, retrying } from './retry.js'
import { Slots } from './slots.js'
import { applyTransforms, transformsOf } from './transform.js'

export type Emit = <E extends keyof SyncEvents>(event: E, ...payload: EventEmitter.EventArgs<SyncEvents, E>) => void

/** What one table contributed to a run. */
export interface TableResult {
  /** Rows copied in the full phase. */
  rows: number
  /** Rows written or removed in the incremental phase. */
  changes: number
}

/** What remains of a batch when it is done. */
export interface BatchSize {
  readonly table: Table
  readonly op: Batch['op']
  readonly rows: number
  readonly bytes: number | undefined
}

export function sizeOf(batch: Batch): BatchSize {
  const { table, op } = batch
  if (batch.op === 'truncate' || batch.op === 'replace') return { table, op, rows: 0, bytes: undefined }
  return { table, op, rows: batch.length, bytes: batch.bytes }
}

export class Run {
  readonly settings: EngineSettings
  readonly signal: AbortSignal | undefined
  readonly emit: Emit
  readonly tables = new Map<string, TableResult>()
  /** The newest position that is durable. */
  position: Position | undefined
  readonly #transforming: Slots
  #saved: string | undefined

  constructor(settings: EngineSettings, emit: Emit, signal: AbortSignal | undefined) {
    this.settings = settings
    this.emit = emit
    this.signal = signal
    this.#transforming = new Slots(settings.transformConcurrency)
  }

  retries(): Retries {
    const notice = ({ error, attempt, delayMs }: RetryNotice) =>
      this.emit('retry', { code: error.code, message: error.message, attempt, delayMs })
    return new Retries(this.settings.retry, notice, this.signal)
  }

  /** Runs work that may simply be done again. */
  retrying<T>(work: () => Promise<T>): Promise<T> {
    return retrying(this.retries(), work)
  }

  /** What transforms make of a batch, as soon as there is a place for it among those that are being transformed. */
  async transform(batch: RowBatch): Promise<readonly RowBatch[]> {
    const transforms = transformsOf(batch, this.settings.transforms)
    if (transforms.length === 0) return [batch]
    return this.#transforming.within(() => applyTransforms(batch, transforms))
  }

  /** Writes one batch, as often as it takes. */
  write(batch: Batch): Promise<void> {
    if (batch.op === 'replace') return this.#replace(batch)
    return this.retrying(() => this.settings.sink.write(batch, { signal: this.signal }))
  }

  /** Counts a durable batch and tells listeners. */
  written(phase: Phase, { table, op, rows, bytes }: BatchSize): void {
    const result = this.tableResult(table.label)
    if (phase === 'incremental') result.changes += rows
    else if (op === 'upsert') result.rows += rows
    this.emit('batch', { phase, table, op, rows, bytes })
  }

  tableResult(label: string): TableResult {
    const existing = this.tables.get(label)
    if (existing !== undefined) return existing
    const created: TableResult = { rows: 0, changes: 0 }
    this.tables.set(label, created)
    return created
  }

  checkpoint(kind: CheckpointKind, position: Position, resumeAfter: Position): Checkpoint {
    const { json } = this.settings.source.describe(position)
    return { kind, position, resumeAfter, described: json, timestamp: new Date().toISOString() }
  }

  /** Saves a checkpoint where there is a store, acknowledges it to the source, and tells listeners. */
  async save(kind: CheckpointKind, position: Position, resumeAfter: Position, lagMs?: number): Promise<void> {
    const { checkpoints, id } = this.settings
    if (`${kind} ${position}` === this.#saved) return
    await checkpoints.save(id, this.checkpoint(kind, position, resumeAfter))
    await this.#durable(kind, position, resumeAfter, lagMs)
  }

  /** Saves what is durable of a full sync whose changes will be replayed from `start`. */
  async saveProgress(start: Position, completed: readonly string[]): Promise<void> {
    const { checkpoints, id } = this.settings
    const checkpoint = { ...this.checkpoint('full_progress', start, start), completed }
    await this.retrying(() => checkpoints.save(id, checkpoint))
    await this.#durable('full_progress', start, start)
  }

  /** A full sync that was cut off is not gone on with: only that it began is kept. */
  forgetProgress({ position, resumeAfter }: Checkpoint): Promise<void> {
    const { checkpoints, id } = this.settings
    return checkpoints.save(id, this.checkpoint('full_sync_start', position, resumeAfter))
  }

  /** The same for a checkpoint that the sink has committed. */
  async committed(kind: CheckpointKind, position: Position, resumeAfter: Position, lagMs?: number): Promise<void> {
    const { checkpoints, id } = this.settings
    if (`${kind} ${position}` === this.#saved) return
    await checkpoints.follow(id, this.checkpoint(kind, position, resumeAfter))
    await this.#durable(kind, position, resumeAfter, lagMs)
  }

  async #durable(kind: CheckpointKind, position: Position, resumeAfter: Position, lagMs?: number): Promise<void> {
    const { source } = this.settings
    this.#saved = `${kind} ${position}`
    this.position = resumeAfter
    this.emit('checkpoint', { kind, position, text: source.describe(position).text, lagMs })
    // Tried again here: to read on from before it, after an answer was lost, would ask for changes that are forgotten.
    await this.retrying(async () => source.acknowledge?.(resumeAfter))
  }

  /**
   * A failure of the source in between is not helped by writing again: whoever opened the read must open a new one, so
   * it passes without retries.
   */
  async #replace(batch: ReplaceBatch): Promise<void> {
    const { op, table } = batch
    const retries = this.retries()
    for (;;) {
      let failure: { readonly error: unknown } | undefined
      const absent = async (keys: readonly Key[]) => {
        try {
          return await batch.absent(keys)
        } catch (error) {
          failure ??= { error }
          throw error
        }
      }
      try {
        return await this.settings.sink.write({ op, table, absent }, { signal: this.signal })
      } catch (error) {
        if (failure !== undefined) throw failure.error
        await retries.after(error)
      }
    }
  }
}
