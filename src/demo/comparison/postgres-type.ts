/** The types of a PostgreSQL database, from its catalog. */
import type { ClientBase } from 'pg'

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
  | 'text'
  | 'timestamp'
  | 'uuid'

export type PostgresType =
  | { readonly kind: ScalarKind; readonly name: string }
  | { readonly kind: 'array' | 'multirange' | 'range'; readonly name: string; readonly element: PostgresType }
  | { readonly kind: 'composite'; readonly name: string; readonly fields: ReadonlyMap<string, PostgresType> }

interface TypeRow {
  readonly oid: string
  readonly name: string
  readonly form: 'array' | 'base' | 'composite' | 'domain' | 'multirange' | 'range'
  /** The element type, the domain's base type, or the range's bound type. */
  readonly part: string | null
  readonly fields: readonly { readonly name: string; readonly type: string }[] | null
}

const typesSql = `
  select
    t.oid::text as oid,
    t.typname as name,
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
  from pg_type t`

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
  timestamp: 'timestamp',
  timestamptz: 'timestamp',
  uuid: 'uuid',
}

/** Reads the whole type catalog; the function returned resolves an oid of it. */
export async function readTypes(client: ClientBase): Promise<(oid: string) => PostgresType> {
  const { rows } = await client.query<TypeRow>(typesSql)
  const known = new Map(rows.map((row) => [row.oid, row]))
  const resolve = (oid: string | null): PostgresType => {
    const row = oid === null ? undefined : known.get(oid)
    if (row === undefined) throw new Error(`There is no type with the oid ${oid}.`)
    const { name, form, part, fields } = row
    switch (form) {
      case 'domain':
        return resolve(part)
      case 'array':
      case 'multirange':
      case 'range':
        return { kind: form, name, element: resolve(part) }
      case 'composite':
        return { kind: form, name, fields: new Map(fields?.map((field) => [field.name, resolve(field.type)])) }
      default:
        return { kind: kinds[name] ?? 'text', name }
    }
  }
  return resolve
}
