/** Who may still own sequence numbers of the audit table, and which number was handed out last. */

import type { SyncWarning } from '../../core/events.js'
import { pause } from './pause.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

const holdersSql = `
select distinct coalesce(r.virtualtransaction, ''), coalesce(x.transactionid::text, ''), coalesce(r.pid, 0)
from pg_catalog.pg_locks r
left join pg_catalog.pg_locks x
  on x.virtualtransaction = r.virtualtransaction and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock' and x.granted
where r.locktype = 'relation' and r.granted and r.relation = $1::pg_catalog.regclass
  and r.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and r.mode not in ('AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock')
  and r.pid is distinct from pg_catalog.pg_backend_pid()`

const limits = { pollMs: 10, warnMs: 10_000, waitMsMax: 60_000 }

/**
 * The transactions that hold a write lock on the audit table, prepared ones included. A transaction appears under its
 * virtual and under its real id; it has ended when neither is there.
 */
export async function lockHolders(session: Session, { changes }: AuditNames): Promise<ReadonlySet<string>> {
  const rows = await session.rows('looking at locks of the audit table', holdersSql, [changes])
  return new Set(rows.flatMap(([virtual, real]) => [`v${virtual}`, ...(real === '' ? [] : [`x${real}`])]))
}

/**
 * Those of the {@link lockHolders} that the session's snapshot has in progress, so that it shows nothing of theirs. A
 * snapshot lists top-level transactions only, which every holder has beside those of its savepoints.
 */
export async function invisibleHolders(session: Session, { changes }: AuditNames): Promise<ReadonlySet<string>> {
  const doing = 'looking at locks of the audit table'
  const rows = await session.rows(doing, `select pg_catalog.pg_current_snapshot(), h.* from (${holdersSql}) h`, [
    changes,
  ])
  const [, end, running] = rows[0]?.[0]?.split(':') ?? []
  const inProgress = new Set((running ?? '').split(',').map(low32))
  const next = low32(end ?? '0')
  const isInProgress = (real: string) => inProgress.has(low32(real)) || (low32(real) - next) >>> 0 < 0x8000_0000
  const holders = new Map<string, string[]>()
  for (const [, virtual, real] of rows) {
    const ids = holders.get(virtual ?? '') ?? []
    if (real !== '' && real !== null && real !== undefined) ids.push(real)
    holders.set(virtual ?? '', ids)
  }
  const certain = [...holders].filter(([, ids]) => ids.some(isInProgress))
  return new Set(certain.flatMap(([virtual, ids]) => [`v${virtual}`, ...ids.map((id) => `x${id}`)]))
}

/** Locks name transactions by 32 bits, snapshots by 64. */
function low32(id: string): number {
  return id === '' ? -1 : Number(BigInt.asUintN(32, BigInt(id)))
}

/** The number handed out last, 0 if there is none. */
export async function lastSequence(session: Session, { changes }: AuditNames): Promise<number> {
  const doing = 'reading the sequence of the audit table'
  const [name] = await session.rows(doing, `select pg_catalog.pg_get_serial_sequence($1, 'sequence_id')`, [changes])
  const [row] = await session.rows(doing, `select last_value, is_called from ${name?.[0]}`)
  return Number(row?.[0] ?? 0) - (row?.[1] === 't' ? 0 : 1)
}

/**
 * A number such that every change committed before this call has this number or a lower one, and that no transaction now
 * open can still commit a lower one. Never `max(sequence_id)`: that passes over numbers that are not yet visible.
 *
 * Waits until the transactions that write now have ended. After a minute it falls back to the lowest number that is
 * always right, at the price of reading changes again.
 */
export async function currentSequence(
  session: Session,
  names: AuditNames,
  options: { readonly signal?: AbortSignal; readonly warn: (warning: SyncWarning) => void },
): Promise<number> {
  const last = await lastSequence(session, names)
  let holders = await lockHolders(session, names)
  const startedAt = performance.now()
  let warnedAt = startedAt
  while (holders.size > 0) {
    options.signal?.throwIfAborted()
    const now = performance.now()
    if (now - startedAt > limits.waitMsMax) return await lowestSafe(session, names, options.warn)
    if (now - warnedAt > limits.warnMs) {
      warnedAt = now
      options.warn({
        code: 'waiting_for_writers',
        message: 'Waiting for transactions that write to replicated tables to end',
        count: holders.size,
      })
    }
    await pause(limits.pollMs, options.signal)
    const present = await lockHolders(session, names)
    holders = new Set([...holders].filter((holder) => present.has(holder)))
  }
  return last
}

async function lowestSafe(session: Session, names: AuditNames, warn: (warning: SyncWarning) => void): Promise<number> {
  warn({
    code: 'long_writer',
    message: 'A transaction has been writing for more than a minute: starting from the oldest change kept',
  })
  return (await prunedTo(session, names)) ?? 0
}

/** The highest number removed from the audit table, if any was. */
export async function prunedTo(session: Session, { meta }: AuditNames): Promise<number | undefined> {
  const [row] = await session.rows('reading what was pruned', `select value::text from ${meta} where key = 'pruned_to'`)
  return row?.[0] == null ? undefined : Number(row[0])
}
