/** What an operator hears of altered tables. */
import type { Alteration } from '../../core/alteration.js'
import type { SyncWarning } from '../../core/events.js'
import type { PostgresTable } from './postgres-table.js'
import type { Replacement } from './replacement.js'

export function replacedWarning({ label }: PostgresTable, { code, what }: Replacement): SyncWarning {
  return { code, table: label, message: `${label} ${what}: it is copied again as a whole` }
}

export function recreatedWarning(table: PostgresTable): SyncWarning {
  return replacedWarning(table, { code: 'table_replaced', what: 'was created anew' })
}

export function addedWarning({ label }: PostgresTable): SyncWarning {
  return { code: 'table_added', table: label, message: `${label} is followed from now on: it is copied as a whole` }
}

export function alteredWarning({ table, added, dropped }: Alteration): SyncWarning {
  const changes = [
    ...added.map(({ name }) => `has a new column ${name}`),
    ...dropped.map(({ name }) => `no longer has a column ${name}`),
  ]
  const message = `${table.label} ${changes.join(', ')}: its records follow, no row is read again`
  return { code: 'table_altered', table: table.label, message }
}

export function goneWarning(label: string, what: string): SyncWarning {
  return { code: 'table_gone', table: label, message: `${label} ${what}; its records stay in the target` }
}

export function renamedWarning(before: string, now: string): SyncWarning {
  return {
    code: 'table_renamed',
    table: before,
    message: `${before} is now ${now}, which is not selected: it is no longer followed, and its records stay in the target`,
  }
}
