/** The part of pg_type that the columns of some tables need. */
import type { ClientBase } from 'pg'
import { sourceError } from '../../connections/postgres/errors.js'

/** What was there from the start, and so belongs to superusers, has smaller oids. */
export const firstUserOid = 16_384

/** One type of the catalog. Numbers that the catalog leaves at zero are zero. */
export interface CatalogType {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** pg_type.typtype: b base, c composite, d domain, e enum, r range, m multirange. */
  readonly kind: string
  readonly baseOid: number
  readonly elementOid: number
  /** Of a range its subtype, of a multirange its range. */
  readonly rangeOid: number
  /** The send function; empty: there is none. */
  readonly send: string
  readonly sendIsBuiltin: boolean
  /** Somebody defined an implicit cast from it: operators that take any type of its kind are then ambiguous. */
  readonly implicitCast: boolean
  readonly attributes: readonly { readonly name: string; readonly typeOid: number }[]
}

/** These types and all that they are made of, by oid. */
export async function readCatalogTypes(
  client: ClientBase,
  oids: readonly number[],
): Promise<ReadonlyMap<number, CatalogType>> {
  const versions = await catalogRows(client, 'show server_version_num')
  const hasMultiranges = Number(versions[0]?.[0]) >= 140_000
  const rows = await catalogRows(client, typesSql(hasMultiranges), [[...new Set(oids)]])
  const types = rows.map(
    ([oid, schema, name, kind, base, element, range, send, sendSchema, implicitCast, attributes]): CatalogType => {
      return {
        oid: Number(oid),
        schema: schema ?? '',
        name: name ?? '',
        kind: kind ?? '',
        baseOid: Number(base),
        elementOid: Number(element),
        rangeOid: Number(range ?? 0),
        send: send ?? '',
        sendIsBuiltin: sendSchema === 'pg_catalog',
        implicitCast: implicitCast === 't',
        attributes: attributesOf(attributes ?? null),
      }
    },
  )
  return new Map(types.map((type) => [type.oid, type]))
}

/** Rows as text, whatever parsers the application has set in pg. */
const asText = { getTypeParser: () => (text: string) => text }

/** The rows of a query about the catalog. @throws SyncError */
export async function catalogRows(
  client: ClientBase,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly (string | null)[][]> {
  try {
    const query = { text, values: [...values], rowMode: 'array' as const, types: asText }
    const { rows } = await client.query<(string | null)[]>(query)
    return rows
  } catch (error) {
    throw sourceError(error, 'reading the catalog')
  }
}

function typesSql(hasMultiranges: boolean): string {
  const multirange = 'select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid'
  return `
with recursive needed(oid) as (
  select pg_catalog.unnest($1::pg_catalog.oid[])
  union
  select part.oid
  from needed n
  join pg_catalog.pg_type t on t.oid = n.oid
  cross join lateral (
    select t.typbasetype
    union all select t.typelem
    union all select a.atttypid from pg_catalog.pg_attribute a
      where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped
    union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
    ${hasMultiranges ? `union all ${multirange}` : ''}
  ) part(oid)
  where part.oid <> 0
)
select t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, t.typelem,
  coalesce((select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid)${hasMultiranges ? `, (${multirange})` : ''}),
  p.proname, s.nspname,
  exists (select from pg_catalog.pg_cast c where c.castsource = t.oid and c.castcontext = 'i' and c.oid >= ${firstUserOid}),
  (select pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.atttypid::pg_catalog.int8) order by a.attnum)
    from pg_catalog.pg_attribute a
    where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped)
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_proc p on p.oid = t.typsend
left join pg_catalog.pg_namespace s on s.oid = p.pronamespace
where t.oid in (select oid from needed)`
}

function attributesOf(text: string | null): CatalogType['attributes'] {
  if (text === null) return []
  const pairs: unknown = JSON.parse(text)
  if (!Array.isArray(pairs)) return []
  return pairs.map(([name, typeOid]: [unknown, unknown]) => ({ name: String(name), typeOid: Number(typeOid) }))
}
