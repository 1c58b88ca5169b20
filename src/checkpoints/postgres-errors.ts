/** What can go wrong with checkpoints in PostgreSQL. */
import { SyncError, type SyncErrorCode } from '../core/errors.js'

/** By SQLSTATE, by its class of two characters, or by the code of a system error. */
const codes: Readonly<Record<string, SyncErrorCode>> = {
  '08': 'E_CONNECTION_LOST',
  '25006': 'E_CONFIG',
  '28': 'E_AUTH',
  '3D000': 'E_UNKNOWN_DATABASE',
  '40': 'E_BUSY',
  '42501': 'E_RIGHTS',
  '53': 'E_BUSY',
  '55P03': 'E_BUSY',
  '57': 'E_CONNECTION_LOST',
  '57014': 'E_BUSY',
  ECONNREFUSED: 'E_UNREACHABLE',
  ENOTFOUND: 'E_UNREACHABLE',
  EAI_AGAIN: 'E_UNREACHABLE',
  EHOSTUNREACH: 'E_UNREACHABLE',
  ENETUNREACH: 'E_UNREACHABLE',
  ETIMEDOUT: 'E_UNREACHABLE',
  ECONNRESET: 'E_CONNECTION_LOST',
  EPIPE: 'E_CONNECTION_LOST',
}

const sentences: Partial<Record<SyncErrorCode, string>> = {
  E_AUTH: 'refuses the user name or the password',
  E_BUSY: 'is busy',
  E_CONFIG: 'takes no writes',
  E_CONNECTION_LOST: 'ended the connection',
  E_RIGHTS: 'does not let this role read or write the table',
  E_TLS: 'and this client do not agree on TLS',
  E_UNKNOWN_DATABASE: 'has no database of this name',
  E_UNREACHABLE: 'does not answer',
}

/** The schema or the table is not there yet. */
export function isMissingRelation(error: unknown): boolean {
  const code = codeOf(error instanceof SyncError ? error.cause : error)
  return code === '42P01' || code === '3F000'
}

/** Another session made the schema or the table at the same moment. */
export function isAlreadyMade(error: unknown): boolean {
  return ['23505', '42P06', '42P07', '42710'].includes(codeOf(error))
}

/** Errors that are one already are returned as they are. */
export function postgresError(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  const state = codeOf(error)
  const code = classify(error, state)
  const sentence = sentences[code] ?? 'refused a statement'
  const suffix = state === '' ? '' : ` (${state})`
  return new SyncError(code, `PostgreSQL, where checkpoints are kept, ${sentence}${suffix}`, { cause: error })
}

function classify(error: unknown, state: string): SyncErrorCode {
  const message = error instanceof Error ? error.message : ''
  if (
    /does not support SSL|^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL)/.test(`${state} ${message}`.trim())
  ) {
    return 'E_TLS'
  }
  const known = codes[state] ?? codes[state.slice(0, 2)]
  if (known !== undefined) return known
  if (/timeout expired/.test(message)) return 'E_UNREACHABLE'
  const ended = /Connection terminated|not queryable|client was closed|connection error|read timeout/i
  return ended.test(message) ? 'E_CONNECTION_LOST' : 'E_SOURCE'
}

/** SQLSTATE or system error. Several addresses of one host fail together. */
function codeOf(error: unknown): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error
  const code: unknown = Reflect.get(Object(inner), 'code')
  return typeof code === 'string' ? code : ''
}
