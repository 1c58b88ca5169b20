/** Errors of the SDK, the engine and the network as {@link SyncError}. The only place that looks at their texts. */
import { SyncError, type SyncErrorCode } from '../../core/errors.js'
import { withoutValues } from '../../core/foreign-error.js'

/** What was going on: it decides between "nobody answers" and "the connection was lost", and names the table. */
export interface ErrorContext {
  readonly connecting?: boolean
  readonly table?: string
  /** The server, without credentials. */
  readonly address?: string
}

/** What {@link SyncError} is made of. The sentence never quotes the original, which quotes values and record ids. */
interface Verdict {
  readonly code: SyncErrorCode
  readonly sentence: string
  readonly hint?: string
}

/** The parts of foreign errors that are looked at. */
interface Foreign {
  readonly name: string
  readonly kind: string
  readonly text: string
  readonly status: number
  /** The code of the innermost cause that has one: `ECONNREFUSED`. */
  readonly code: string
  /** The text of the innermost cause. */
  readonly reason: string
}

const notExecuted = /^The query was not executed due to/
const unselected = /^Specify a (namespace|database)/i
const conflict = /can be retried|transaction conflict|read or write conflict/i
const signInHint = 'Check the user name and the password.'
const editorHint = 'Give the user the role EDITOR or OWNER on the database.'

/** For when nobody answers. */
export const reachHint = 'Check the address, and that SurrealDB runs and accepts connections from here.'

/** A response that only says that another statement of the transaction failed. */
export function isConsequence(error: unknown): boolean {
  return notExecuted.test(inspect(error).text)
}

/** Another transaction was first: nothing was applied, and trying again helps. */
export function isConflict(error: unknown): boolean {
  return conflict.test(inspect(error).text) || detailKind(error) === 'TransactionConflict'
}

/** A record of this id exists: nothing was applied. */
export function isExistingRecord(error: unknown): boolean {
  return /^Database record .* already exists$/s.test(inspect(error).text)
}

/** The table was never defined, which SurrealDB 3 reports and SurrealDB 2 does not. */
export function isMissingTable(error: unknown, table: string): boolean {
  return inspect(error).text === `The table '${table}' does not exist`
}

/** The connection uses no database: it was not there when it would have been selected. */
export function isUnselected(error: unknown): boolean {
  return unselected.test(inspect(error).text)
}

/** The namespace or the database is not there. */
export function isMissingDatabase(error: unknown): boolean {
  return /^The (namespace|database) .* does not exist/s.test(inspect(error).text)
}

/** The user may not do this, as opposed to not being who they claim to be. */
export function isForbidden(error: unknown): boolean {
  return toSyncError(error).code === 'E_RIGHTS'
}

/** The text behind `THROW`, if the error is one. */
export function thrownText(error: unknown): string | undefined {
  return /^An error occurred: (.*)$/s.exec(inspect(error).text)?.[1]
}

/** The name of the field whose value was refused. */
export function refusedField(error: unknown): string | undefined {
  return /\bfor field `([^`]*)`/.exec(inspect(error).text)?.[1]
}

export function notApplied(table: string | undefined): SyncError {
  return new SyncError('E_WRITE_NOT_APPLIED', 'SurrealDB accepted a write without doing it', {
    table,
    hint: editorHint,
  })
}

/** Names what happened. Errors that are one already are returned as they are. */
export function toSyncError(error: unknown, context: ErrorContext = {}): SyncError {
  if (error instanceof SyncError) return error
  const foreign = inspect(error)
  const { code, sentence, hint } = networkVerdict(foreign, context) ?? serverVerdict(foreign) ?? unknownVerdict(foreign)
  return new SyncError(code, sentence, { table: context.table, hint, cause: withoutValues(error, harmlessMessage) })
}

/** Of errors of the system, and the name of a field: everything else may quote a row. */
function harmlessMessage(error: unknown): string {
  if (typeof field(error, 'code') === 'string') return stringField(error, 'message')
  const name = refusedField(error)
  return name === undefined ? '' : `A value does not suit SurrealDB for field \`${name}\``
}

const tlsCodes =
  /^(CERT_|ERR_TLS_|ERR_SSL_|EPROTO$|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET)|HOSTNAME_MISMATCH)/
const unreachableCodes =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|UND_ERR_CONNECT_TIMEOUT)$/
const lostCodes = /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|UND_ERR_\w+|WS_ERR_\w+)$/
const connectionNames = new Set([
  'CallTerminatedError',
  'ConnectionUnavailableError',
  'UnexpectedConnectionError',
  'ReconnectExhaustionError',
  'AbortError',
])

function networkVerdict(foreign: Foreign, context: ErrorContext): Verdict | undefined {
  const { code, name, status, text, reason } = foreign
  const where = context.address === undefined ? '' : ` at ${context.address}`
  const unreachable: Verdict = {
    code: 'E_UNREACHABLE',
    sentence: `SurrealDB does not answer${where}`,
    hint: reachHint,
  }
  const lost: Verdict = { code: 'E_CONNECTION_LOST', sentence: `The connection to SurrealDB${where} was lost` }
  if (tlsCodes.test(code))
    return { code: 'E_TLS', sentence: `SurrealDB${where} offers no TLS that can be trusted (${code})` }
  if (unreachableCodes.test(code)) return unreachable
  if (status > 0) return statusVerdict(status)
  if (name === 'UnexpectedConnectionError' && /already locked|lock file|already in use|LOCK: /i.test(reason)) {
    return {
      code: 'E_BUSY',
      sentence: `The database${where} is already open`,
      hint: 'A database file has one opener: end the other process, or close the other instance.',
    }
  }
  if (name === 'UnexpectedConnectionError' && /datastore|IO error|No such file|Permission denied/i.test(reason)) {
    return { code: 'E_CONFIG', sentence: `The database${where} cannot be opened` }
  }
  if (lostCodes.test(code) || connectionNames.has(name) || (name === 'TypeError' && text === 'fetch failed')) {
    return context.connecting === true ? unreachable : lost
  }
  return undefined
}

