/**
 * The pieces of the installation script: blocks that look first and then do only what is missing, so that running them again
 * changes nothing. They begin nothing and commit nothing.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { captureFunction } from './capture-function.js'
import { createTrigger, enableAlways, type TriggerForm } from './capture-triggers.js'
import { definerStateSql } from './definer.js'
import { quoteName } from './quoted-name.js'
import {
  type AuditNames,
  createAuditTables,
  createGuard,
  guardBody,
  guardTriggers,
  renewIdentity,
} from './schema.sql.js'
import { createWatch, watchBody, watchFunction } from './watch.sql.js'

const literal = pg.escapeLiteral

/** Statements of plpgsql as one statement. */
export function block(body: string, declarations = ''): string {
  const declare = declarations === '' ? '' : `declare\n${declarations}\n`
  const text = `${declare}begin\n${body}\nend`
  let tag = '$do$'
  for (let count = 1; text.includes(tag); count += 1) tag = `$do_${count}$`
  return `do ${tag}\n${text}\n${tag}`
}

/** Fails where something is not what the script was made for. */
export function refuseUnless(condition: string, message: string): string {
  return `if (${condition}) is not true then
  raise exception using message = ${literal(message)},
    hint = 'Make the script again: surreal-sync plan postgresql --sql';
end if;`
}

/** The audit table, its companions and the guard, where anything of them is missing. */
export function ensureAudit(names: AuditNames): string {
  const { changes, consumers, meta, guard } = names
  const triggers = Object.values(guardTriggers).map(literal).join(', ')
  const body = `
v_fresh := to_regclass(${literal(changes)}) is null;
if v_fresh or to_regclass(${literal(meta)}) is null or not exists (
  select from pg_attribute a where a.attrelid = to_regclass(${literal(consumers)}) and a.attname = 'report' and not a.attisdropped) then
${createAuditTables(names).trim()};
end if;
if v_fresh then
  -- What default privileges gave away.
  for v_given in
    select case c.relkind when 'S' then 'sequence' else 'table' end as kind, format('%I.%I', n.nspname, c.relname) as name, ${granteeSql} as grantee
    from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(c.relacl) a
    where a.grantee <> c.relowner and (c.oid in (to_regclass(${literal(changes)}), to_regclass(${literal(consumers)}), to_regclass(${literal(meta)}))
      or c.oid = pg_get_serial_sequence(${literal(changes)}, 'sequence_id')::regclass)
  loop
    execute format('revoke all on %s %s from %s', v_given.kind, v_given.name, v_given.grantee);
  end loop;
end if;
if not exists (select from pg_proc p where p.oid = to_regproc(${literal(guard)}) and p.prosecdef and md5(p.prosrc) = '${md5(guardBody(names))}')
  or 2 <> (select count(*) from pg_trigger t where t.tgrelid = to_regclass(${literal(changes)})
    and t.tgfoid = to_regproc(${literal(guard)}) and t.tgenabled = 'A' and t.tgname in (${triggers})) then
${createGuard(names).trim()};
${revokeFromOthers(guard)}
end if;
-- Which audit table this is: it becomes another one where it came with a copy of a database.
v_here := jsonb_build_object('system', v_system, 'database', (select d.oid::int8 from pg_database d where d.datname = current_database()),
  'relation', to_regclass(${literal(changes)})::oid::int8);
v_there := (select m.value from ${meta} m where m.key = 'origin');
if not exists (select from ${meta} m where m.key = 'incarnation') or v_there is null
  or v_there -> 'database' <> v_here -> 'database' or v_there -> 'relation' <> v_here -> 'relation'
  or v_there ->> 'system' <> v_here ->> 'system' then
${renewIdentity(names, 'v_here').trim()};
end if;`
  const declarations = `v_fresh boolean;\nv_given record;\nv_system text;\nv_here jsonb;\nv_there jsonb;`
  const identified = `if has_function_privilege('pg_catalog.pg_control_system()', 'execute') then
  v_system := (select s.system_identifier::text from pg_control_system() s);
end if;`
  return block(`${identified}${body}`, declarations)
}

/** The role that capture functions run as, where whoever runs the script may make and use it. */
export function ensureDefiner(names: AuditNames, auditSchema: string): string {
  const { schema, changes } = names
  return block(
    `${readDefiner(names, auditSchema)}
if v_role.usable and v_role.harmless then
  if not v_role.present then
    execute format('create role %I nologin', v_role.name);
  end if;
  if not v_role.superuser and not v_role.member then
    execute format('grant %I to current_user', v_role.name) || case when v_role.version >= 160000 then ' with inherit true, set true' else '' end;
  end if;
  if not has_schema_privilege(v_role.name::name, ${literal(auditSchema)}, 'usage') then
    execute format(${literal(`grant usage on schema ${formatted(schema)} to %I`)}, v_role.name);
  end if;
  if not has_table_privilege(v_role.name::name, ${literal(changes)}, 'insert') then
    execute format(${literal(`grant insert on ${formatted(changes)} to %I`)}, v_role.name);
  end if;
elsif not v_role.harmless then
  raise warning 'The role % can do more than it should: the capture functions will run as % instead', v_role.name, current_user;
else
  raise notice 'The capture functions will run as %, who may make no role for them', current_user;
end if;`,
    'v_role record;',
  )
}

