/** Tables without a database. */
import type { Column, Table } from '../core/schema.js'
import type { LogicalType } from '../core/value.js'

/** The kinds of types that need no further details. */
type SimpleKind = Exclude<LogicalType['kind'], 'array' | 'range' | 'object' | 'dictionary'>

/**
 * Describes a table for {@link MemorySource} or for batches in tests.
 *
 * @param label - `schema.name`
 * @param types - the columns in order, each with its type or with the kind of a simple type
 * @param key - names of the key columns, in key order
 *
 * @example
 * ```ts
 * const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
 * ```
 */
export function defineTable(
  label: string,
  types: { readonly [column: string]: SimpleKind | LogicalType },
  key: readonly string[],
): Table {
  const [schema = '', name = ''] = label.split('.')
  const columns = Object.entries(types).map(([column, type]): Column => {
    const logical: LogicalType = typeof type === 'string' ? { kind: type } : type
    return { name: column, type: logical, sourceType: logical.kind, nullable: !key.includes(column) }
  })
  const keyColumns = key.map((wanted) => {
    const found = columns.find((column) => column.name === wanted)
    if (found === undefined) throw new TypeError(`The table ${label} has no column ${wanted} for its key`)
    return found
  })
  return { schema, name, label, columns, key: keyColumns }
}
