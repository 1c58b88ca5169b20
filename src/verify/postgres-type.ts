/** The types of a PostgreSQL database, from its catalog. */
import type { RunSql } from './sides.js'

/** How values of a type are mapped. Everything that is not named here is text. */
export type ScalarKind =
  | 'bool'
  | 'bytea'
  | 'date'
  | 'float'
  | 'geometry'
  | 'int'
  | 'interval'
  | 'json'
  | 'money'
  | 'numeric'
  | 'padded'
  | 'sparse'
  | 'text'
  | 'timestamp'
  | 'uuid'
  | 'vector'

export type PostgresType =
  | { readonly kind: ScalarKind; readonly name: string }
  | {
      readonly kind: 'array' | 'multirange' | 'range'
      readonly name: string
      readonly element: PostgresType
      /** Of texts that stand for what is not known: within another type all of that is text. */
      readonly unknown?: boolean
    }
  | { readonly kind: 'composite'; readonly name: string; readonly fields: ReadonlyMap<string, PostgresType> }
  /** Nothing is known of it, or of a part of it: stored as PostgreSQL prints it. */
  | { readonly kind: 'printed'; readonly name: string; readonly base: boolean }
  /** It must not, or cannot, be read here. `why` completes "its column x has the type y, ". */
  | { readonly kind: 'unreadable'; readonly name: string; readonly why: string }

interface TypeRow {
  readonly oid: string
  readonly name: string
  readonly form: 'array' | 'base' | 'composite' | 'domain' | 'multirange' | 'range'
  /** The element type, the domain's base type, or the range's bound type. */
  readonly part: string | null
  readonly fields: readonly { readonly name: string; readonly type: string }[] | null
  readonly label: boolean
  readonly cast: boolean
}

const typesSql = `
  select json_build_object('oid', q.oid, 'name', q.name, 'form', q.form, 'part', q.part, 'fields', q.fields, 'label', q.label, 'cast', q.cast) from (select
    t.oid::text as oid,
    t.typname as name,
    t.typtype = 'e' as label,
    t.oid >= 16384 and exists (
      select from pg_cast c where c.castsource = t.oid and c.casttarget in ('json'::regtype, 'jsonb'::regtype)
    ) as cast,
    case
      when t.typtype = 'd' then 'domain'
      when t.typtype = 'c' then 'composite'
      when t.typtype = 'r' then 'range'
      when t.typtype = 'm' then 'multirange'
      when t.typcategory = 'A' and t.typelem <> 0 then 'array'
      else 'base'
    end as form,
    case
      when t.typtype = 'd' then t.typbasetype::text
      when t.typtype = 'r' then (select r.rngsubtype::text from pg_range r where r.rngtypid = t.oid)
      when t.typtype = 'm' then (select r.rngtypid::text from pg_range r where r.rngmultitypid = t.oid)
      when t.typelem <> 0 then t.typelem::text
    end as part,
    case when t.typtype = 'c' then (
      select json_agg(json_build_object('name', a.attname, 'type', a.atttypid::text) order by a.attnum)
      from pg_attribute a
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) end as fields
  from pg_type t) q`

const kinds: Readonly<Record<string, ScalarKind>> = {
  bool: 'bool',
  box: 'geometry',
  bpchar: 'padded',
  bytea: 'bytea',
  circle: 'geometry',
  date: 'date',
  float4: 'float',
  float8: 'float',
  // Their output is a JSON object, by hstore's cast.
  hstore: 'json',
  int2: 'int',
  int4: 'int',
  int8: 'int',
  interval: 'interval',
  json: 'json',
  jsonb: 'json',
  line: 'geometry',
  lseg: 'geometry',
  money: 'money',
  numeric: 'numeric',
  oid: 'int',
  path: 'geometry',
  point: 'geometry',
  polygon: 'geometry',
  halfvec: 'vector',
  sparsevec: 'sparse',
  timestamp: 'timestamp',
  timestamptz: 'timestamp',
  uuid: 'uuid',
  vector: 'vector',
}

/** Types that are text, and are so within others too. Whatever is named nowhere makes text of all that it is a part of. */
const texts: ReadonlySet<string> = new Set(
  `bit char cid cidr citext cstring inet jsonpath lquery ltree ltxtquery macaddr macaddr8 name pg_lsn text tid time timetz
  unknown varbit varchar xid xid8 xml`.split(/\s+/),
)

const postgis: ReadonlySet<string> = new Set(['geography', 'geometry'])
const castReason = 'and to read it would run a cast to JSON that somebody made, as this role'

/** Reads the whole type catalog; the function returned resolves an oid of it. */
export async function readTypes(run: RunSql): Promise<(oid: string) => PostgresType> {
  const rows = (await run(typesSql)).map(([cell]): TypeRow => JSON.parse(cell ?? ''))
  const known = new Map(rows.map((row) => [row.oid, row]))
  const resolve = (oid: string | null): PostgresType => {
    const row = oid === null ? undefined : known.get(oid)
    if (row === undefined) throw new Error(`There is no type with the oid ${oid}.`)
    const { name, form, part, fields, label, cast } = row
    if (postgis.has(name)) return { kind: 'unreadable', name, why: 'which is not decoded apart from the product' }
    if (cast && name !== 'hstore') return { kind: 'unreadable', name, why: castReason }
    switch (form) {
      case 'domain':
        return resolve(part)
      case 'array':
      case 'multirange':
      case 'range':
        return around(name, [resolve(part)], (element) => ({ kind: form, name, element }))
      case 'composite': {
        const members = fields?.map((field): [string, PostgresType] => [field.name, resolve(field.type)]) ?? []
        const parts = members.map(([, type]) => type)
        return around(name, parts, () => ({ kind: form, name, fields: new Map(members) }))
      }
      default: {
        const kind = kinds[name] ?? (label || texts.has(name) ? 'text' : undefined)
        return kind === undefined ? { kind: 'printed', name, base: true } : { kind, name }
      }
    }
  }
  return resolve
}

/** A type made of others. Only an array keeps its form when nothing is known of its elements. */
function around(
  name: string,
  parts: readonly PostgresType[],
  make: (first: PostgresType) => PostgresType,
): PostgresType {
  const [first] = parts
  const unreadable = parts.find((part) => part.kind === 'unreadable')
  if (unreadable?.kind === 'unreadable') return { ...unreadable, name }
  const made = make(first ?? { kind: 'text', name })
  if (made.kind === 'array' && first?.kind === 'printed' && first.base) {
    return { ...made, element: { kind: 'text', name: first.name }, unknown: true }
  }
  const opaque = parts.some((part) => part.kind === 'printed' || ('unknown' in part && part.unknown))
  return opaque ? { kind: 'printed', name, base: false } : made
}
