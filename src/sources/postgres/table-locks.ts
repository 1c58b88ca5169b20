/** Locks on the tables that a delta reads, without letting one table stop all others. */
import { SyncError } from '../../core/errors.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'

/** Holds off statements that would rewrite or empty tables under the snapshot. */
export type Lock = (session: Session, tables: readonly PostgresTable[]) => Promise<void>

/** How long to wait for tables that are usually free, and for one that was found locked. */
const limits = { waitMsMax: 500, retryMsMax: 10 }

/**
 * Locks what can be locked now, before the session's snapshot is taken.
 * @param others Tables that were found locked before.
 * @returns the oids of the tables that are locked
 */
export async function lockAvailable(
  session: Session,
  tables: readonly PostgresTable[],
  others: readonly PostgresTable[],
  lock: Lock,
): Promise<ReadonlySet<number>> {
  const locked = new Set<number>()
  const attempt = async (some: readonly PostgresTable[], waitMs: number) => {
    if (some.length === 0) return true
    if (!(await tryLock(session, some, Math.min(waitMs, session.lockTimeoutMs), lock))) return false
    for (const { oid } of some) locked.add(oid)
    return true
  }
  const single = [...others]
  if (!(await attempt(tables, limits.waitMsMax))) single.push(...tables)
  for (const table of single) await attempt([table], limits.retryMsMax)
  return locked
}

/** A lock that times out takes back only what was locked with it. No savepoint takes a snapshot. */
async function tryLock(
  session: Session,
  tables: readonly PostgresTable[],
  waitMs: number,
  lock: Lock,
): Promise<boolean> {
  const doing = 'locking tables'
  await session.run(doing, `set local lock_timeout = '${waitMs}ms'; savepoint surreal_sync_locks`)
  try {
    await lock(session, tables)
    return true
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'E_LOCK_TIMEOUT') throw error
    await session.run(doing, 'rollback to savepoint surreal_sync_locks')
    return false
  }
}
