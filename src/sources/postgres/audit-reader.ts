/** Turns the audit table into deltas: polls, and reads the current state of changed keys in one snapshot. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Batch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import { SyncError } from '../../core/errors.js'
import type { ChangeOptions } from '../../core/source.js'
import { AuditDelta } from './audit-delta.js'
import { peekTables } from './audit-rows.js'
import type { Connections } from './connections.js'
import { stateOf } from './errors.js'
import type { GapTracker } from './gap-tracker.js'
import type { PostgresTable } from './postgres-table.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import type { StructureWatch } from './structure-watch.js'

/** What a reader and its deltas work with. */
export interface AuditReading {
  readonly connections: Connections
  readonly names: AuditNames
  readonly tracker: GapTracker
  readonly structure: StructureWatch
  /** Holds off statements that would rewrite or empty tables under the snapshot. */
  readonly lock: (session: Session, tables: readonly PostgresTable[]) => Promise<void>
  /** Where the reader is now. */
  readonly position: () => Position
}

const limits = {
  /** Audit rows in one delta: few while it keeps up, so that lag stays low; many when it is behind. */
  rowsMin: 1_000,
  rowsMax: 100_000,
  rowsGrowth: 4,
  /** Waits between polls. */
  busyMs: 10,
  idleMsMax: 250,
  /** How long after the last change polling stays quick. */
  busyForMs: 5_000,
  /** How often structure is looked at while nothing changes. */
  lookMs: 5_000,
}

export class AuditReader {
  readonly #reading: AuditReading
  #rowsMax = limits.rowsMin
  #delayMs = limits.busyMs
  #changedAt = performance.now()
  #lookedAt = performance.now()

  constructor(reading: AuditReading) {
    this.#reading = reading
  }

  /** See `Source.changes`. The position to start after is the tracker's. */
  async *changes(options: ChangeOptions & { readonly untilSequence?: number }): AsyncGenerator<Delta> {
    let first = true
    for (;;) {
      options.signal?.throwIfAborted()
      const tables = await this.#changedTables()
      if (first || tables !== undefined) {
        const delta = await this.#delta(tables ?? new Set(), options)
        const drained = yield* this.#offer(delta, first)
        if (!drained) continue
        first = false
        if (this.#isReached(options)) return
      }
      await this.#sleep(options.signal)
    }
  }

  /** Whether a drained delta is the last one. */
  #isReached({ follow, untilSequence }: { readonly follow: boolean; readonly untilSequence?: number }): boolean {
    return untilSequence === undefined ? !follow : this.#reading.tracker.sequence >= untilSequence
  }

  /** The tables that the next delta must name, or undefined if there is nothing to do. */
  async #changedTables(): Promise<ReadonlySet<number> | undefined> {
    const { connections, names, tracker, structure } = this.#reading
    await this.#look()
    const tables = await connections.use((session) => peekTables(session, names, tracker, this.#rowsMax))
    const idle = tables.size === 0 && tracker.gaps.length === 0 && structure.pending.size === 0
    return idle ? undefined : tables
  }

  async #look(): Promise<void> {
    const now = performance.now()
    if (now - this.#lookedAt < limits.lookMs) return
    this.#lookedAt = now
    await this.#reading.structure.look()
  }

  /** Opens a delta; looks at the structure again as long as it moves under the delta's feet. */
  async #delta(tables: ReadonlySet<number>, options: ChangeOptions): Promise<AuditDelta> {
    for (let attempt = 1; ; attempt++) {
      try {
        const delta = await AuditDelta.open(this.#reading, tables, this.#rowsMax, options)
        if (delta !== undefined) return delta
      } catch (error) {
        // 42P01: a table that was to be locked has been renamed or dropped.
        if (stateOf(error) !== '42P01') throw error
      }
      if (attempt === 10) throw new SyncError('E_BUSY', 'The structure of the tables keeps changing')
      await this.#reading.structure.look()
    }
  }

  /** Yields a delta that says something, then takes in that it was applied. Returns whether it was drained. */
  async *#offer(delta: AuditDelta, first: boolean): AsyncGenerator<Delta, boolean> {
    const { tracker, position } = this.#reading
    const { empty, drained } = delta
    const before = tracker.sequence
    try {
      if (empty) await delta.finish()
      else yield delta
      if (!delta.finished) throw new SyncError('E_SOURCE', 'A delta was left before its end')
    } finally {
      delta.close()
    }
    if (empty && ((first && drained) || tracker.sequence > before)) yield emptyDelta(position(), drained)
    if (!empty) this.#changedAt = performance.now()
    this.#rowsMax = drained ? limits.rowsMin : Math.min(limits.rowsMax, this.#rowsMax * limits.rowsGrowth)
    return drained
  }

  async #sleep(signal: AbortSignal | undefined): Promise<void> {
    const busy = this.#reading.tracker.gaps.length > 0 || performance.now() - this.#changedAt < limits.busyForMs
    this.#delayMs = busy ? limits.busyMs : Math.min(limits.idleMsMax, this.#delayMs * 2)
    await sleep(this.#delayMs, undefined, { signal })
  }
}

/** Nothing changed but the position. */
function emptyDelta(position: Position, drained: boolean): Delta {
  async function* none(): AsyncGenerator<Batch> {}
  return { batches: none(), position, drained }
}
