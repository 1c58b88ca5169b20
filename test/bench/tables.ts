/** The tables that are copied, in three shapes, and how they are filled. */
import type pg from 'pg'

export const shapes = ['mixed', 'narrow', 'wide'] as const
export type ShapeName = (typeof shapes)[number]

const wideColumns = Array.from({ length: 59 }, (_, index) => index + 1)
const wideTypes = ['int', 'bigint', 'text', 'float8', 'boolean', 'timestamptz'] as const
const wideValues: Readonly<Record<(typeof wideTypes)[number], (index: number) => string>> = {
  int: (index) => `i % ${1000 + index}`,
  bigint: (index) => `i::bigint * ${index * 1_000_003}`,
  text: (index) => `'value ' || (i % ${50 + index})`,
  float8: (index) => `i / ${index}.5`,
  boolean: (index) => `i % ${index + 1} = 0`,
  timestamptz: (index) => `timestamptz '2024-01-01' + i * interval '${index} seconds'`,
}
const wideType = (index: number) => wideTypes[index % wideTypes.length] ?? 'int'

const definitions: Readonly<Record<ShapeName, { readonly columns: string; readonly values: string }>> = {
  mixed: {
    columns: `id bigint primary key, n int, title text, body text, active boolean, price float8, amount numeric(12,2), made timestamptz,
      doc jsonb, code uuid, tags text[]`,
    values: `i, i % 1000, 'title of row ' || i, repeat('word ', 8) || i, i % 2 = 0, i / 3.0, (i % 1000000)::numeric / 100,
      timestamptz '2024-01-01' + i * interval '1 second', jsonb_build_object('kind', 'k' || i % 9, 'size', i, 'parts', array[1, i % 7]),
      md5(i::text)::uuid, array['red', 'green', 'c' || i % 20]`,
  },
  narrow: { columns: 'id bigint primary key, n int, name text', values: `i, i % 1000, 'name ' || i` },
  wide: {
    columns: `id bigint primary key, ${wideColumns.map((index) => `c${index} ${wideType(index)}`).join(', ')}`,
    values: `i, ${wideColumns.map((index) => wideValues[wideType(index)](index)).join(', ')}`,
  },
}

/** Creates a table of this shape and fills it. */
export async function createTable(client: pg.Client, name: string, shape: ShapeName, rowCount: number): Promise<void> {
  const { columns, values } = definitions[shape]
  await client.query(`create table ${name} (${columns})`)
  await client.query(`insert into ${name} select ${values} from generate_series(1, ${rowCount}) i`)
  await client.query(`vacuum analyze ${name}`)
}
