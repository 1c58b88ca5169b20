/** What the phases of one run share: settings, events, counters, checkpoints. */
import type { Batch } from '../core/batch.js'
import type { Checkpoint, CheckpointKind, Position } from '../core/checkpoint.js'
import type { Phase, SyncEvents } from '../core/events.js'
import type { EngineSettings } from './options.js'
import { Retries, retrying } from './retry.js'

export type Emit = <E extends keyof SyncEvents>(event: E, ...payload: SyncEvents[E]) => void

/** What one table contributed to a run. */
export interface TableResult {
  /** Rows copied in the full phase. */
  rows: number
  /** Rows written or removed in the incremental phase. */
  changes: number
}

export class Run {
  readonly settings: EngineSettings
  readonly signal: AbortSignal | undefined
  readonly emit: Emit
  readonly tables = new Map<string, TableResult>()
  /** The newest position that is durable. */
  position: Position | undefined
  #saved: string | undefined

  constructor(settings: EngineSettings, emit: Emit, signal: AbortSignal | undefined) {
    this.settings = settings
    this.emit = emit
    this.signal = signal
  }

  retries(): Retries {
    const notice = ({ error, attempt, delayMs }: { error: { code: SyncEvents['retry'][0]['code']; message: string }; attempt: number; delayMs: number }) =>
      this.emit('retry', { code: error.code, message: error.message, attempt, delayMs })
    return new Retries(this.settings.retry, notice, this.signal)
  }

  /** Runs work that may simply be done again. */
  retrying<T>(work: () => Promise<T>): Promise<T> {
    return retrying(this.retries(), work)
  }

  /** Writes one batch, as often as it takes. */
  write(batch: Batch): Promise<void> {
    return this.retrying(() => this.settings.sink.write(batch, { signal: this.signal }))
  }

  /** Counts a durable batch and tells listeners. */
  written(phase: Phase, batch: Batch): void {
    const { table, op } = batch
    const rows = 'length' in batch ? batch.length : 0
    const bytes = 'bytes' in batch ? batch.bytes : undefined
    const result = this.tableResult(table.label)
    if (phase === 'full') result.rows += rows
    else result.changes += rows
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
    const key = `${kind} ${position}`
    if (key === this.#saved) return
    if (checkpoints !== undefined) await checkpoints.save(id, this.checkpoint(kind, position, resumeAfter))
    await this.saved(kind, position, resumeAfter, lagMs)
  }

  /** A checkpoint became durable by whatever means. */
  async saved(kind: CheckpointKind, position: Position, resumeAfter: Position, lagMs?: number): Promise<void> {
    const { source } = this.settings
    this.#saved = `${kind} ${position}`
    this.position = resumeAfter
    this.emit('checkpoint', { kind, position, text: source.describe(position).text, lagMs })
    await source.acknowledge?.(resumeAfter)
  }
}
