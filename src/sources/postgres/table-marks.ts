/**
 * Cheap signs that something about a table has changed. They change with the catalog's own rows, so also when nothing of
 * interest did; `VACUUM` and `ANALYZE` leave them alone. What really changed is then found by introspection.
 */
import { createHash } from 'node:crypto'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'

export interface TableMark {
  /** Changes with everything about the table, its indexes, its partitions and the composite types of its columns. */
  readonly whole: string
  /** Changes with its columns. A statement that rewrites rows with other values touches a column; VACUUM FULL does not. */
  readonly columns: string
  /** Changes with what captures its changes: triggers on it and on its partitions, and their function. Empty: unknown. */
  readonly capture: string
}

/** What a table was when it was read last. */
export interface TableRecord {
  readonly label: string
  readonly structure: string
  readonly storage: string
  readonly columns: string
  readonly capture: string
}

/** The types that PostgreSQL comes with have lower oids, and never change. */
const ownTypeMin = 16_384

const marksSql = `
with recursive used(root, oid) as (
  select a.attrelid, a.atttypid from pg_catalog.pg_attribute a
  where a.attrelid = any($1::pg_catalog.oid[]) and a.attnum > 0 and a.atttypid >= ${ownTypeMin}
  union
  select u.root, part.oid
  from used u
  join pg_catalog.pg_type t on t.oid = u.oid
  cross join lateral (
    select t.typelem
    union all select t.typbasetype
    union all select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0
    union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
    union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid
  ) part(oid)
  where part.oid >= ${ownTypeMin}
), tree as materialized (
  select o.oid as root, c.oid, c.xmin, c.relfilenode, c.relkind
  from pg_catalog.unnest($1::pg_catalog.oid[]) o(oid)
  join pg_catalog.pg_class c on c.oid = o.oid
), leaf as materialized (
  select * from tree
  union all
  select t.root, c.oid, c.xmin, c.relfilenode, c.relkind
  from tree t
  cross join lateral pg_catalog.pg_partition_tree(t.oid) p
  join pg_catalog.pg_class c on c.oid = p.relid
  where t.relkind = 'p' and p.relid <> t.oid
)
select l.root,
  pg_catalog.string_agg(pg_catalog.concat_ws(':', l.oid, l.xmin, l.relfilenode), ',' order by l.oid),
  (select pg_catalog.string_agg(i.indexrelid || ':' || i.xmin, ',' order by i.indexrelid) from pg_catalog.pg_index i where i.indrelid = l.root),
  (select pg_catalog.string_agg(a.attnum || ':' || a.xmin, ',' order by a.attnum) from pg_catalog.pg_attribute a
    where a.attrelid = l.root and a.attnum > 0),
  pg_catalog.string_agg((select pg_catalog.string_agg(pg_catalog.concat_ws(':', g.oid, g.xmin), ',' order by g.oid)
    from pg_catalog.pg_trigger g where g.tgrelid = l.oid and g.tgname ~ '^surreal_sync_'), ',' order by l.oid),
  (select pg_catalog.string_agg(pg_catalog.md5(f.prosrc || coalesce(f.proconfig::pg_catalog.text, '')), ',' order by f.oid)
    from pg_catalog.pg_proc f where f.proname = ('surreal_sync_capture_' || l.root)::pg_catalog.name),
  (select pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attrelid, a.attnum, a.xmin), ',' order by a.attrelid, a.attnum)
    from used u
    join pg_catalog.pg_type t on t.oid = u.oid
    join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0
    where u.root = l.root)
from leaf l
group by l.root`

/** The marks of these tables; those that are gone have none. */
export async function readMarks(session: Session, oids: readonly number[]): Promise<ReadonlyMap<number, TableMark>> {
  if (oids.length === 0) return new Map()
  const rows = await session.rows('looking at the structure of tables', marksSql, [oids])
  return new Map(
    rows.map(([oid, ...parts]) => {
      const [, , columns, triggers, functions] = parts
      return [Number(oid), { whole: hash(parts), columns: hash([columns]), capture: hash([triggers, functions]) }]
    }),
  )
}

/**
 * Changes whenever a table comes, goes, or gets another name. Row triggers follow a table through all that, names in the
 * options do not.
 */
const listingSql = `
select pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(':', c.oid, c.relname, n.nspname), ',' order by c.oid))
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_'`

export async function readListing(session: Session): Promise<string> {
  const [row] = await session.rows('looking at the list of tables', listingSql)
  return row?.[0] ?? ''
}

export function recordOf(table: PostgresTable, mark: TableMark): TableRecord {
  const { label, structure, storage } = table
  return { label, structure: short(structure), storage: short(storage), columns: mark.columns, capture: mark.capture }
}

/** For positions: what {@link parseRecord} reads. */
export function recordText({ label, structure, storage, columns, capture }: TableRecord): string {
  return `${[structure, storage, columns, capture].join('.')} ${label}`
}

export function parseRecord(text: string): TableRecord | undefined {
  const match = /^([0-9a-f]+)\.([0-9a-f]+)\.([0-9a-f]+)\.([0-9a-f]+) (.+)$/s.exec(text)
  if (match === null) return undefined
  const [, structure = '', storage = '', columns = '', capture = '', label = ''] = match
  return { label, structure, storage, columns, capture }
}

function hash(parts: readonly unknown[]): string {
  return short(createHash('sha256').update(JSON.stringify(parts)).digest('hex'))
}

/** Forty-eight bits: positions hold four of these for each table. */
function short(text: string): string {
  return text.slice(0, 12)
}
