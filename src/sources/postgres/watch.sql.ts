/**
 * The optional event trigger: after ALTER TABLE it writes the capture function of that table anew, in the same transaction,
 * so that no statement of anybody ever meets a function that names a column of old. PostgreSQL lets only superusers have
 * event triggers. The function text that it writes is the one of capture-function.ts.
 */
import pg from 'pg'
import {
  type BodyParts,
  bodyText,
  integerTypes,
  type RowName,
  sameRows,
  settingClauses,
  steadyTypes,
  type TriggerLevel,
  textSettings,
} from './capture-function.js'
import type { AuditNames } from './schema.sql.js'

/** The function's name, quoted and qualified. */
export function watchFunction({ schema }: AuditNames): string {
  return `${schema}.surreal_sync_watch`
}

/** Creates or replaces the function and the event trigger. */
export function createWatch(names: AuditNames, auditSchema: string): string {
  const name = watchFunction(names)
  return `
create or replace function ${name}() returns event_trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as ${pg.escapeLiteral(watchBody(names, auditSchema))};
revoke all on function ${name}() from public;
drop event trigger if exists ${names.watch};
create event trigger ${names.watch} on ddl_command_end when tag in ('ALTER TABLE') execute function ${name}();
alter event trigger ${names.watch} enable always`
}

/** It never makes the statement fail that it comes after. The choice of the key is the one of assemble-table.ts. */
export function watchBody(names: AuditNames, auditSchema: string): string {
  const variables: BodyParts = {
    changes: names.changes,
    oid: '{{altered.oid}}',
    label: '{{quote_literal(altered.label)}}',
    keys: { new: keys('new'), old: keys('old'), r: keys('r') },
    sameKey: `{{case when true = all (chosen.integers) then ${sameKey(true)} else ${sameKey(false)} end}}`,
  }
  const body = (level: TriggerLevel, parts = variables) => concatenation(bodyText(level, parts))
  return `
declare
  altered record;
  chosen record;
  body text;
begin
  for altered in
    select c.oid, n.nspname || '.' || c.relname as label, p.proname,
      exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = ('surreal_sync_insert_' || c.oid)::name) as by_statement
    from (select distinct d.objid from pg_event_trigger_ddl_commands() d where d.classid = 'pg_class'::regclass) d
    join pg_class c on c.oid = d.objid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_proc p on p.proname = ('surreal_sync_capture_' || c.oid)::name
    join pg_namespace pn on pn.oid = p.pronamespace and pn.nspname = ${pg.escapeLiteral(auditSchema)}
  loop
    begin
      select array_agg('"' || replace(a.attname, '"', '""') || '"' order by k.n) as names,
        array_agg(a.atttypid = any ('{${integerTypes.join()}}'::oid[]) order by k.n) as integers,
        bool_and(a.atttypid = any ('{${steadyTypes.join()}}'::oid[])) as steady
      into chosen
      from pg_index i
      join pg_class x on x.oid = i.indexrelid
      cross join lateral generate_series(0, i.indnkeyatts - 1) k(n)
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.n]
      left join pg_collation l on l.oid = a.attcollation
      where i.indrelid = altered.oid and i.indisunique and i.indisvalid and i.indpred is null and not 0 = any (i.indkey)
        and (i.indisprimary or i.indisreplident or i.indimmediate)
      group by i.indexrelid, i.indisprimary, i.indisreplident, i.indnkeyatts, x.relname
      having bool_and(a.attnotnull and (coalesce(l.collisdeterministic, true) or i.indcollation[k.n] = a.attcollation))
      order by i.indisprimary desc, i.indisreplident desc, i.indnkeyatts, x.relname collate "C"
      limit 1;
      body := case
        when chosen.names is null and altered.by_statement then ${body('statement', { ...variables, keys: undefined })}
        when chosen.names is null then ${body('row', { ...variables, keys: undefined })}
        when altered.by_statement then ${body('statement')}
        else ${body('row')}
      end;
      -- Also if it is the same text: sessions have planned it for the types of old.
      execute format('create or replace function %I.%I() returns trigger language plpgsql security definer %s as %L',
        ${pg.escapeLiteral(auditSchema)}, altered.proname,
        case when chosen.steady is distinct from false then '' else ${pg.escapeLiteral(settingClauses(textSettings))} end, body);
    exception when others then
      raise warning 'surreal-sync: the capture function of % could not be written anew: %', altered.label, sqlerrm;
    end;
  end loop;
end
`
}

/** The key of one record, as an expression over the chosen columns. */
function keys(record: RowName): string {
  return `pg_catalog.jsonb_build_array({{(select string_agg(case when c.i then '${record}.' || c.n else 'pg_catalog.format(''%s'', ${record}.' || c.n || ')' end, ', ' order by c.o) from unnest(chosen.names, chosen.integers) with ordinality c(n, i, o))}})`
}

function image(record: 'new' | 'old'): string {
  return `row({{(select string_agg('${record}.' || c.n, ', ' order by c.o) from unnest(chosen.names) with ordinality c(n, o))}})`
}

/** Within the braces of another piece. */
function sameKey(areIntegers: boolean): string {
  return concatenation(sameRows(areIntegers, [image('old'), image('new')]))
}

/** The text as an expression that puts it together: literals, and in double braces what is known only then. */
function concatenation(text: string): string {
  const parts = text.split(/\{\{(.*?)\}\}/s)
  return parts.map((part, index) => (index % 2 === 0 ? pg.escapeLiteral(part) : `(${part})`)).join(' || ')
}
