/** The SQL by which the rows of a table are read, with the expressions of its shape. */
import type { TableShape } from '../core/shaping.js'
import type { PostgresType } from './postgres-type.js'
import { quote } from './quote.js'
import type { RunSql } from './sides.js'
import type { SourceColumn, SourceTable } from './source-reader.js'

/** Fields that are no columns. @param from The table as it stands in FROM, without an alias. */
export async function sqlFields(
  run: RunSql,
  from: string,
  { compute = {} }: TableShape,
  typeOf: (oid: string) => PostgresType,
): Promise<readonly SourceColumn[]> {
  const fields: SourceColumn[] = []
  for (const [name, how] of Object.entries(compute)) {
    if (typeof how === 'function') continue
    // A type without a row: what is evaluated for none cannot fail.
    const [row] = await run(`select pg_typeof(r.v)::oid::text, pg_typeof(r.v)::text from (values (1)) one
      left join (select (\n${how.sql}\n) as v from ${from} t where false offset 0) r on true`)
    const [oid = '', sourceType = ''] = row ?? []
    const text = sourceType ?? ''
    fields.push({ name, field: name, type: typeOf(oid ?? ''), sourceType: text, castType: text, sql: how.sql })
  }
  return fields
}

/** On lines of its own, as it stands in the statements that replicate. */
export function filter({ where }: SourceTable): string {
  return where === undefined ? '' : ` where (\n${where}\n)`
}

/** A table with old-style children has rows of its own; theirs are theirs. */
export function from({ schema, name, partitioned }: Pick<SourceTable, 'schema' | 'name' | 'partitioned'>): string {
  return `${partitioned ? '' : 'only '}${quote(schema)}.${quote(name)}`
}

/** What somebody made types of is printed by the type's own function, never by a cast. */
export function cells({ columns }: SourceTable): string {
  return columns
    .map(({ name, type, sql }) => {
      // Out of a subquery a constant is text, as in a select list.
      const cell = sql === undefined ? `t.${quote(name)}` : `(select (\n${sql}\n))`
      if (type.kind !== 'printed') return `to_json(${cell})::text`
      return `to_json(case when ${cell} is distinct from null then format('%s', ${cell}) end)::text`
    })
    .join(', ')
}
