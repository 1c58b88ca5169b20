/** What a user says of a database → how it is connected to. */
import { SyncError } from '../../core/errors.js'
import type { Address } from './address.js'
import type { Dial } from './connection.js'
import { type AuthLevel, embeddedDial, remoteDial, type SurrealToken } from './dial.js'
import { type SurrealTlsOptions, tlsSettings } from './tls.js'

/** A database named by URL. Who gets this opens and closes its connections. */
export interface SurrealAddressOptions {
  /** `ws://`, `wss://`, `http://` or `https://` and a host; or `mem://`, `surrealkv://PATH`, `rocksdb://PATH`. */
  readonly url: string
  readonly namespace: string
  readonly database: string
  /**
   * Not used for `mem://`, `surrealkv://` and `rocksdb://`, and not compared with any users in there either: SurrealDB gives
   * whoever opens those every right, and refuses to sign in where no user was defined yet.
   */
  readonly username?: string
  readonly password?: string
  /** Where the user is defined. By default the root, the namespace and the database are tried in turn. */
  readonly authLevel?: AuthLevel
  /**
   * In place of a name and a password: an access token (JWT) for this database. A function is called for every new
   * connection; if it fails, the run tries again (`E_PASSWORD`), unless what it throws is a `SyncError` that says otherwise.
   */
  readonly token?: SurrealToken
  /** For `wss://` and `https://`. */
  readonly tls?: SurrealTlsOptions
  readonly connect?: undefined
  readonly disconnect?: undefined
}

/** Connects to nothing yet. @throws SyncError `E_CONFIG` */
export function dialAddress(options: SurrealAddressOptions, address: Address, connectTimeoutMs: number): Dial {
  const { username, password, authLevel, token } = options
  if ((username === undefined) !== (password === undefined)) {
    throw new SyncError('E_CONFIG', 'A username needs a password, and a password a username')
  }
  const credentials = {
    namespace: required('namespace', options.namespace),
    database: required('database', options.database),
    username,
    password,
    authLevel,
    token,
  }
  if (token !== undefined && username !== undefined) {
    throw new SyncError('E_CONFIG', 'There are both a token and a user name for SurrealDB', { hint: 'Choose one.' })
  }
  const tls = tlsSettings(address, options.tls)
  return (address.embedded ? embeddedDial : remoteDial)({ address, credentials, connectTimeoutMs, tls })
}

function required(name: string, given: string | undefined): string {
  if (typeof given === 'string' && given !== '') return given
  throw new SyncError('E_CONFIG', `The option ${name} of SurrealDB is missing`)
}