function statusVerdict(status: number): Verdict {
  if (status === 401)
    return { code: 'E_AUTH', sentence: 'SurrealDB refuses the user name or password', hint: signInHint }
  if (status === 403) return { code: 'E_RIGHTS', sentence: 'SurrealDB forbids this request', hint: editorHint }
  if (status === 413) {
    return {
      code: 'E_ROW_TOO_LARGE',
      sentence: 'SurrealDB refuses a request of this size over HTTP',
      hint: 'Connect with ws:// or wss://, or raise the limit of the server.',
    }
  }
  if (status === 408 || status === 429 || status === 503)
    return { code: 'E_BUSY', sentence: `SurrealDB is busy (${status})` }
  if (status >= 500) return { code: 'E_CONNECTION_LOST', sentence: `SurrealDB answers with status ${status}` }
  return {
    code: 'E_TARGET_PROTOCOL',
    sentence: `The server is not a SurrealDB server: it answers with status ${status}`,
    hint: 'Check the address.',
  }
}

/** Patterns over kind and text, the first that matches wins. */
const serverVerdicts: readonly (readonly [RegExp, Verdict])[] = [
  [
    unselected,
    {
      code: 'E_CONFIG',
      sentence: 'The connection uses no namespace or no database',
      hint: 'Choose both when connecting, or with use().',
    },
  ],
  [
    /token has expired|session has expired|TokenExpired|SessionExpired/i,
    { code: 'E_CONNECTION_LOST', sentence: 'The session has expired' },
  ],
  [
    /problem with authentication|InvalidAuth/i,
    { code: 'E_AUTH', sentence: 'SurrealDB refuses the user name or password', hint: signInHint },
  ],
  [
    /InvalidToken|Base64 error/,
    { code: 'E_AUTH', sentence: 'SurrealDB refuses the token', hint: 'Check that it is a whole access token (JWT).' },
  ],
  [
    /IAM error|not enough permissions|anonymous access not allowed|^NotAllowed /i,
    { code: 'E_RIGHTS', sentence: 'The user lacks a right in SurrealDB', hint: editorHint },
  ],
  [conflict, { code: 'E_BUSY', sentence: 'Another transaction wrote the same records' }],
  [/timed ?out|exceeded the timeout/i, { code: 'E_BUSY', sentence: 'SurrealDB ended a statement that took too long' }],
  [/no space left|disk (is )?full/i, { code: 'E_BUSY', sentence: 'The disk of SurrealDB is full' }],
  [
    /Memtable arena is full/i,
    {
      code: 'E_TARGET',
      sentence: 'SurrealKV refuses all writes since its memory table ran full',
      hint: 'Restart SurrealDB.',
    },
  ],
  [
    /The (namespace|database) .* does not exist/is,
    {
      code: 'E_UNKNOWN_DATABASE',
      sentence: 'The namespace or database does not exist in SurrealDB',
      hint: 'Create it, or give the user the right to create it.',
    },
  ],
  [
    /The table .* does not exist/s,
    { code: 'E_TARGET', sentence: 'The target table no longer exists', hint: 'Run a full sync again.' },
  ],
  [
    /^Error while processing event (?!.*(?:can be retried|conflict))/s,
    { code: 'E_POISON_ROW', sentence: 'An event of the target table refuses a row' },
  ],
  [/already contains/, { code: 'E_POISON_ROW', sentence: 'A row violates a unique index of the target' }],
  [
    /field|coerce|convert|schema|^Validation |^Serialization |invalid cbor|recursion/i,
    { code: 'E_POISON_ROW', sentence: 'A row does not fit the definitions of the target table' },
  ],
  [
    /^UnsupportedVersionError/,
    {
      code: 'E_TARGET_PROTOCOL',
      sentence: 'This version of SurrealDB is not supported',
      hint: 'Use SurrealDB 2.1 or later, below 4.0.',
    },
  ],
]

function serverVerdict({ name, kind, text }: Foreign): Verdict | undefined {
  const subject = `${kind === '' ? name : kind} ${text}`
  return serverVerdicts.find(([pattern]) => pattern.test(subject) || pattern.test(text))?.[1]
}

function unknownVerdict({ name, kind }: Foreign): Verdict {
  return {
    code: 'E_TARGET',
    sentence: `SurrealDB refused a statement (${kind === '' ? name : kind})`,
    hint: 'See how the table is defined there: what SurrealDB says of it may quote a row, and is not repeated here.',
  }
}

function inspect(error: unknown): Foreign {
  let code = ''
  let reason = ''
  let cause = error
  for (let depth = 0; depth < 5 && cause !== undefined && cause !== null; depth += 1) {
    code = stringField(cause, 'code') || code
    reason = stringField(cause, 'message') || reason
    cause = field(cause, 'cause') ?? firstOf(field(cause, 'errors'))
  }
  return {
    name: stringField(error, 'name'),
    kind: stringField(error, 'kind'),
    text: stringField(error, 'message') || (typeof error === 'string' ? error : ''),
    status: numberField(error, 'status'),
    code,
    reason,
  }
}

function detailKind(error: unknown): string {
  return stringField(field(error, 'details'), 'kind')
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined
}

function stringField(value: unknown, name: string): string {
  const found = field(value, name)
  return typeof found === 'string' ? found : ''
}

function numberField(value: unknown, name: string): number {
  const found = field(value, name)
  return typeof found === 'number' ? found : 0
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
