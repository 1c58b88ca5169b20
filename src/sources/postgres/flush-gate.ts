/**
 * Waits until what a snapshot saw can no longer vanish. A transaction committed with `synchronous_commit = off` is visible
 * before its WAL is on disk, and a crash of the server takes it back.
 */
import type { Session } from './session.js'

/** @param snapshot The session that read. @param other Another session, to write a WAL record with if need be. */
export async function waitForFlush(snapshot: Session, other: () => Promise<Session>): Promise<void> {
  const doing = 'waiting for the write-ahead log'
  const sql = 'select pg_catalog.pg_current_wal_insert_lsn() <= pg_catalog.pg_current_wal_flush_lsn()'
  const [row] = await snapshot.rows(doing, sql)
  if (row?.[0] === 't') return
  // Merely waiting would stall behind an idle writer; a synchronous commit flushes everything before it.
  const session = await other()
  try {
    await session.begin('change')
    await session.run(doing, 'set local synchronous_commit = on')
    await session.rows(doing, `select pg_catalog.pg_logical_emit_message(true, 'surreal-sync', '')`)
    await session.commit()
    session.release()
  } finally {
    session.destroy()
  }
}
