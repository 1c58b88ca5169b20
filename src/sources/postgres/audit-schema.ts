/** The audit table and its companions: whether they are there and right, and how they are made. */
import pg from 'pg'
import { SyncError } from '../../core/errors.js'
import { revokeFunction, revokeTables } from './default-rights.js'
import {
  type AuditNames,
  createAuditTables,
  createGuard,
  guardBody,
  guardTriggers,
  renewIdentity,
} from './schema.sql.js'
import type { Session } from './session.js'

/** Which audit table this is. */
export interface AuditOrigin {
  /** Null where the role may not read it. */
  readonly system: string | null
  readonly database: number
  /** The audit table's oid. */
  readonly relation: number
}

export interface AuditState {
  /** `undefined`: there is none. */
  readonly relation: number | undefined
  /** This role may do with it what its owner may. */
  readonly owned: boolean
  /** The companions and the guard are as this release makes them. */
  readonly complete: boolean
  /** Random, new with each audit table. */
  readonly incarnation: string | undefined
  /** It came here by a dump, or with a copy of a database, from elsewhere. */
  readonly copied: boolean
}

const absent: AuditState = { relation: undefined, owned: false, complete: false, incarnation: undefined, copied: false }

const tableSql = `
select c.oid, pg_catalog.concat(c.relkind, c.relpersistence), pg_catalog.pg_has_role(c.relowner, 'USAGE'),
  (select pg_catalog.string_agg(a.attname, ',') from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  pg_catalog.to_regclass($3) is not null and exists (select from pg_catalog.pg_attribute a
    where a.attrelid = pg_catalog.to_regclass($2) and a.attname = 'report' and not a.attisdropped),
  (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()),
  pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
from pg_catalog.pg_class c
where c.oid = pg_catalog.to_regclass($1)`

const sequenceSql = `
select s.seqcache, s.seqincrement, s.seqcycle, c.relpersistence
from pg_catalog.pg_sequence s
join pg_catalog.pg_class c on c.oid = s.seqrelid
where s.seqrelid = pg_catalog.pg_get_serial_sequence($1, 'sequence_id')::pg_catalog.regclass`

const guardSql = `
select p.prosrc = $3 and p.prosecdef,
  (select pg_catalog.count(*) from pg_catalog.pg_trigger t
    where t.tgrelid = $1::pg_catalog.oid and t.tgfoid = p.oid and t.tgenabled = 'A' and t.tgname = any($4::pg_catalog.name[]))
from pg_catalog.pg_proc p
where p.oid = pg_catalog.to_regproc($2)`

/** What is there. @throws SyncError `E_CONFIG` if the table is not this product's, or could lose numbers */
export async function readAuditState(session: Session, names: AuditNames): Promise<AuditState> {
  const doing = 'looking at the audit table'
  const { changes, consumers, meta, guard } = names
  const [row] = await session.rows(doing, tableSql, [changes, consumers, meta])
  if (row === undefined) return absent
  const [relation, kind, owned, columns, companions, database, mayIdentify] = row
  refuseForeign(changes, kind, columns)
  await refuseSequence(session, changes)
  const system = mayIdentify === 't' ? await systemIdentifier(session) : null
  const wanted = [relation, guard, guardBody(names), Object.values(guardTriggers)]
  const [guarded] = await session.rows(doing, guardSql, wanted)
  const { incarnation, origin } = companions === 't' ? await readMeta(session, meta) : {}
  const here: AuditOrigin = { system, database: Number(database), relation: Number(relation) }
  return {
    relation: here.relation,
    owned: owned === 't',
    complete: guarded?.join() === 't,2' && companions === 't' && incarnation !== undefined && origin !== undefined,
    incarnation,
    copied: origin !== undefined && !isSame(origin, here),
  }
}

/** Creates what is missing within the session's transaction; a table of another place becomes one of its own. */
export async function completeAuditSchema(session: Session, names: AuditNames, state: AuditState): Promise<void> {
  const doing = 'creating the audit table'
  if (!state.complete) {
    await session.run(doing, createAuditTables(names))
    if (state.relation === undefined) await revokeTables(session, names)
    await session.run(doing, createGuard(names))
    await revokeFunction(session, names.guard)
  }
  if (state.incarnation !== undefined && !state.copied) return
  const [row] = await session.rows(doing, tableSql, [names.changes, names.consumers, names.meta])
  const [relation, , , , , database, mayIdentify] = row ?? []
  const system = mayIdentify === 't' ? await systemIdentifier(session) : null
  const origin: AuditOrigin = { system, database: Number(database), relation: Number(relation) }
  await session.run(doing, renewIdentity(names, pg.escapeLiteral(JSON.stringify(origin))))
}

export function noAuditSchema({ schema }: AuditNames): SyncError {
  return new SyncError('E_CONFIG', `The schema ${schema} for the audit table does not exist`, {
    hint: `Run: create schema ${schema}`,
  })
}

/** The cluster's number, for a role that may read it. */
export async function systemIdentifier(session: Session): Promise<string | null> {
  const sql = 'select system_identifier from pg_catalog.pg_control_system()'
  const [row] = await session.rows('identifying the server', sql)
  return row?.[0] ?? null
}

async function readMeta(
  session: Session,
  meta: string,
): Promise<{ readonly incarnation?: string; readonly origin?: AuditOrigin }> {
  const sql = `select m.key, m.value::pg_catalog.text from ${meta} m where m.key in ('incarnation', 'origin')`
  const values = new Map((await session.rows('looking at the audit table', sql)).map(([key, value]) => [key, value]))
  const incarnation: unknown = JSON.parse(values.get('incarnation') ?? 'null')
  const origin: unknown = JSON.parse(values.get('origin') ?? 'null')
  return {
    incarnation: typeof incarnation === 'string' ? incarnation : undefined,
    origin: isOrigin(origin) ? origin : undefined,
  }
}

function refuseForeign(changes: string, kind: string | null | undefined, columns: string | null | undefined): void {
  if (kind === 'rp' && columns?.split(',').includes('table_id')) return
  throw new SyncError('E_CONFIG', `${changes} was not made by this release, or is not an ordinary logged table`, {
    hint: 'Remove the triggers, functions and the table of the other tool first, or choose another `auditSchema`.',
  })
}

/** A cache, a jump or a cycle would hand out numbers that are not in the order in which they were asked for. */
async function refuseSequence(session: Session, changes: string): Promise<void> {
  const [sequence] = await session.rows('looking at the audit table', sequenceSql, [changes])
  if (sequence?.join() === '1,1,f,p') return
  throw new SyncError('E_CONFIG', `The sequence of ${changes} does not count 1, 2, 3 without a cache`, {
    hint: `Run: alter table ${changes} alter sequence_id set cache 1 set increment by 1 set no cycle`,
  })
}

function isSame(a: AuditOrigin, b: AuditOrigin): boolean {
  const otherSystem = a.system !== null && b.system !== null && a.system !== b.system
  return !otherSystem && a.database === b.database && a.relation === b.relation
}

function isOrigin(value: unknown): value is AuditOrigin {
  if (typeof value !== 'object' || value === null) return false
  const { system, database, relation } = value as Partial<Record<string, unknown>>
  return (system === null || typeof system === 'string') && Number.isInteger(database) && Number.isInteger(relation)
}
