/** What a database consists of, to be compared. */
import type pg from 'pg'

/** Everything that an installation could add or change, without oids. */
const catalogSql = `
select 'class', regexp_replace(oid::regclass::text, 'toast_\\d+', 'toast'), concat_ws(' ', relkind, relowner::regrole, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)), relreplident) from pg_class where oid >= 16384
union all select 'proc', oid::regprocedure::text, concat_ws(' ', proowner::regrole, proacl) from pg_proc where oid >= 16384
union all select 'trigger', tgname || ' on ' || tgrelid::regclass, tgenabled::text from pg_trigger where not tgisinternal
union all select 'role', 'ours', count(*)::text from pg_roles
  where rolname = 'surreal_sync_' || (select oid from pg_database where datname = current_database())
union all select 'role of a dependency', refobjid::regrole::text, deptype::text from pg_shdepend
  where dbid = (select oid from pg_database where datname = current_database()) and refclassid = 'pg_authid'::regclass and deptype <> 'o'
union all select 'event trigger', evtname, evtenabled::text from pg_event_trigger
union all select 'default rights', concat_ws(' ', defaclrole::regrole, defaclnamespace, defaclobjtype), defaclacl::text from pg_default_acl
union all select 'schema', nspname, concat_ws(' ', nspowner::regrole, coalesce(nspacl, acldefault('n', nspowner))) from pg_namespace where nspname !~ '^pg_'
union all select 'type', oid::regtype::text, null from pg_type where oid >= 16384
union all select 'setting', setrole::text, setconfig::text from pg_db_role_setting
  where setdatabase = (select oid from pg_database where datname = current_database())
order by 1, 2, 3`

export async function catalog(client: pg.Client): Promise<readonly unknown[]> {
  return (await client.query({ text: catalogSql, rowMode: 'array' })).rows
}
