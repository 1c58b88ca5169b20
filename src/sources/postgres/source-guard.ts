/** Watches over a source while a run goes on: the audit table does not fill its disk, and standbys do not fall behind. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Abortable, Chunk, ReadOptions, Snapshot } from '../../core/source.js'
import { relieve } from './audit-limit.js'
import { isFull } from './audit-size.js'
import type { Connections } from './connections.js'
import { type AuditDetachment, afterDetachment } from './detachment.js'
import { pause } from './pause.js'
import type { ProtectionOptions } from './protection.js'
import type { AuditNames } from './schema.sql.js'

export interface SourceGuardOptions extends ProtectionOptions {
  readonly connections: Connections
  readonly names: AuditNames
  readonly warn: (warning: SyncWarning) => void
}

/** How often is looked. */
const intervalMs = 5_000

/** What a standby has not yet replayed; nothing for those who may not see it. */
const lookSql = `
select (select pg_catalog.pg_total_relation_size(pg_catalog.to_regclass($1))),
  (select pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn))
    from pg_catalog.pg_stat_replication r where $2::pg_catalog.bool)`

export class SourceGuard {
  readonly #options: SourceGuardOptions
  readonly #ended = new AbortController()
  #watching: Promise<void> | undefined
  #full = false
  #detachment: AuditDetachment | undefined
  #resumed: Promise<void> | undefined
  #resume = () => {}

  constructor(options: SourceGuardOptions) {
    this.#options = options
  }

  /** Why everything is to be removed at the end of the run. Undefined: it is not. */
  get detachment(): AuditDetachment | undefined {
    return this.#detachment
  }

  /** Looks once, and then now and then until it is stopped. @param lost Ends the run. */
  async watch(lost: (error: SyncError) => void): Promise<void> {
    const { auditBytesMax, replicationLagBytesMax } = this.#options
    if (auditBytesMax === undefined && replicationLagBytesMax === undefined) return
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
    const { connections, names, auditBytesMax, replicationLagBytesMax } = this.#options
    const [row] = await connections.use((session) =>
      session.within('look', () =>
        session.rows('looking after the source', lookSql, [names.changes, replicationLagBytesMax !== undefined]),
      ),
    )
    if (replicationLagBytesMax !== undefined) this.#standbys(Number(row?.[1] ?? 0), replicationLagBytesMax)
    return auditBytesMax === undefined ? undefined : this.#audit(Number(row?.[0] ?? 0), auditBytesMax)
  }

  /** The same snapshot, each part of which waits until the source is not paused. */
  over(snapshot: Snapshot): Snapshot {
    const clear = (options: Abortable) => this.#clear(options)
    return {
      position: snapshot.position,
      chunks: (table, options) => snapshot.chunks(table, options),
      async *read(chunk: Chunk, options: ReadOptions) {
        await clear(options)
        yield* snapshot.read(chunk, options)
      },
      absent: snapshot.absent && ((table, keys, options) => snapshot.absent?.(table, keys, options) ?? noAnswer()),
      [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
    }
  }

  /** Resolves when no look is under way any more. */
  async stop(): Promise<void> {
    this.#ended.abort()
    this.#resume()
    await this.#watching
  }

  async #clear({ signal }: Abortable): Promise<void> {
    while (this.#resumed !== undefined) {
      const stopped = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
      await Promise.race([this.#resumed, stopped])
      signal?.throwIfAborted()
    }
  }

  #standbys(bytes: number, bytesMax: number): void {
    const { warn } = this.#options
    if (bytes > bytesMax && this.#resumed === undefined) {
      this.#resumed = new Promise((resolve) => {
        this.#resume = () => {
          this.#resumed = undefined
          resolve()
        }
      })
      const message = `Copying pauses: a standby of the source is ${bytes} bytes behind, more than ${bytesMax}`
      warn({ code: 'source_paused', message })
    } else if (bytes <= bytesMax && this.#resumed !== undefined) {
      this.#resume()
      warn({ code: 'source_resumed', message: 'Copying goes on: the standbys of the source have caught up' })
    }
  }

  async #audit(bytes: number, bytesMax: number): Promise<SyncError | undefined> {
    const { connections, warn, names, auditLimitPolicy = 'warn' } = this.#options
    const wasFull = this.#full
    this.#full = bytes > bytesMax
    const full = `The audit table ${names.changes} has ${bytes} bytes, more than the limit of ${bytesMax}`
    if (this.#full && !wasFull) warn({ code: 'audit_limit', message: full })
    if (!this.#full || auditLimitPolicy === 'warn') return undefined
    const { signal } = this.#ended
    const size = await relieve({ connections, names, signal }, bytesMax)
    if (!isFull(size, bytesMax)) return undefined
    this.#detachment = { at: new Date().toISOString(), bytes: size.bytes, bytesMax }
    const message = `${full}, and pipelines still need about ${size.neededBytes} of them: its triggers and itself are removed, and changes are lost`
    return new SyncError('E_AUDIT_DETACHED', message, { hint: afterDetachment })
  }
}

function noAnswer(): never {
  throw new TypeError('This snapshot does not know which keys are absent')
}
