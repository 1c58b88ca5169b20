/** PostgreSQL and socket errors → SyncError, in one place. */
import { SyncError, type SyncErrorCode, type SyncErrorDetails } from '../../core/errors.js'
import { withoutValues } from '../../core/foreign-error.js'

/** By SQLSTATE, or by its class of two characters. */
const byState: Readonly<Record<string, SyncErrorCode>> = {
  '08': 'E_CONNECTION_LOST',
  '28': 'E_AUTH',
  '3D000': 'E_UNKNOWN_DATABASE',
  '40': 'E_BUSY',
  '42501': 'E_RIGHTS',
  '53': 'E_BUSY',
  '55P03': 'E_LOCK_TIMEOUT',
  '57014': 'E_BUSY',
  '57P01': 'E_CONNECTION_LOST',
  '57P02': 'E_CONNECTION_LOST',
  '57P03': 'E_CONNECTION_LOST',
  '57P05': 'E_CONNECTION_LOST',
  '25P03': 'E_CONNECTION_LOST',
}

/** SQLSTATE classes whose messages name objects and never values. */
const harmlessClasses = new Set(['08', '0A', '25', '28', '3D', '3F', '40', '42', '53', '55', '57'])

const bySystemCode: Readonly<Record<string, SyncErrorCode>> = {
  ECONNREFUSED: 'E_UNREACHABLE',
  ENOTFOUND: 'E_UNREACHABLE',
  EAI_AGAIN: 'E_UNREACHABLE',
  EHOSTUNREACH: 'E_UNREACHABLE',
  ENETUNREACH: 'E_UNREACHABLE',
  ETIMEDOUT: 'E_UNREACHABLE',
  ENOENT: 'E_UNREACHABLE',
  EACCES: 'E_UNREACHABLE',
  ECONNRESET: 'E_CONNECTION_LOST',
  EPIPE: 'E_CONNECTION_LOST',
}

const hints: Partial<Record<SyncErrorCode, string>> = {
  E_UNREACHABLE: 'Check the host and port, and that PostgreSQL accepts connections from here.',
  E_CONNECTION_LOST:
    'Try again. If that does not help, check that it is PostgreSQL that listens there, and that it is not restarting.',
  E_BUSY: 'It passes as a rule: try again. If it does not, pg_stat_activity says who has the connections or the locks.',
  E_AUTH: 'Check the user name and the password.',
  E_UNKNOWN_DATABASE: 'Check the database name.',
  E_RLS_FILTERED: 'Use a role that owns the table or has BYPASSRLS: row level security would hide rows.',
  E_LOCK_TIMEOUT: 'Another transaction holds a lock for long; try again when it has ended.',
  E_TLS: 'Choose another sslmode in the connection string, or add sslrootcert.',
}

/**
 * What went wrong, without any cell value.
 * @param doing Completes the sentence "While …": `reading public.users`.
 */
export function sourceError(error: unknown, doing: string, details: SyncErrorDetails = {}): SyncError {
  if (error instanceof SyncError) return error.code === 'E_ROW_TOO_LARGE' ? named(error, details) : error
  const code = codeOf(error)
  return new SyncError(code, `PostgreSQL, while ${doing}: ${publicMessage(error)}`, {
    hint: hints[code],
    ...details,
    cause: withoutValues(error, ownMessage),
  })
}

/** Who reads rows does not know of which table they are. */
function named(error: SyncError, { table }: SyncErrorDetails): SyncError {
  if (table === undefined || error.details.table !== undefined) return error
  const message = error.message.replace(/^A row /, () => `A row of ${table} `)
  return new SyncError(error.code, message, { ...error.details, table, cause: error })
}

/** Which kind of failure it is. */
export function codeOf(error: unknown): SyncErrorCode {
  const code = stringField(error, 'code') ?? ''
  const message = error instanceof Error ? error.message : ''
  if (isState(error)) {
    if (/row-level security/.test(message)) return 'E_RLS_FILTERED'
    // Two that grant on one object at once: PostgreSQL has no code of its own for it.
    if (code === 'XX000' && /tuple concurrently/.test(message)) return 'E_BUSY'
    return byState[code] ?? byState[code.slice(0, 2)] ?? 'E_SOURCE'
  }
  if (isAboutTls(error)) return 'E_TLS'
  // What answers is not PostgreSQL.
  if (/error establishing an SSL connection/.test(message)) return 'E_UNREACHABLE'
  if (/timeout expired|timeout exceeded/.test(message)) return 'E_UNREACHABLE'
  const known = bySystemCode[code]
  if (known !== undefined) return known
  if (
    /Connection terminated|not queryable|client was closed|has encountered a connection error|read timeout/i.test(
      message,
    )
  )
    return 'E_CONNECTION_LOST'
  return 'E_SOURCE'
}

/** Whether encryption is the reason: none is offered, a certificate does not hold, or the two sides do not agree. */
export function isAboutTls(error: unknown): boolean {
  if (error instanceof Error && /server does not support SSL/.test(error.message)) return true
  return tlsCodes.test(stringField(error, 'code') ?? '')
}

const tlsCodes = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|HOSTNAME_MISMATCH|EPROTO$)/

/** Errors of the server carry a severity beside the SQLSTATE; system errors do not. */
function isState(error: unknown): boolean {
  return stringField(error, 'severity') !== undefined && stringField(error, 'code') !== undefined
}

/** The message of a foreign error as far as it names no value. */
export function publicMessage(error: unknown): string {
  const code = stringField(error, 'code')
  if (isState(error) && code !== undefined) return `${harmlessMessage(error)} (SQLSTATE ${code})`
  if (error instanceof AggregateError && error.message === '') return error.errors.map(publicMessage).join('; ')
  return ownMessage(error)
}

/** What this process says itself is about connections, never about rows. */
function ownMessage(error: unknown): string {
  if (isState(error)) return harmlessMessage(error)
  return error instanceof Error ? error.message : 'unknown failure'
}

function harmlessMessage(error: unknown): string {
  const state = (stringField(error, 'code') ?? '').slice(0, 2)
  return error instanceof Error && harmlessClasses.has(state) ? error.message : 'the statement failed'
}

/** The SQLSTATE of a server error. */
export function stateOf(error: unknown): string | undefined {
  if (error instanceof SyncError) return stateOf(error.cause)
  return isState(error) ? stringField(error, 'code') : undefined
}

function stringField(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' ? value : undefined
}
