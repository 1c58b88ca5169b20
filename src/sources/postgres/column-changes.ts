/** Columns that came or went, where that is all that happened to a table. */
import type { Alteration } from '../../core/alteration.js'
import type { PostgresTable } from './postgres-table.js'
import { expressionsOf, usesWholeRow } from './row-expression.js'

export interface ColumnChanges extends Alteration {
  readonly before: PostgresTable
}

/**
 * Undefined: more happened than that, rows have other values than NULL in a column that was added, or SQL of the shape says
 * something of rows as a whole. That no row was rewritten is for the caller to know.
 */
export function columnChanges(before: PostgresTable, table: PostgresTable): ColumnChanges | undefined {
  const expressions = expressionsOf(table)
  if (before.frame !== table.frame || expressions.some(usesWholeRow)) return undefined
  if (expressions.length > 0 && hiddenMoved(before, table)) return undefined
  const old = new Map(before.columns.map((column) => [column.attnum, column]))
  const added = table.columns.filter(({ attnum }) => !old.delete(attnum))
  const dropped = [...old.values()]
  const known = new Set(before.columns.map(({ identity }) => identity))
  const kept = table.columns.filter((column) => !added.includes(column))
  if (!kept.every(({ identity }) => known.has(identity)) || !added.every(({ startsNull }) => startsNull))
    return undefined
  // A column that took the name of another: who knows fields by their names cannot tell them apart.
  if (added.some(({ name }) => dropped.some((column) => column.name === name))) return undefined
  return { before, table, added, dropped }
}

/** Whether a name that SQL may use stands for another column now, of those that are not read themselves. */
function hiddenMoved(before: PostgresTable, table: PostgresTable): boolean {
  const read = new Set(table.columns.map(({ attnum }) => attnum))
  const now = new Map(table.identities.map((column) => [column.name, column]))
  return before.identities.some(({ name, identity }) => {
    const column = now.get(name)
    return column !== undefined && !read.has(column.attnum) && column.identity !== identity
  })
}
