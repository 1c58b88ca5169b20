/** What can go wrong with checkpoints in SurrealDB. */
import { toSyncError } from '../connections/surreal/errors.js'
import { SyncError } from '../core/errors.js'

/** The namespace, the database or the table is not there yet. */
export function isMissing(error: unknown): boolean {
  return /^The (namespace|database|table) .* does not exist/s.test(error instanceof Error ? error.message : '')
}

/** Says where it went wrong. Nothing of what the driver says is quoted, neither here nor in causes. */
export function storeError(error: unknown): SyncError {
  const { code, message, details, cause } = toSyncError(error)
  const where = 'Where checkpoints are kept: '
  // There is no row: what is wrong is the table, or the size.
  if (code === 'E_POISON_ROW') return new SyncError('E_TARGET', `${where}SurrealDB refused a statement`, { cause })
  if (code === 'E_ROW_TOO_LARGE') return new SyncError('E_TARGET', `${where}${message}`, { cause })
  return new SyncError(code, `${where}${message}`, { ...details, cause })
}
