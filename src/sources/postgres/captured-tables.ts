/** Tables that have capture functions. Reads the catalog only. */
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

/** A table whose changes are captured. */
export interface CapturedTable {
  readonly label: string
  /** The source's estimate. Undefined: it has none yet. */
  readonly rows: number | undefined
  /** Whether every trigger that is there fires. A partition's own triggers are not looked at. */
  readonly captured: boolean
  /** Changes that are kept, of the oldest million. */
  readonly changes: number
}

/** A partitioned table has no estimate of its own. */
const tablesSql = ({ changes }: AuditNames) => `
with kept as (
  select k.table_id, pg_catalog.count(*) as count
  from (select c.table_id from ${changes} c order by c.sequence_id limit 1000000) k group by k.table_id
)
select n.nspname || '.' || c.relname,
  (select case when pg_catalog.bool_and(l.reltuples < 0) then null else pg_catalog.sum(greatest(l.reltuples, 0)) end
    from pg_catalog.pg_class l
    where l.relkind <> 'p' and (l.oid = c.oid or l.oid in (select t.relid from pg_catalog.pg_partition_tree(c.oid) t))),
  (select coalesce(pg_catalog.bool_and(t.tgenabled in ('A', 'O')), false)
    from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgfoid = p.oid),
  coalesce(k.count, 0)
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace a on a.oid = p.pronamespace
join pg_catalog.pg_class c on p.proname = 'surreal_sync_capture_' || c.oid and c.relkind in ('r', 'p')
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join kept k on k.table_id = c.oid
where a.nspname = $1
order by 1`

export async function readCapturedTables(
  session: Session,
  names: AuditNames,
  auditSchema: string,
): Promise<readonly CapturedTable[]> {
  const rows = await session.rows('reading the status', tablesSql(names), [auditSchema])
  return rows.map(([label, estimate, captured, changes]) => ({
    label: label ?? '',
    rows: estimate == null ? undefined : Math.round(Number(estimate)),
    captured: captured === 't',
    changes: Number(changes),
  }))
}
