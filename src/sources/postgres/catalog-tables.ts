/** What pg_catalog says about tables, their columns, indexes and partitions. */
import type { ClientBase } from 'pg'
import { catalogRows } from './catalog-types.js'

/** A relation that rows could be read from, as the catalog lists it. */
export interface CatalogRelation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** pg_class.relkind: r table, p partitioned table, v view, m materialized view, f foreign table. */
  readonly kind: string
  /** pg_class.relpersistence: p permanent, u unlogged, t temporary. */
  readonly persistence: string
  readonly isPartition: boolean
  /** Whether it belongs to an extension. */
  readonly isExtension: boolean
}

export interface CatalogRights {
  readonly owned: boolean
  readonly canSelect: boolean
  readonly canTrigger: boolean
  readonly rowSecurity: boolean
}

export interface CatalogStorage {
  /** The oids of the partitions at all levels. */
  readonly partitions: string
  readonly files: string
  readonly pages: number
  readonly rowCountEstimate: number | undefined
}

export interface CatalogColumn {
  readonly attnum: number
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  readonly sourceType: string
  readonly nullable: boolean
  /** How and by which expression; empty: it is stored as it is. */
  readonly generated: string
  readonly collationOid: number
  readonly deterministic: boolean
  /** It was added with a default, which rows that were there have without being rewritten. */
  readonly missing: boolean
}

export interface CatalogIndexColumn {
  readonly attnum: number
  readonly collationOid: number
  readonly equalitySchema: string | undefined
  readonly equalityName: string | undefined
}

/** An index that could be a key. */
export interface CatalogIndex {
  readonly name: string
  readonly primary: boolean
  readonly replicaIdentity: boolean
  readonly immediate: boolean
  readonly columns: readonly CatalogIndexColumn[]
}

/** All relations outside of the system's schemas, or those of these oids. */
export async function readRelations(client: ClientBase, oids?: readonly number[]): Promise<readonly CatalogRelation[]> {
  const rows = await query(
    client,
    `
select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relispartition,
  exists (select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e')
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  ${oids === undefined ? '' : 'and c.oid = any ($1::pg_catalog.oid[])'}
order by n.nspname collate "C", c.relname collate "C"`,
    oids ?? [],
  )
  return rows.map(([oid, schema, name, kind, persistence, isPartition, isExtension]) => ({
    oid: Number(oid),
    schema: schema ?? '',
    name: name ?? '',
    kind: kind ?? '',
    persistence: persistence ?? '',
    isPartition: isPartition === 't',
    isExtension: isExtension === 't',
  }))
}

/** The names of all schemas. */
export async function readSchemas(client: ClientBase): Promise<readonly string[]> {
  const rows = await query(client, 'select n.nspname from pg_catalog.pg_namespace n', [])
  return rows.map(([name]) => name ?? '')
}

/** What the current role may do, by oid. */
export async function readRights(
  client: ClientBase,
  oids: readonly number[],
): Promise<ReadonlyMap<number, CatalogRights>> {
  const rows = await query(
    client,
    `
select c.oid, pg_catalog.pg_has_role(c.relowner, 'USAGE'),
  pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') and (pg_catalog.has_table_privilege(c.oid, 'SELECT')
    or not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and not pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))),
  pg_catalog.has_table_privilege(c.oid, 'TRIGGER'), pg_catalog.row_security_active(c.oid)
from pg_catalog.pg_class c where c.oid = any ($1::pg_catalog.oid[])`,
    oids,
  )
  return new Map(
    rows.map(([oid, owned, canSelect, canTrigger, rowSecurity]) => [
      Number(oid),
      {
        owned: owned === 't',
        canSelect: canSelect === 't',
        canTrigger: canTrigger === 't',
        rowSecurity: rowSecurity === 't',
      },
    ]),
  )
}

/** Files and sizes, of partitioned tables those of all their partitions, by oid. */
export async function readStorage(
  client: ClientBase,
  oids: readonly number[],
): Promise<ReadonlyMap<number, CatalogStorage>> {
  const rows = await query(
    client,
    `
with recursive tree(root, oid) as (
  select c.oid, c.oid from pg_catalog.pg_class c where c.oid = any ($1::pg_catalog.oid[])
  union all
  select t.root, i.inhrelid
  from tree t
  join pg_catalog.pg_inherits i on i.inhparent = t.oid
  join pg_catalog.pg_class p on p.oid = i.inhrelid and p.relispartition
), file as (
  select t.root, c.oid, c.relfilenode, c.relkind, c.reltuples, c.relpages,
    case when c.relkind = 'r' then pg_catalog.pg_relation_size(c.oid)
      / pg_catalog.current_setting('block_size')::pg_catalog.int8 end as pages
  from tree t join pg_catalog.pg_class c on c.oid = t.oid
)
select root,
  coalesce(pg_catalog.string_agg(oid::pg_catalog.text, ' ' order by oid) filter (where oid <> root), ''),
  pg_catalog.string_agg(oid::pg_catalog.text || ':' || relfilenode::pg_catalog.text, ' ' order by oid),
  coalesce(pg_catalog.sum(pages), 0),
  case when pg_catalog.bool_or(reltuples < 0) filter (where relkind = 'r') then null
    else pg_catalog.round(pg_catalog.sum(case when relpages > 0 then reltuples::pg_catalog.numeric * pages / relpages
      else reltuples::pg_catalog.numeric end) filter (where relkind = 'r')) end
from file group by root`,
    oids,
  )
  return new Map(
    rows.map(([oid, partitions, files, pages, estimate]) => [
      Number(oid),
      {
        partitions: partitions ?? '',
        files: files ?? '',
        pages: Number(pages),
        rowCountEstimate: estimate === null || estimate === undefined ? undefined : Number(estimate),
      },
    ]),
  )
}

