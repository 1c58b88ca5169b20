/** What can go wrong with checkpoints in SurrealDB. The texts of its errors are never quoted. */
import { SyncError, type SyncErrorCode } from '../core/errors.js'

const verdicts: readonly (readonly [pattern: RegExp, code: SyncErrorCode, sentence: string])[] = [
  [/problem with authentication|InvalidAuth| 401\b/i, 'E_AUTH', 'refuses the user name or password'],
  [
    /IAM error|not enough permissions|anonymous access not allowed|NotAllowed/i,
    'E_RIGHTS',
    'does not let this user write',
  ],
  [/(token|session) has expired|TokenExpired|SessionExpired/i, 'E_CONNECTION_LOST', 'ended the session'],
  [/can be retried|transaction conflict|read or write conflict|timed ?out/i, 'E_BUSY', 'is busy'],
  [/already locked|lock file|already in use|LOCK: /i, 'E_BUSY', 'has its file open elsewhere'],
  [/^CERT_|ERR_TLS|ERR_SSL|SELF_SIGNED|UNABLE_TO_/, 'E_TLS', 'offers no TLS that can be trusted'],
  [/ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|CONNECT_TIMEOUT/, 'E_UNREACHABLE', 'does not answer'],
  [
    /ECONNRESET|EPIPE|ETIMEDOUT|UND_ERR_|fetch failed|CallTerminated|ConnectionUnavailable|UnexpectedConnection/,
    'E_CONNECTION_LOST',
    'ended the connection',
  ],
]

/** The namespace, the database or the table is not there yet. */
export function isMissing(error: unknown): boolean {
  return /^The (namespace|database|table) .* does not exist/s.test(textOf(error))
}

/** The user name and the password are not those of a user at this level. */
export function isRefusal(error: unknown): boolean {
  return surrealError(error).code === 'E_AUTH' || isMissing(error)
}

/** Errors that are one already are returned as they are. */
export function surrealError(error: unknown, connecting = false): SyncError {
  if (error instanceof SyncError) return error
  const text = `${nameOf(error)} ${textOf(error)} ${codesOf(error)}`
  const [, code, sentence] = verdicts.find(([pattern]) => pattern.test(text)) ?? [
    undefined,
    'E_TARGET',
    'refused a statement',
  ]
  const known = connecting && code === 'E_CONNECTION_LOST' ? 'E_UNREACHABLE' : code
  return new SyncError(known, `SurrealDB, where checkpoints are kept, ${sentence}`, { cause: error })
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : ''
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}

/** The codes along the chain of causes. */
function codesOf(error: unknown, depth = 0): string {
  if (typeof error !== 'object' || error === null || depth > 4) return ''
  const code: unknown = Reflect.get(error, 'code')
  return `${typeof code === 'string' ? code : ''} ${codesOf(Reflect.get(error, 'cause'), depth + 1)}`
}
