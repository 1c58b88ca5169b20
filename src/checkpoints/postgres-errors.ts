/** What can go wrong with checkpoints in PostgreSQL. */
import { codeOf } from '../connections/postgres/errors.js'
import { SyncError, type SyncErrorCode } from '../core/errors.js'
import { withoutValues } from '../core/foreign-error.js'

const sentences: Partial<Record<SyncErrorCode, string>> = {
  E_AUTH: 'refuses the user name or the password',
  E_BUSY: 'is busy',
  E_CONFIG: 'takes no writes',
  E_CONNECTION_LOST: 'ended the connection',
  E_LOCK_TIMEOUT: 'has the table locked',
  E_RIGHTS: 'does not let this role read or write the table',
  E_TLS: 'and this client do not agree on TLS',
  E_UNKNOWN_DATABASE: 'has no database of this name',
  E_UNREACHABLE: 'does not answer',
}

const readOnly = '25006'

/** The schema or the table is not there yet. */
export function isMissingRelation(error: unknown): boolean {
  return ['42P01', '3F000'].includes(stateOf(error))
}

/** Another session made the schema or the table at the same moment. */
export function isAlreadyMade(error: unknown): boolean {
  return ['23505', '42P06', '42P07', '42710'].includes(stateOf(error))
}

/**
 * Nothing of what the driver or the server says is quoted, neither here nor in causes.
 * Errors that are one already are returned as they are.
 */
export function storeError(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  const state = stateOf(error)
  const code = state === readOnly ? 'E_CONFIG' : codeOf(error)
  const sentence = sentences[code] ?? 'refused a statement'
  const suffix = state === '' ? '' : ` (${state})`
  return new SyncError(code, `PostgreSQL, where checkpoints are kept, ${sentence}${suffix}`, {
    cause: withoutValues(error, () => ''),
  })
}

/** SQLSTATE or system error. Not every driver says which of the two it is. */
function stateOf(error: unknown): string {
  const code: unknown = Reflect.get(Object(error instanceof SyncError ? error.cause : error), 'code')
  return typeof code === 'string' && /^\w{1,32}$/.test(code) ? code : ''
}
