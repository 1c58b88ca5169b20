/** Which server this is, and whether a position still means something on it. */
import { SyncError } from '../../core/errors.js'
import { lastSequence, prunedTo } from './fence.js'
import { type AuditPosition, publicText, type SourceIdentity } from './position.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

const identitySql = `
select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_version_num'),
  (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()),
  pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')`

const timelineSql = `select pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())`

/** @throws SyncError `E_CONFIG` if this server cannot be a source of changes */
export async function readIdentity(session: Session): Promise<SourceIdentity> {
  const doing = 'identifying the server'
  const [row] = await session.rows(doing, identitySql)
  const [recovering, version, database, mayIdentify] = row ?? []
  refuseOld(Number(version))
  if (recovering === 't') {
    throw new SyncError(
      'E_SOURCE_IDENTITY',
      'The PostgreSQL server is a standby: changes can only be read from the primary',
      {
        hint: 'Connect to the primary.',
      },
    )
  }
  const [system] =
    mayIdentify === 't' ? await session.rows(doing, 'select system_identifier from pg_catalog.pg_control_system()') : []
  const [file] = await session.rows(doing, timelineSql)
  return {
    system: system?.[0] ?? null,
    database: Number(database),
    timeline: Number.parseInt(file?.[0]?.slice(0, 8) ?? '', 16),
  }
}

function refuseOld(version: number): void {
  if (version >= 140_000) return
  throw new SyncError('E_CONFIG', `PostgreSQL ${Math.floor(version / 10_000)} is too old: 14 or later is needed`)
}

/** Refuses to go on from a position that this server does not have. Never skips silently. @throws SyncError */
export async function verifyPosition(
  session: Session,
  names: AuditNames,
  position: AuditPosition,
  now: SourceIdentity,
): Promise<void> {
  const { identity, sequence, highest } = position
  const again = 'Run a full sync again.'
  if (identity !== undefined) {
    const other = identity.system !== null && now.system !== null && identity.system !== now.system
    if (other || identity.database !== now.database) {
      throw new SyncError('E_SOURCE_IDENTITY', 'The checkpoint was made with another PostgreSQL server or database', {
        hint: `Connect to that one, or: ${again.toLowerCase()}`,
      })
    }
    if (identity.timeline !== now.timeline) {
      throw new SyncError(
        'E_SOURCE_REWOUND',
        'PostgreSQL was restored or failed over since the checkpoint: changes may be missing',
        { hint: again },
      )
    }
  }
  const last = await lastSequence(session, names)
  if (last < Math.max(sequence, highest)) {
    throw new SyncError(
      'E_SOURCE_REWOUND',
      `The checkpoint ${publicText(position)} is ahead of the source, which has only come to ${last}`,
      {
        hint: `The audit table was recreated or PostgreSQL was restored. ${again}`,
      },
    )
  }
  const pruned = await prunedTo(session, names)
  if (pruned !== undefined && pruned > sequence) {
    throw new SyncError(
      'E_AUDIT_HOLE',
      `Changes after ${publicText(position)} have been removed from the audit table, up to ${pruned}`,
      { hint: again },
    )
  }
}
