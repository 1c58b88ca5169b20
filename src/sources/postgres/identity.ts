/** Which server this is, and whether a position still means something on it. */
import { stateOf } from '../../connections/postgres/errors.js'
import { SyncError } from '../../core/errors.js'
import { readAuditState, systemIdentifier } from './audit-schema.js'
import type { Connections } from './connections.js'
import { detachedError } from './detachment.js'
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
  const system = mayIdentify === 't' ? await systemIdentifier(session) : null
  const [file] = await session.rows(doing, timelineSql)
  return {
    system,
    database: Number(database),
    timeline: Number.parseInt(file?.[0]?.slice(0, 8) ?? '', 16),
  }
}

function refuseOld(version: number): void {
  if (version >= 140_000) return
  throw new SyncError('E_CONFIG', `PostgreSQL ${Math.floor(version / 10_000)} is too old: 14 or later is needed`)
}

/**
 * Refuses to go on from a position that this server does not have. Never skips silently.
 * @throws SyncError `E_SOURCE_IDENTITY`, `E_SOURCE_REWOUND`, `E_AUDIT_HOLE`
 */
export async function verifyPosition(
  session: Session,
  names: AuditNames,
  position: AuditPosition,
  now: SourceIdentity,
): Promise<void> {
  const { identity, incarnation } = position
  if (identity !== undefined) verifyIdentity(identity, now)
  const audit = await readAuditState(session, names)
  if (audit.copied) {
    throw new SyncError('E_SOURCE_IDENTITY', `The audit table ${names.changes} was copied here from another database`, {
      hint: `Connect to that one, or: ${again.toLowerCase()}`,
    })
  }
  if (incarnation !== undefined && incarnation !== audit.incarnation) throw await removed(session, names, incarnation)
  if (audit.relation !== undefined) await verifySequence(session, names, position)
}

/** Refuses an audit table that is no longer the one that is being read, or none. @throws SyncError `E_AUDIT_DETACHED`, `E_AUDIT_HOLE` */
export async function verifyAudit(session: Session, names: AuditNames, incarnation: string | undefined): Promise<void> {
  const audit = await readAuditState(session, names)
  if (audit.relation === undefined || audit.incarnation !== incarnation)
    throw await removed(session, names, incarnation)
}

/**
 * Does what needs the audit table; if it is gone, says what became of it.
 * @throws SyncError as {@link verifyAudit}
 */
export async function withAudit<T>(
  connections: Connections,
  names: AuditNames,
  incarnation: string | undefined,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return connections.use(work).catch(async (error: unknown) => {
    // 42P01: there is no such table.
    if (stateOf(error) === '42P01')
      await connections.use((session) => session.within('look', () => verifyAudit(session, names, incarnation)))
    throw error
  })
}

async function removed(session: Session, names: AuditNames, incarnation: string | undefined): Promise<SyncError> {
  const message = `The audit table ${names.changes} was removed since the checkpoint`
  const detached = await detachedError(session, names, incarnation)
  return detached ?? new SyncError('E_AUDIT_HOLE', message, { hint: 'Run a full sync with `restart`.' })
}

const again = 'Run a full sync again.'

function verifyIdentity(then: SourceIdentity, now: SourceIdentity): void {
  const other = then.system !== null && now.system !== null && then.system !== now.system
  if (other || then.database !== now.database) {
    throw new SyncError('E_SOURCE_IDENTITY', 'The checkpoint was made with another PostgreSQL server or database', {
      hint: `Connect to that one, or: ${again.toLowerCase()}`,
    })
  }
  if (then.timeline !== now.timeline) {
    throw new SyncError(
      'E_SOURCE_REWOUND',
      'PostgreSQL was restored or failed over since the checkpoint: changes may be missing',
      { hint: again },
    )
  }
}

async function verifySequence(session: Session, names: AuditNames, position: AuditPosition): Promise<void> {
  const { sequence, highest, anchor } = position
  const last = await lastSequence(session, names)
  if (last < Math.max(sequence, highest)) {
    throw rewound(`The checkpoint ${publicText(position)} is ahead of the source, which has only come to ${last}`)
  }
  const pruned = (await prunedTo(session, names)) ?? 0
  if (pruned > sequence) {
    const message = `Changes after ${publicText(position)} have been removed from the audit table, up to ${pruned}`
    throw new SyncError('E_AUDIT_HOLE', message, { hint: again })
  }
  if (anchor === undefined) return
  const [number, transaction] = anchor
  const sql = `select c.xmin from ${names.changes} c where c.sequence_id = $1`
  const [row] = await session.rows('looking for the last change applied', sql, [number])
  if (row?.[0] === transaction || (row === undefined && number <= pruned)) return
  throw rewound(`The change ${number}, which was applied, is no longer in the audit table, or is another one`)
}

function rewound(message: string): SyncError {
  return new SyncError('E_SOURCE_REWOUND', message, {
    hint: `The audit table was changed, or PostgreSQL was restored. ${again}`,
  })
}
