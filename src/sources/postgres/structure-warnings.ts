/** What an operator hears of altered tables. */
import type { Alteration } from '../../core/alteration.js'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { type CaptureState, isCapturingRows } from './capture-state.js'
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

const byScript = 'have a DBA run what `surreal-sync plan postgresql --sql` prints (`installSql`)'

/**
 * This role may not complete what captures the changes of a table.
 * @throws SyncError `E_RIGHTS` if writers would fail, or changed rows would be missed
 */
export function incompleteWarning(state: CaptureState, error: SyncError): SyncWarning {
  const { label } = state.table
  if (isCapturingRows(state)) {
    const message = `A partition of ${label} has no trigger for a TRUNCATE of it alone, and this role may not create one: ${byScript}`
    return { code: 'triggers_incomplete', table: label, message }
  }
  const message = `What captures the changes of ${label} must be made anew, and this role may not: ${error.message}`
  throw new SyncError('E_RIGHTS', message, { table: label, hint: `To go on, ${byScript}.`, cause: error })
}

/** Sessions that have planned the capture function for a key of another type, where nobody here may write it anew. */
export function staleWarnings(
  before: PostgresTable | undefined,
  state: CaptureState | undefined,
): readonly SyncWarning[] {
  if (before === undefined || state === undefined || state.replaceable || state.function !== 'right') return []
  const [then, now] = [before, state.table].map(({ key }) => key.map(({ typeOid }) => typeOid).join())
  if (then === now) return []
  const { label } = state.table
  const message = `The key of ${label} has another type: writers that were connected before fail until they connect again, or ${byScript}`
  return [{ code: 'function_not_rewritten', table: label, message }]
}
