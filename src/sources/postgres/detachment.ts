/** That an audit table was removed because it had passed its limit: who misses it later is told so. */
import pg from 'pg'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

/** When and why everything that captured changes was removed from the source, by the policy `detach`. */
export interface AuditDetachment {
  /** ISO 8601. */
  readonly at: string
  /** What the audit table took. */
  readonly bytes: number
  /** What it might have taken. */
  readonly bytesMax: number
}

interface Mark extends AuditDetachment {
  /** Which audit table it was. */
  readonly incarnation?: string
}

/** The last one. @returns undefined: there was none, or this role may not know */
export async function readDetachment(session: Session, { meta }: AuditNames): Promise<Mark | undefined> {
  const doing = 'looking for what was removed'
  const readable = `select coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass($1), 'select'), false)`
  const [allowed] = await session.rows(doing, readable, [meta])
  if (allowed?.[0] !== 't') return undefined
  const [row] = await session.rows(doing, `select m.value::pg_catalog.text from ${meta} m where m.key = 'detached'`)
  return row?.[0] == null ? undefined : (JSON.parse(row[0]) as Mark)
}

/**
 * Says so in the source, within the session's transaction. The audit table is no longer the one that positions were made
 * with, even if it is removed only later, or made anew.
 */
export async function markDetached(session: Session, names: AuditNames, detachment: AuditDetachment): Promise<void> {
  const { meta } = names
  const doing = 'marking what is removed'
  const [there] = await session.rows(doing, 'select pg_catalog.to_regclass($1) is not null', [meta])
  if (there?.[0] !== 't') return
  const [row] = await session.rows(
    doing,
    `delete from ${meta} m where m.key = 'incarnation' returning m.value #>> '{}'`,
  )
  const incarnation = row?.[0] ?? (await readDetachment(session, names))?.incarnation
  const mark: Mark = { ...detachment, incarnation }
  await session.run(
    doing,
    `insert into ${meta} as m (key, value) values ('detached', ${pg.escapeLiteral(JSON.stringify(mark))})
     on conflict (key) do update set value = excluded.value`,
  )
}

/** Why a position cannot be continued from. @returns undefined: not because of that */
export async function detachedError(
  session: Session,
  names: AuditNames,
  incarnation: string | undefined,
): Promise<SyncError | undefined> {
  const mark = await readDetachment(session, names)
  if (mark === undefined || (incarnation !== undefined && incarnation !== mark.incarnation)) return undefined
  const { at, bytes, bytesMax } = mark
  const message = `The audit table ${names.changes} was removed at ${at}, because its ${bytes} bytes were more than the limit of ${bytesMax}: changes since then were not captured`
  return new SyncError('E_AUDIT_DETACHED', message, { hint: afterDetachment })
}

/** That the limit could not be kept. */
export function notDetached(error: unknown): SyncWarning {
  const reason = error instanceof Error ? error.message : 'unknown failure'
  const message = `The audit table could not be removed, and goes on growing: ${reason}`
  return { code: 'audit_not_detached', message }
}

/** What is to be done about it. */
export const afterDetachment = 'See why changes were not applied, then run a full sync with `restart`.'
