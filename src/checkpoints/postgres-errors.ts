/** What can go wrong with checkpoints in PostgreSQL. */
import { codeOf } from '../connections/postgres/errors.js'
import { SyncError, type SyncErrorCode } from '../core/errors.js'
import { withoutValues } from '../core/foreign-error.js'

interface Verdict {
  readonly sentence: string
  readonly hint: string
}

const verdicts: Partial<Record<SyncErrorCode, Verdict>> = {
  E_AUTH: { sentence: 'refuses the user name or the password', hint: 'Check the user name and the password.' },
  E_BUSY: { sentence: 'is busy', hint: 'It passes as a rule: try again. If it does not, see pg_stat_activity there.' },
  E_CONFIG: { sentence: 'takes no writes', hint: 'Keep checkpoints on a server that is no standby and not read-only.' },
  E_CONNECTION_LOST: {
    sentence: 'ended the connection',
    hint: 'Try again. If it goes on, see whether it is restarting.',
  },
  E_LOCK_TIMEOUT: { sentence: 'has the table locked', hint: 'Try again when the transaction that holds it has ended.' },
  E_RIGHTS: {
    sentence: 'does not let this role read or write the table',
    hint: 'Grant it SELECT, INSERT and UPDATE on the table, and USAGE on its schema.',
  },
  E_TLS: {
    sentence: 'and this client do not agree on TLS',
    hint: 'Choose another sslmode in its connection string, or add sslrootcert.',
  },
  E_UNKNOWN_DATABASE: { sentence: 'has no database of this name', hint: 'Check the database name.' },
  E_UNREACHABLE: {
    sentence: 'does not answer',
    hint: 'Check the host and port, and that it accepts connections from here.',
  },
}

const unknown: Verdict = {
  sentence: 'refused a statement',
  hint: 'See its log: what it says of a statement may quote a checkpoint, and is not repeated here.',
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
  const { sentence, hint } = verdicts[code] ?? unknown
  const suffix = state === '' ? '' : ` (${state})`
  return new SyncError(code, `PostgreSQL, where checkpoints are kept, ${sentence}${suffix}`, {
    hint,
    cause: withoutValues(error, () => ''),
  })
}

/** SQLSTATE or system error. Not every driver says which of the two it is. */
function stateOf(error: unknown): string {
  const code: unknown = Reflect.get(Object(error instanceof SyncError ? error.cause : error), 'code')
  return typeof code === 'string' && /^\w{1,32}$/.test(code) ? code : ''
}
