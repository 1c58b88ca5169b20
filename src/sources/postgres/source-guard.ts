/** Watches over a source while a run goes on: the audit table does not fill its disk, and nobody falls behind for its sake. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Snapshot } from '../../core/source.js'
import { measure, relieve } from './audit-limit.js'
import { isCrowded, isFull } from './audit-size.js'
import type { Connections } from './connections.js'
import { CopyPause } from './copy-pause.js'
import { type AuditDetachment, afterDetachment, notDetached } from './detachment.js'
import { lastSequence } from './fence.js'
import { pause } from './pause.js'
import { isRunning } from './pipeline-lease.js'
import type { ProtectionOptions } from './protection.js'
import { readReport } from './run-report.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { readRemovable } from './teardown.js'

export interface SourceGuardOptions extends ProtectionOptions {
  readonly connections: Connections
  readonly names: AuditNames
  readonly auditSchema: string
  /** Of this pipeline. */
  readonly syncId: string
  readonly warn: (warning: SyncWarning) => void
}

/** How often is looked. */
const intervalMs = 5_000

const doing = 'looking after the source'

const sizeSql = 'select pg_catalog.pg_total_relation_size(pg_catalog.to_regclass($1))'

/** What a standby has not yet replayed; nothing for those who may not see it. */
const standbySql = `
select pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn))
from pg_catalog.pg_stat_replication r`

const othersSql = ({ consumers }: AuditNames) => `
select r.id, r.position, r.report::pg_catalog.text from ${consumers} r where r.id <> $1`

export class SourceGuard {
  readonly #options: SourceGuardOptions
  readonly #ended = new AbortController()
  readonly #pause: CopyPause
  #watching: Promise<void> | undefined
  #full = false
  /** It was said that this role may not remove what is installed. */
  #bound = false
  #detachment: AuditDetachment | undefined

  constructor(options: SourceGuardOptions) {
    this.#options = options
    this.#pause = new CopyPause(options.warn)
  }

  /** Why everything is to be removed at the end of the run. Undefined: it is not. */
  get detachment(): AuditDetachment | undefined {
    return this.#detachment
  }

  /** Looks once, and then now and then until it is stopped. @param lost Ends the run. */
  async watch(lost: (error: SyncError) => void): Promise<void> {
    const { auditBytesMax, replicationLagBytesMax, auditLagMax } = this.#options
    if ((auditBytesMax ?? replicationLagBytesMax ?? auditLagMax) === undefined) return
    if (await this.#lookFor(lost)) this.#watching = this.#goOn(lost)
  }

  async #goOn(lost: (error: SyncError) => void): Promise<void> {
    const { signal } = this.#ended
    for (;;) {
      await pause(intervalMs, signal).catch(() => undefined)
      if (signal.aborted || !(await this.#lookFor(lost))) return
    }
  }

  async #lookFor(lost: (error: SyncError) => void): Promise<boolean> {
    // A source that cannot be reached now is the run's business.
    const error = await this.look().catch(() => undefined)
    if (error !== undefined) lost(error)
    return error === undefined
  }

  /** Looks once. @returns what the run must end with */
  async look(): Promise<SyncError | undefined> {
    const { connections } = this.#options
    const auditBytes = await connections.use((session) => session.within('look', () => this.#lookWithin(session)))
    return this.#audit(auditBytes)
  }

  /** The same snapshot, each part of which waits until copying is not paused. */
  over(snapshot: Snapshot): Snapshot {
    return this.#pause.over(snapshot)
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    this.#ended.abort()
    this.#pause.end()
    await this.#watching
  }

  async #lookWithin(session: Session): Promise<number> {
    const { names, replicationLagBytesMax, auditLagMax } = this.#options
    if (replicationLagBytesMax !== undefined) {
      const [row] = await session.rows(doing, standbySql)
      this.#standbys(Number(row?.[0] ?? 0), replicationLagBytesMax)
    }
    const [size] = await session.rows(doing, sizeSql, [names.changes])
    if (auditLagMax !== undefined) {
      const behind = size?.[0] == null ? undefined : await this.#follower(session, auditLagMax)
      this.#pause.look('pipelines', behind)
    }
    return Number(size?.[0] ?? 0)
  }

  #standbys(bytes: number, bytesMax: number): void {
    const behind = `a standby of the source is ${bytes} bytes behind, more than ${bytesMax}`
    this.#pause.look('standbys', bytes > bytesMax ? behind : undefined)
  }

  /** Which one is too far behind. One that copies is so because of that, and may itself be waiting for this one. */
  async #follower(session: Session, changesMax: number): Promise<string | undefined> {
    const { names, syncId } = this.#options
    const last = await lastSequence(session, names)
    for (const [id, position, report] of await session.rows(doing, othersSql(names), [syncId])) {
      const changes = last - Number(position)
      if (changes <= changesMax || readReport(report).phase !== 'incremental') continue
      if (!(await isRunning(session, id ?? ''))) continue
      return `the pipeline ${id} has ${changes} changes still to apply, more than ${changesMax}`
    }
    return undefined
  }

  async #audit(bytes: number): Promise<SyncError | undefined> {
    const { connections, warn, names, auditSchema, auditBytesMax: bytesMax, auditLimitPolicy = 'warn' } = this.#options
    if (bytesMax === undefined) return undefined
    const wasFull = this.#full
    this.#full = bytes > bytesMax
    const full = `The audit table ${names.changes} has ${bytes} bytes, more than the limit of ${bytesMax}`
    if (this.#full && !wasFull) warn({ code: 'audit_limit', message: full })
    if (!this.#full || auditLimitPolicy === 'warn') return undefined
    // Room in the table is used first: removing would only go through dead rows again, and keep less than was asked for.
    if (!isCrowded(await measure(connections, names), bytesMax)) return undefined
    try {
      const size = await relieve({ connections, names, signal: this.#ended.signal }, bytesMax)
      if (!isFull(size, bytesMax)) return undefined
      await connections.use((session) => session.within('look', () => readRemovable(session, names, auditSchema)))
      this.#detachment = { at: new Date().toISOString(), bytes: size.bytes, bytesMax }
      const message = `${full}, and pipelines still need about ${size.neededBytes} of them: its triggers and itself are being removed, and changes are lost`
      return new SyncError('E_AUDIT_DETACHED', message, { hint: afterDetachment })
    } catch (error) {
      // Ended, the run would leave triggers that fill the table for nobody.
      if (!(error instanceof SyncError && error.code === 'E_RIGHTS')) throw error
      if (!this.#bound) warn(notDetached(error))
      this.#bound = true
      return undefined
    }
  }
}