/** The columns that are there, in order, by oid of the table. */
export async function readColumns(
  client: ClientBase,
  oids: readonly number[],
): Promise<ReadonlyMap<number, readonly CatalogColumn[]>> {
  const rows = await query(
    client,
    `
select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod),
  not a.attnotnull, case when a.attgenerated <> '' then pg_catalog.concat(a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid)) end,
  a.attcollation, coalesce(l.collisdeterministic, true),
  a.atthasmissing or c.relkind = 'p' and exists (
    select from pg_catalog.pg_partition_tree(c.oid) p
    join pg_catalog.pg_attribute m on m.attrelid = p.relid and m.attname = a.attname and m.atthasmissing)
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
left join pg_catalog.pg_collation l on l.oid = a.attcollation
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = any ($1::pg_catalog.oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`,
    oids,
  )
  return grouped(
    rows.map(
      ([oid, attnum, name, typeOid, typmod, sourceType, nullable, generated, collationOid, deterministic, missing]) => [
        Number(oid),
        {
          attnum: Number(attnum),
          name: name ?? '',
          typeOid: Number(typeOid),
          typmod: Number(typmod),
          sourceType: sourceType ?? '',
          nullable: nullable === 't',
          generated: generated ?? '',
          collationOid: Number(collationOid),
          deterministic: deterministic === 't',
          missing: missing === 't',
        },
      ],
    ),
  )
}

/**
 * The unique indexes that cover whole tables by plain columns, the smallest first, then by name; by oid of the table.
 * The equality is that of the index's operator class, or for a key WITHOUT OVERLAPS that of the type's default class.
 */
export async function readIndexes(
  client: ClientBase,
  oids: readonly number[],
): Promise<ReadonlyMap<number, readonly CatalogIndex[]>> {
  const rows = await query(
    client,
    `
select i.indrelid, c.relname, i.indisprimary, i.indisreplident, i.indimmediate,
  pg_catalog.json_agg(pg_catalog.json_build_array(i.indkey[k.n], i.indcollation[k.n]::pg_catalog.int8, e.nspname, e.oprname)
    order by k.n)
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
cross join lateral pg_catalog.generate_series(0, i.indnkeyatts - 1) k(n)
join pg_catalog.pg_opclass o on o.oid = i.indclass[k.n]
left join lateral (
  select s.nspname, p.oprname
  from pg_catalog.pg_am m
  join pg_catalog.pg_opclass b on b.opcmethod = m.oid and (b.oid = o.oid
    or o.opcmethod <> m.oid and b.opcdefault and b.opcintype in (o.opcintype,
      (select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = i.indrelid and a.attnum = i.indkey[k.n])))
  join pg_catalog.pg_amop x on x.amopfamily = b.opcfamily and x.amoplefttype = b.opcintype
    and x.amoprighttype = b.opcintype and x.amopstrategy = 3
  join pg_catalog.pg_operator p on p.oid = x.amopopr
  join pg_catalog.pg_namespace s on s.oid = p.oprnamespace
  where m.amname = 'btree'
  limit 1
) e on true
where i.indrelid = any ($1::pg_catalog.oid[]) and i.indisunique and i.indisvalid and i.indpred is null
  and not 0 = any (i.indkey)
group by i.indrelid, i.indexrelid, c.relname, i.indisprimary, i.indisreplident, i.indimmediate, i.indnkeyatts
order by i.indrelid, i.indnkeyatts, c.relname collate "C"`,
    oids,
  )
  return grouped(
    rows.map(([oid, name, primary, replicaIdentity, immediate, columns]) => [
      Number(oid),
      {
        name: name ?? '',
        primary: primary === 't',
        replicaIdentity: replicaIdentity === 't',
        immediate: immediate === 't',
        columns: indexColumns(columns ?? '[]'),
      },
    ]),
  )
}

async function query(client: ClientBase, text: string, oids: readonly number[]): Promise<readonly (string | null)[][]> {
  return catalogRows(client, text, text.includes('$1') ? [[...oids]] : [])
}

function grouped<T>(pairs: readonly (readonly [number, T])[]): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>()
  for (const [key, value] of pairs) {
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return groups
}

function indexColumns(text: string): CatalogIndexColumn[] {
  const columns: unknown = JSON.parse(text)
  if (!Array.isArray(columns)) return []
  return columns.map(([attnum, collationOid, schema, name]: unknown[]) => ({
    attnum: Number(attnum),
    collationOid: Number(collationOid),
    equalitySchema: typeof schema === 'string' ? schema : undefined,
    equalityName: typeof name === 'string' ? name : undefined,
  }))
}
