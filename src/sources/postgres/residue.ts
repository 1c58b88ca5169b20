/** Everything of this product that is in a database, and what this role may do about it. */
import { quoteName } from './quoted-name.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

/** Something to remove. */
export interface Leftover {
  /** The statement that removes it. */
  readonly remove: string
  readonly removable: boolean
}

export interface Residue {
  readonly eventTriggers: readonly Leftover[]
  /** By replicated table, quoted and qualified. Those that PostgreSQL cloned for partitions go with the root's. */
  readonly triggers: ReadonlyMap<string, readonly Leftover[]>
  readonly functions: readonly Leftover[]
  readonly tables: readonly Leftover[]
  readonly roles: readonly Leftover[]
}

const eventTriggersSql = `
select e.evtname, pg_catalog.pg_has_role(e.evtowner, 'USAGE') from pg_catalog.pg_event_trigger e where e.evtname = $1`

const triggersSql = `
select pg_catalog.format('%I.%I', cn.nspname, c.relname), t.tgname, pg_catalog.pg_has_role(c.relowner, 'USAGE')
from pg_catalog.pg_trigger t
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
where n.nspname = $1 and p.proname ~ '^surreal_sync_capture_[0-9]+$' and t.tgparentid = 0
order by 1, 2`

const functionsSql = `
select p.proname, pg_catalog.pg_has_role(p.proowner, 'USAGE')
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.proname ~ '^surreal_sync_(capture_[0-9]+|guard|watch)$' and p.pronargs = 0
order by 1`

const tablesSql = `
select c.oid::pg_catalog.regclass, pg_catalog.pg_has_role(c.relowner, 'USAGE')
from pg_catalog.pg_class c
where c.oid in (pg_catalog.to_regclass($1), pg_catalog.to_regclass($2), pg_catalog.to_regclass($3))
order by c.relname`

/** PostgreSQL 16 lets those drop a role who may administer it; before, CREATEROLE was enough. */
const rolesSql = `
select r.rolname, exists (select from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
    where n.nspname = $1 and a.grantee = r.oid),
  o.rolsuper or o.rolcreaterole and (pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 160000
    or pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'))
from pg_catalog.pg_database d
join pg_catalog.pg_roles r on r.rolname = 'surreal_sync_' || d.oid and not r.rolcanlogin
join pg_catalog.pg_roles o on o.rolname = current_user
where d.datname = pg_catalog.current_database()`

export async function readResidue(session: Session, names: AuditNames, auditSchema: string): Promise<Residue> {
  const doing = 'looking for what is installed'
  const { schema, changes, consumers, meta, watch } = names
  const leftover = (remove: string, removable: string | null | undefined) => ({ remove, removable: removable === 't' })
  const eventTriggers = await session.rows(doing, eventTriggersSql, [watch])
  const triggers = new Map<string, Leftover[]>()
  for (const [relation, name, owned] of await session.rows(doing, triggersSql, [auditSchema])) {
    const list = triggers.get(relation ?? '') ?? []
    list.push(leftover(`drop trigger if exists ${quoteName(name ?? '')} on ${relation}`, owned))
    triggers.set(relation ?? '', list)
  }
  const functions = await session.rows(doing, functionsSql, [auditSchema])
  const tables = await session.rows(doing, tablesSql, [changes, consumers, meta])
  const roles = await session.rows(doing, rolesSql, [auditSchema])
  return {
    eventTriggers: eventTriggers.map(([name, owned]) => leftover(`drop event trigger if exists ${name}`, owned)),
    triggers,
    functions: functions.map(([name, owned]) => leftover(`drop function if exists ${schema}.${name}()`, owned)),
    tables: tables.map(([name, owned]) => leftover(`drop table if exists ${name}`, owned)),
    roles: roles.flatMap(([name, granted, removable]) => [
      ...(granted === 't' ? [leftover(`revoke all on schema ${schema} from ${name}`, removable)] : []),
      leftover(`drop role if exists ${name}`, removable),
    ]),
  }
}

/** In the order in which it can be removed: never a table of ours while a trigger writes into it. */
export function leftoversOf({ eventTriggers, triggers, functions, tables, roles }: Residue): readonly Leftover[] {
  const guards = functions.filter(({ remove }) => remove.endsWith('.surreal_sync_guard()'))
  const others = functions.filter((each) => !guards.includes(each))
  return [...eventTriggers, ...[...triggers.values()].flat(), ...others, ...tables, ...guards, ...roles]
}

/** What removes everything, to be run by whoever owns it. */
export function residueScript(residue: Residue): string {
  const statements = leftoversOf(residue).map(({ remove }) => `${remove};\n`)
  return statements.length === 0 ? '' : `begin;\n${statements.join('')}commit;\n`
}
