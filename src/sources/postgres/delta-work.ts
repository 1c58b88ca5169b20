/** What audit rows ask to be done. */
import type { AuditRow } from './audit-rows.js'
import type { PostgresTable } from './postgres-table.js'

export interface Work {
  /** Tables to read as a whole. */
  readonly replace: readonly PostgresTable[]
  /** Keys to read again, as the capture functions wrote them. */
  readonly keys: ReadonlyMap<PostgresTable, ReadonlySet<string>>
}

/**
 * Each key once, whatever happened to it; a table as a whole where a row has no key.
 * @param tables Those that may be read now, by oid. Rows of others ask for nothing.
 * @param pending Tables that must be read as a whole in any case.
 */
export function planWork(
  rows: readonly AuditRow[],
  tables: ReadonlyMap<number, PostgresTable>,
  pending: ReadonlySet<number>,
): Work {
  const whole = new Set(pending)
  const keys = new Map<PostgresTable, Set<string>>()
  for (const { table: oid, key } of rows) {
    const table = tables.get(oid)
    if (table === undefined) continue
    if (key === null) whole.add(oid)
    else if (!whole.has(oid)) keysOf(keys, table).add(key)
  }
  const replace = [...tables.values()].filter(({ oid }) => whole.has(oid))
  for (const table of replace) keys.delete(table)
  return { replace, keys }
}

function keysOf(keys: Map<PostgresTable, Set<string>>, table: PostgresTable): Set<string> {
  const existing = keys.get(table)
  if (existing !== undefined) return existing
  const created = new Set<string>()
  keys.set(table, created)
  return created
}
