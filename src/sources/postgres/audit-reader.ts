/** Turns the audit table into deltas: polls, and reads the current state of changed keys in one snapshot. */

import { stateOf } from '../../connections/postgres/errors.js'
import type { Batch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { ChangeOptions } from '../../core/source.js'
import { AuditDelta, type DeltaScope } from './audit-delta.js'
import { type NamedTables, peekTables } from './audit-rows.js'
import type { Connections } from './connections.js'
import { lastSequence, lockHolders } from './fence.js'
import { verifyAudit, withAudit } from './identity.js'
import { pause } from './pause.js'
import type { Progress } from './progress.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import type { StructureWatch } from './structure-watch.js'
import type { Lock } from './table-locks.js'

/** What a reader and its deltas work with. */
export interface AuditReading {
  readonly connections: Connections
  readonly names: AuditNames
  readonly progress: Progress
  readonly structure: StructureWatch
  readonly lock: Lock
  readonly warn: (warning: SyncWarning) => void
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
  /** How often structure is looked at: so that it takes a hundredth of the time, within these bounds. */
  lookMsMin: 1_000,
  lookMsMax: 10_000,
  lookShare: 100,
  /** The longest wait while tables wait for a lock. */
  heldMsMax: 100,
  /** How often a delta is opened anew because structure moved under its feet. */
  openAttemptsMax: 10,
}

export class AuditReader {
  readonly #reading: AuditReading
  #rowsMax = limits.rowsMin
  #delayMs = limits.busyMs
  #changedAt = performance.now()
  #lookAt = performance.now() + limits.lookMsMin

  constructor(reading: AuditReading) {
    this.#reading = reading
  }

  /** See `Source.changes`. The position to start after is the one of the progress. */
  async *changes(options: ChangeOptions & { readonly untilSequence?: number }): AsyncGenerator<Delta> {
    // A drained delta that must be offered even if it is empty: the first one, and one after a delta that was not drained.
    let owed = true
    for (;;) {
      options.signal?.throwIfAborted()
      const scope = await this.#poll()
      if (owed || scope !== undefined) {
        const delta = await this.#delta(scope ?? this.#scope({ all: new Set(), asked: new Set() }), options)
        yield* this.#offer(delta, owed)
        if (!delta.blocked) owed = !delta.drained
        if (delta.drained && this.#isReached(options)) return
        if (!delta.drained && !delta.blocked) continue
        await this.#expect(options.untilSequence)
      }
      await this.#sleep(options.signal)
    }
  }

  /** Whether a drained delta is the last one. */
  #isReached({ follow, untilSequence }: { readonly follow: boolean; readonly untilSequence?: number }): boolean {
    return untilSequence === undefined ? !follow : this.#reading.progress.sequence >= untilSequence
  }

  /** Numbers before the end that were rolled back are never seen: only a gap can end. */
  async #expect(untilSequence: number | undefined): Promise<void> {
    const { connections, names, progress } = this.#reading
    if (untilSequence === undefined || progress.tracker.highest >= untilSequence) return
    const last = await connections.use((session) => lastSequence(session, names))
    if (last >= untilSequence) progress.tracker.expect(untilSequence)
  }

  /** What the next delta is to look at, or undefined if there is nothing to do. Takes no lock and opens no transaction. */
  async #poll(): Promise<DeltaScope | undefined> {
    const { connections, names, progress, structure } = this.#reading
    const { tracker, held } = progress
    await this.#look()
    const peek = async (session: Session) => {
      if (tracker.gaps.length > 0) tracker.fence(await lockHolders(session, names))
      return peekTables(session, names, tracker, this.#rowsMax)
    }
    const tables = await withAudit(connections, names, progress.incarnation, peek)
    await structure.add(tables.asked)
    const waiting = held.tables.size > 0 || structure.unapplied.size > 0
    const idle = tables.all.size === 0 && tracker.unsearched.length === 0 && !waiting
    return idle ? undefined : this.#scope(tables)
  }

  #scope({ all, asked }: NamedTables): DeltaScope {
    return { tables: all, asked, rowsMax: this.#rowsMax }
  }

  async #look(): Promise<void> {
    const startedAt = performance.now()
    if (startedAt < this.#lookAt) return
    await this.#lookAtStructure()
    const now = performance.now()
    const waitMs = Math.max(limits.lookMsMin, (now - startedAt) * limits.lookShare)
    this.#lookAt = now + Math.min(limits.lookMsMax, waitMs)
  }

  /** Opens a delta; looks at the structure again as long as it moves under the delta's feet. */
  async #delta(scope: DeltaScope, options: ChangeOptions): Promise<AuditDelta> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const delta = await AuditDelta.open(this.#reading, scope, options)
        if (delta !== undefined) return delta
      } catch (error) {
        // 42P01, 3F000: a table that was to be locked has been renamed or dropped, or its schema.
        const state = stateOf(error)
        if (state !== '42P01' && state !== '3F000') throw error
      }
      if (attempt === limits.openAttemptsMax) {
        throw new SyncError('E_BUSY', 'The structure of the tables keeps changing')
      }
      await this.#lookAtStructure()
    }
  }

  /** Whoever has removed everything is not to be answered by installing it again. */
  async #lookAtStructure(): Promise<void> {
    const { connections, names, progress, structure } = this.#reading
    await connections.use((session) => session.within('look', () => verifyAudit(session, names, progress.incarnation)))
    await structure.look()
  }

  /** Yields a delta that says something, then takes in that it was applied. */
  async *#offer(delta: AuditDelta, owed: boolean): AsyncGenerator<Delta> {
    const { progress } = this.#reading
    const { empty, drained, blocked } = delta
    const before = progress.sequence
    try {
      if (empty) await delta.finish()
      else yield delta
      if (!delta.finished) throw new SyncError('E_SOURCE', 'A delta was left before its end')
    } finally {
      delta.close()
    }
    if (empty && ((owed && drained) || progress.sequence > before)) yield emptyDelta(progress.position(), drained)
    const now = performance.now()
    if (!empty) this.#changedAt = now
    const behind = !drained && !blocked
    this.#rowsMax = behind ? Math.min(limits.rowsMax, this.#rowsMax * limits.rowsGrowth) : limits.rowsMin
  }

  async #sleep(signal: AbortSignal | undefined): Promise<void> {
    const { tracker, held } = this.#reading.progress
    const busy = tracker.gaps.length > 0 || performance.now() - this.#changedAt < limits.busyForMs
    const longest = held.tables.size > 0 ? limits.heldMsMax : limits.idleMsMax
    this.#delayMs = busy ? limits.busyMs : Math.min(longest, this.#delayMs * 2)
    await pause(this.#delayMs, signal)
  }
}

/** Nothing changed but the position. */
function emptyDelta(position: Position, drained: boolean): Delta {
  async function* none(): AsyncGenerator<Batch> {}
  return { batches: none(), position, drained }
}
