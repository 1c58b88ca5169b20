/** Transactions that need locks: they never wait long for one, because everybody else waits behind them. */

import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { pause } from './pause.js'
import type { Session } from './session.js'

const limits = { attemptsMax: 10, delayMs: 250 }

/** Serialises installers; transaction-scoped. The key is the text `surreal-sync install` hashed. */
export const installLock = `select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('surreal-sync install', 0))`

export interface LockRetry {
  readonly signal?: AbortSignal
  /** What is locked, for the warning. */
  readonly what: string
  readonly warn: (warning: SyncWarning) => void
  /** @defaultValue 10 */
  readonly attemptsMax?: number
}

/** Runs a transaction that changes something, again while others hold locks that it needs. */
export async function changeUnderLocks<T>(session: Session, options: LockRetry, work: () => Promise<T>): Promise<T> {
  const { signal, what, warn, attemptsMax = limits.attemptsMax } = options
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    try {
      return await session.within('change', work)
    } catch (error) {
      const waiting = error instanceof SyncError && (error.code === 'E_LOCK_TIMEOUT' || error.code === 'E_BUSY')
      if (!waiting || attempt >= attemptsMax) throw error
      await session.run('rolling back', 'rollback')
      const message = `Another transaction holds a lock on ${what}; trying again`
      warn({ code: 'waiting_for_lock', table: what, message })
      await pause(limits.delayMs * attempt, signal)
    }
  }
}

/**
 * Locks several relations. The waits together are no longer than the lock timeout: what is locked already keeps others
 * waiting until the last lock is there.
 */
export async function lockRelations(session: Session, relations: readonly string[], mode: string): Promise<void> {
  const doing = `locking ${relations.length === 1 ? relations[0] : `${relations.length} tables`}`
  const until = performance.now() + session.lockTimeoutMs
  for (const relation of relations) {
    const remainingMs = Math.max(1, Math.floor(until - performance.now()))
    if (relations.length > 1) await session.run(doing, `set local lock_timeout = '${remainingMs}ms'`)
    await session.run(doing, `lock table only ${relation} in ${mode} mode`)
  }
  if (relations.length > 1) await session.run(doing, `set local lock_timeout = '${session.lockTimeoutMs}ms'`)
}
