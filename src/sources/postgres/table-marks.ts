/**
 * Cheap signs that something about a table has changed. They change with the catalog's own rows, so also when nothing of
 * interest did; `VACUUM` and `ANALYZE` leave them alone. What really changed is then found by introspection.
 */
import { createHash } from 'node:crypto'
import { firstUserOid } from './catalog-types.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'

export interface TableMark {
  /** Changes with everything about the table, its indexes and its partitions. */
  readonly whole: string
  /** Changes with its columns. A statement that rewrites rows with other values touches a column; VACUUM FULL does not. */
  readonly columns: string
  /** Changes with what captures its changes: triggers on it and on its partitions, and their function. Empty: unknown. */
  readonly capture: string
  /** The enums that its columns are made of. */
  readonly enums: readonly EnumLabels[]
}

export interface EnumLabels {
  readonly oid: number
  /** In the order in which they were added. */
  readonly labels: readonly string[]
}

/** What a table was when it was read last. */
export interface TableRecord {
  readonly label: string
  readonly structure: string
  readonly storage: string
  readonly columns: string
  readonly capture: string
  /** Empty also where an older release has written it. */
  readonly enums: readonly EnumRecord[]
}

/** The labels that an enum had. One that is renamed changes values without a word; one that is added changes none. */
interface EnumRecord {
  readonly oid: number
  readonly count: number
  readonly hash: string
}

const plainSql = marksSql('', 'null, null')

/** For tables with types that somebody made: altering a type leaves no trace at the tables that use it. */
const typedSql = marksSql(
  `, made(root, oid) as (
  select a.attrelid, a.atttypid from pg_catalog.pg_attribute a
  where a.attrelid = any($2::pg_catalog.oid[]) and a.attnum > 0 and a.atttypid >= ${firstUserOid}
  union
  select m.root, part.oid
  from made m
  join pg_catalog.pg_type y on y.oid = m.oid
  cross join lateral (
    select y.typbasetype
    union all select y.typelem
    union all select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = y.typrelid and a.attnum > 0
    union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = y.oid
    union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = y.oid
  ) part(oid)
  where part.oid >= ${firstUserOid}
)`,
  `(select pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attrelid, a.attnum, a.xmin), ',' order by a.attrelid, a.attnum)
    from made m join pg_catalog.pg_type y on y.oid = m.oid
    join pg_catalog.pg_attribute a on a.attrelid = y.typrelid and a.attnum > 0 where m.root = l.root),
  (select pg_catalog.json_agg(pg_catalog.json_build_array(e.oid::pg_catalog.int8, e.labels) order by e.oid) from (
    select m.oid, pg_catalog.array_agg(v.enumlabel order by v.oid) as labels
    from made m join pg_catalog.pg_enum v on v.enumtypid = m.oid where m.root = l.root group by m.oid) e)`,
)

function marksSql(types: string, typeParts: string): string {
  return `
with recursive tree as materialized (
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
)${types}
select l.root,
  pg_catalog.string_agg(pg_catalog.concat_ws(':', l.oid, l.xmin, l.relfilenode), ',' order by l.oid),
  (select pg_catalog.string_agg(i.indexrelid || ':' || i.xmin, ',' order by i.indexrelid) from pg_catalog.pg_index i where i.indrelid = l.root),
  (select pg_catalog.string_agg(a.attnum || ':' || a.xmin, ',' order by a.attnum) from pg_catalog.pg_attribute a
    where a.attrelid = l.root and a.attnum > 0),
  pg_catalog.string_agg((select pg_catalog.string_agg(pg_catalog.concat_ws(':', g.oid, g.xmin), ',' order by g.oid)
    from pg_catalog.pg_trigger g where g.tgrelid = l.oid and g.tgname ~ '^surreal_sync_'), ',' order by l.oid),
  (select pg_catalog.string_agg(pg_catalog.md5(f.prosrc || coalesce(f.proconfig::pg_catalog.text, '')), ',' order by f.oid)
    from pg_catalog.pg_proc f where f.proname = ('surreal_sync_capture_' || l.root)::pg_catalog.name),
  ${typeParts}
from leaf l
group by l.root`
}

