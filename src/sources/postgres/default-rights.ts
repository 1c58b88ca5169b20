/** Takes away what ALTER DEFAULT PRIVILEGES gives to others on objects that were just created. */
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

const onTablesSql = `
select distinct case c.relkind when 'S' then 'sequence' else 'table' end, pg_catalog.format('%I.%I', n.nspname, c.relname),
  case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral pg_catalog.aclexplode(c.relacl) a
where c.oid = any ($1::pg_catalog.regclass[]::pg_catalog.oid[] || pg_catalog.pg_get_serial_sequence($2, 'sequence_id')::pg_catalog.regclass::pg_catalog.oid)
  and a.grantee <> c.relowner`

const onFunctionSql = `
select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
from pg_catalog.pg_proc p
cross join lateral pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
where p.oid = $1::pg_catalog.regprocedure and a.grantee <> p.proowner`

/** Of the audit table, its sequence and its companions. */
export async function revokeTables(session: Session, { changes, consumers, meta }: AuditNames): Promise<void> {
  const doing = 'taking away default privileges'
  const rows = await session.rows(doing, onTablesSql, [[changes, consumers, meta], changes])
  for (const [kind, name, grantee] of rows) await session.run(doing, `revoke all on ${kind} ${name} from ${grantee}`)
}

/** Of a function without parameters, quoted and qualified. */
export async function revokeFunction(session: Session, name: string): Promise<void> {
  const doing = 'taking away default privileges'
  const rows = await session.rows(doing, onFunctionSql, [`${name}()`])
  for (const [grantee] of rows) await session.run(doing, `revoke all on function ${name}() from ${grantee}`)
}
