/** Whether a target has the rows that it must have, and in what it differs. */
import type { Row } from '../core/batch.js'
import type { Table } from '../core/schema.js'
import { identifyKey, pick, StoredRows } from './stored-rows.js'
import { demand, type Invariant } from './suite.js'

/** How many differences a message tells. */
const differencesMax = 3

/** Compares by key and column; a column that a row lacks is null. @throws InvariantError */
export function demandRows(
  invariant: Invariant,
  when: string,
  table: Table,
  expected: readonly Row[],
  actual: readonly Row[],
): void {
  const wanted = byKey(table, expected)
  const found = byKey(table, actual)
  const differences: string[] = []
  if (actual.length > found.size) differences.push('a key is there more than once')
  for (const [key, row] of wanted) {
    const other = found.get(key)
    if (other === undefined) differences.push(`the row ${key} is missing`)
    else if (other !== row) differences.push(`the row ${key} is ${other} and not ${row}`)
  }
  for (const key of found.keys()) if (!wanted.has(key)) differences.push(`the row ${key} should not be there`)
  const shown = differences.slice(0, differencesMax).join('; ')
  const more = differences.length > differencesMax ? `; ${differences.length - differencesMax} more` : ''
  demand(invariant, differences.length === 0, `${when}, in ${table.label}: ${shown}${more}`)
}

function byKey(table: Table, rows: readonly Row[]): ReadonlyMap<string, string> {
  const stored = new StoredRows(table)
  return new Map(
    rows.map((row) => {
      const whole = pick(row, table.columns)
      return [stored.identify(whole), identifyKey(table.columns.map(({ name }) => whole[name] ?? null))]
    }),
  )
}