/** The marks of these tables; those that are gone have none. */
export async function readMarks(
  session: Session,
  tables: readonly PostgresTable[],
): Promise<ReadonlyMap<number, TableMark>> {
  if (tables.length === 0) return new Map()
  const oids = tables.map(({ oid }) => oid)
  const typed = tables.filter(({ userTypes }) => userTypes)
  const doing = 'looking at the structure of tables'
  const rows =
    typed.length === 0
      ? await session.rows(doing, plainSql, [oids])
      : await session.rows(doing, typedSql, [oids, typed.map(({ oid }) => oid)])
  return new Map(
    rows.map(([oid, ...parts]) => {
      const [, , columns, triggers, functions, , enums] = parts
      const mark = { columns: hash([columns]), capture: hash([triggers, functions]), enums: enumsOf(enums ?? '[]') }
      return [Number(oid), { whole: hash(parts), ...mark }]
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

const namesSql = `
select c.oid, n.nspname || '.' || c.relname
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any($1::pg_catalog.oid[])`

/** The labels that tables have now; those that are gone have none. */
export async function readNames(
  session: Session,
  oids: readonly number[],
): Promise<readonly (readonly [oid: number, label: string])[]> {
  const rows = await session.rows('looking at names of tables', namesSql, [oids])
  return rows.map(([oid, label]) => [Number(oid), label ?? ''])
}

export function recordOf(table: PostgresTable, mark: TableMark): TableRecord {
  const { label, structure, storage } = table
  const { columns, capture } = mark
  const enums = mark.enums.map(({ oid, labels }) => ({ oid, count: labels.length, hash: hash(labels) }))
  return { label, structure: short(structure), storage: short(storage), columns, capture, enums }
}

/** What it must be compared with by whoever starts from a position at which it was not yet replaced. */
export function unknownRecord({ label }: PostgresTable): TableRecord {
  return { label, structure: '0', storage: '0', columns: '0', capture: '0', enums: [] }
}

/** Whether a label of the record is another one now. Labels may have been added. */
export function isRelabelled({ enums }: TableRecord, now: TableMark): boolean {
  return enums.some(({ oid, count, hash: before }) => {
    const labels = now.enums.find((one) => one.oid === oid)?.labels
    return labels !== undefined && hash(labels.slice(0, count)) !== before
  })
}

/** For positions: what {@link parseRecord} reads. */
export function recordText({ label, structure, storage, columns, capture, enums }: TableRecord): string {
  const labels = enums.map(({ oid, count, hash }) => `${oid}:${count}:${hash}`)
  return `${[structure, storage, columns, capture, ...labels].join('.')} ${label}`
}

export function parseRecord(text: string): TableRecord | undefined {
  const match = /^([0-9a-f]+)\.([0-9a-f]+)\.([0-9a-f]+)\.([0-9a-f]+)((?:\.\d+:\d+:[0-9a-f]+)*) (.+)$/s.exec(text)
  if (match === null) return undefined
  const [, structure = '', storage = '', columns = '', capture = '', labels = '', label = ''] = match
  const enums = labels.split('.').slice(1).map(enumRecord)
  return { label, structure, storage, columns, capture, enums }
}

function enumRecord(text: string): EnumRecord {
  const [oid, count, hash = ''] = text.split(':')
  return { oid: Number(oid), count: Number(count), hash }
}

function enumsOf(json: string): readonly EnumLabels[] {
  const enums: unknown = JSON.parse(json)
  if (!Array.isArray(enums)) return []
  return enums.map(([oid, labels]: [unknown, unknown[]]) => ({ oid: Number(oid), labels: labels.map(String) }))
}

function hash(parts: readonly unknown[]): string {
  return short(createHash('sha256').update(JSON.stringify(parts)).digest('hex'))
}

/** Forty-eight bits: positions hold four of these for each table, and one for each enum in it. */
function short(text: string): string {
  return text.slice(0, 12)
}
