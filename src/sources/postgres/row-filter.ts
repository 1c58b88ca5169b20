/** Filters of rows. */
import type { PostgresTable } from './postgres-table.js'
import { checkExpression, inParentheses } from './row-expression.js'
import type { Session } from './session.js'

/** The condition for a WHERE, none where there is no filter. */
export function filterOf({ shape }: PostgresTable): readonly string[] {
  return shape?.where === undefined ? [] : [inParentheses(shape.where)]
}

/** Whether the filters of these tables can be kept. Within a transaction; changes nothing. @throws SyncError `E_CONFIG` */
export async function checkFilters(session: Session, tables: readonly PostgresTable[]): Promise<void> {
  for (const table of tables) {
    const where = table.shape?.where
    if (where !== undefined) await checkExpression(session, table, { sql: where })
  }
}