/** Gives a table's capture function to that role, and takes it away from everybody else. */
export function handOver(names: AuditNames, auditSchema: string, oid: number): string {
  const { schema } = names
  const name = captureFunction(names, oid)
  return block(
    `${revokeFromOthers(name)}
${readDefiner(names, auditSchema)}
if v_role.usable and v_role.harmless and exists (
  select from pg_proc p where p.oid = to_regproc(${literal(name)}) and p.proowner <> to_regrole(v_role.name)) then
  v_lent := not v_role.superuser and not has_schema_privilege(v_role.name::name, ${literal(auditSchema)}, 'create');
  if v_lent then
    execute format(${literal(`grant create on schema ${formatted(schema)} to %I`)}, v_role.name);
  end if;
  execute format(${literal(`alter function ${formatted(name)}() owner to %I`)}, v_role.name);
  if v_lent then
    execute format(${literal(`revoke create on schema ${formatted(schema)} from %I`)}, v_role.name);
  end if;
end if;`,
    'v_given record;\nv_role record;\nv_lent boolean;',
  )
}

/** One trigger, as plpgsql. Of a partition's clone only that it fires always: PostgreSQL has created it. */
export function ensureTrigger(
  names: AuditNames,
  oid: number,
  { relation, form, cloned }: { readonly relation: string; readonly form: TriggerForm; readonly cloned: boolean },
): string {
  const there = `select from pg_trigger t where t.tgrelid = to_regclass(${literal(relation)}) and t.tgname = '${form.name}'`
  const right = `${there}
  and t.tgfoid = to_regproc(${literal(captureFunction(names, oid))}) and t.tgtype = ${form.type}
  and coalesce(t.tgoldtable, '') = '${form.oldTable}' and coalesce(t.tgnewtable, '') = '${form.newTable}'
  and t.tgqual is null and t.tgattr = ''::int2vector and t.tgnargs = 0`
  const create = `if not exists (${right}) then
  ${createTrigger(names, oid, { relation, form, always: false })};
end if;
`
  return `${cloned ? '' : create}if exists (${there} and t.tgenabled <> 'A') then
  ${enableAlways(relation, form.name)};
end if;`
}

/** The optional event trigger. */
export function ensureWatch(names: AuditNames, auditSchema: string): string {
  const name = watchFunction(names)
  const right = `select from pg_event_trigger e join pg_proc p on p.oid = e.evtfoid
  where e.evtname = '${names.watch}' and e.evtenabled = 'A' and p.oid = to_regproc(${literal(name)}) and p.prosecdef
    and md5(p.prosrc) = '${md5(watchBody(names, auditSchema))}'`
  return block(
    `if not exists (${right}) then
${createWatch(names, auditSchema).trim()};
${revokeFromOthers(name)}
end if;`,
    'v_given record;',
  )
}

/** What a role needs that runs pipelines and installs nothing. */
export function grantAudit({ schema, changes, consumers, meta }: AuditNames, role: string): string {
  const to = quoteName(role)
  const sequence = block(
    `execute format('grant select on sequence %s to %I', pg_get_serial_sequence(${literal(changes)}, 'sequence_id'), ${literal(role)});`,
  )
  return `grant usage on schema ${schema} to ${to};
grant select, delete on ${changes} to ${to};
grant select, insert, update, delete on ${consumers} to ${to};
grant select on ${meta} to ${to};
${sequence};`
}

const granteeSql = `case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end`

/** Of a function without parameters; needs a record `v_given`. */
function revokeFromOthers(name: string): string {
  return `for v_given in
  select distinct ${granteeSql} as grantee from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where p.oid = to_regproc(${literal(name)}) and a.grantee <> p.proowner
loop
  execute format(${literal(`revoke all on function ${formatted(name)}() from %s`)}, v_given.grantee);
end loop;`
}

/** Into a record `v_role`. */
function readDefiner({ changes }: AuditNames, auditSchema: string): string {
  const sql = definerStateSql
    .replace(/\$[12]/g, (parameter) => literal(parameter === '$1' ? auditSchema : changes))
    .trim()
  return `select * into v_role from (
${sql}
) s(name, present, superuser, version, harmless, member, usable, ready);`
}

/** A name within a text that `format` reads. */
function formatted(name: string): string {
  return name.replaceAll('%', '%%')
}

/** As PostgreSQL counts it in a database in UTF-8. Elsewhere what is right is merely written once more. */
function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
