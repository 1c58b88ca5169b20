import { inspect } from 'node:util'
import { CallTerminatedError, HttpConnectionError, parseRpcError, UnexpectedConnectionError } from 'surrealdb'
import { expect, it } from 'vitest'
import {
  isConflict,
  isConsequence,
  isExistingRecord,
  isMissingTable,
  thrownText,
  toSyncError,
} from '../../src/connections/surreal/errors.js'
import { SyncError } from '../../src/core/errors.js'

function server(message: string, kind = 'Internal', details?: { kind: string }) {
  return parseRpcError({ code: -32_000, kind, message, details } as Parameters<typeof parseRpcError>[0])
}

function coded(code: string, message = 'x') {
  return Object.assign(new Error(message), { code })
}

const refused = new UnexpectedConnectionError(coded('ECONNREFUSED'))

/** Error, whether it came while connecting, code. */
const table: readonly (readonly [error: unknown, connecting: boolean, code: string])[] = [
  [refused, true, 'E_UNREACHABLE'],
  [refused, false, 'E_UNREACHABLE'],
  [new UnexpectedConnectionError(coded('ECONNRESET')), true, 'E_UNREACHABLE'],
  [new UnexpectedConnectionError(coded('ECONNRESET')), false, 'E_CONNECTION_LOST'],
  [new CallTerminatedError(), false, 'E_CONNECTION_LOST'],
  [new TypeError('fetch failed', { cause: coded('ENOTFOUND') }), true, 'E_UNREACHABLE'],
  [new TypeError('fetch failed', { cause: coded('UND_ERR_SOCKET') }), false, 'E_CONNECTION_LOST'],
  [new TypeError('fetch failed', { cause: coded('DEPTH_ZERO_SELF_SIGNED_CERT') }), true, 'E_TLS'],
  [new UnexpectedConnectionError(coded('ERR_TLS_CERT_ALTNAME_INVALID')), true, 'E_TLS'],
  [http(401), false, 'E_AUTH'],
  [http(403), false, 'E_RIGHTS'],
  [http(404), false, 'E_TARGET_PROTOCOL'],
  [http(413), false, 'E_ROW_TOO_LARGE'],
  [http(503), false, 'E_BUSY'],
  [http(502), false, 'E_CONNECTION_LOST'],
  [server('There was a problem with authentication', 'NotAllowed'), true, 'E_AUTH'],
  [server('IAM error: Not enough permissions to perform this action', 'NotAllowed'), false, 'E_RIGHTS'],
  [server('Anonymous access not allowed: Not enough permissions', 'NotAllowed'), false, 'E_RIGHTS'],
  [server('The session has expired', 'NotAllowed'), false, 'E_CONNECTION_LOST'],
  [server('The token has expired', 'NotAllowed'), false, 'E_CONNECTION_LOST'],
  [server('Transaction conflict: Resource busy: . This transaction can be retried'), false, 'E_BUSY'],
  [
    server('Failed to commit transaction due to a read or write conflict. This transaction can be retried'),
    false,
    'E_BUSY',
  ],
  [server('The query was not executed because it exceeded the timeout: 5s', 'Query'), false, 'E_BUSY'],
  [server("The namespace 'secret' does not exist", 'NotFound'), false, 'E_UNKNOWN_DATABASE'],
  [server("The database 'secret' does not exist", 'NotFound'), false, 'E_UNKNOWN_DATABASE'],
  [server('Specify a namespace to use', 'Validation'), false, 'E_CONFIG'],
  [server("The table 'secret' does not exist", 'NotFound'), false, 'E_TARGET'],
  [server("Database index `e` already contains 'secret', with record `t:1`"), false, 'E_POISON_ROW'],
  [server("Couldn't coerce value for field `a` of `t:1`: Expected `int` but found 'secret'"), false, 'E_POISON_ROW'],
  [server('IO error: secret: No space left on device (os error 28)', 'Internal'), false, 'E_BUSY'],
  [server('something secret that nobody foresaw'), false, 'E_TARGET'],
  ['secret', false, 'E_TARGET'],
  [undefined, false, 'E_TARGET'],
]

it.each(table.map(([error, connecting, code]) => ({ error, connecting, code })))(
  '$error.message while connecting: $connecting is $code, in words of our own',
  ({ error, connecting, code }) => {
    const named = toSyncError(error, { connecting, table: 'public.t', address: 'ws://localhost:8000' })
    expect(named).toMatchObject({ code, details: { table: 'public.t' } })
    if (error instanceof Error) expect(named.cause).toMatchObject({ name: error.name })
    expect(inspect(named, { depth: 10, showHidden: true })).not.toContain('secret')
  },
)

it('leaves an error that has a name as it is', () => {
  const error = new SyncError('E_VALUE', 'x')
  expect(toSyncError(error)).toBe(error)
})

it('recognizes what a transaction answers', () => {
  expect(isConsequence(server('The query was not executed due to a failed transaction', 'Query'))).toBe(true)
  expect(isConsequence(server('The query was not executed due to a cancelled transaction', 'Query'))).toBe(true)
  expect(isConsequence(server('Query not executed: Transaction conflict: Write conflict'))).toBe(false)
  expect(isConflict(server('Query not executed: Transaction conflict: Write conflict, retry the transaction'))).toBe(
    true,
  )
  expect(isConflict(server('x', 'Query', { kind: 'TransactionConflict' }))).toBe(true)
  expect(isExistingRecord(server('Database record `t:⟨a\nb⟩` already exists', 'AlreadyExists'))).toBe(true)
  expect(isExistingRecord(server('Database index `i` already contains 1'))).toBe(false)
  expect(isMissingTable(server("The table 't' does not exist", 'NotFound'), 't')).toBe(true)
  expect(isMissingTable(server("The table 'u' does not exist", 'NotFound'), 't')).toBe(false)
  expect(thrownText(server('An error occurred: surreal_sync: x', 'Thrown'))).toBe('surreal_sync: x')
})

function http(status: number) {
  return new HttpConnectionError('secret', status, '', new ArrayBuffer(0))
}
