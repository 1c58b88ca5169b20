/** Connection strings → explicit settings. */
import { isIP } from 'node:net'
import { SyncError } from '../../core/errors.js'
import { findPassword, passwordFile } from './password-file.js'
import { type PostgresTlsOptions, type TlsAttempt, tlsAttempts } from './tls-settings.js'

export interface ConnectionSettings {
  /** A host name, an address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Called for each connection that needs one. A function, so that no inspection shows it. @throws SyncError */
  readonly password: () => Promise<string>
  readonly tls: readonly TlsAttempt[]
  /** Bind the password exchange to the TLS connection. */
  readonly channelBinding: boolean
}

/** A password, or a function that gets one: it is called for every new connection, as tokens that expire need it. */
export type PostgresPassword = string | (() => string | Promise<string>)

export interface ConnectionOverrides {
  readonly database?: string
  readonly user?: string
  readonly password?: PostgresPassword
  readonly tls?: PostgresTlsOptions
}

const knownParameters = new Set([
  ...['host', 'port', 'user', 'password', 'dbname', 'passfile', 'channel_binding'],
  ...['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword'],
  // Accepted because providers put them into the strings that they hand out; they change nothing here.
  ...['application_name', 'connect_timeout', 'gssencmode', 'target_session_attrs', 'uselibpqcompat'],
])

const likeThis = 'Write it like postgresql://user:password@host:5432/database.'
const encoded =
  'In a name or a password, write / as %2F, ? as %3F, # as %23, & as %26, : as %3A, @ as %40 and % as %25.'

interface Environment {
  readonly [name: string]: string | undefined
  readonly USER?: string | undefined
  readonly USERNAME?: string | undefined
}

/**
 * Reads `postgresql://user:password@host:port/database?sslmode=…`. What is missing comes from PGHOST, PGPORT, PGUSER,
 * PGDATABASE, PGPASSWORD, PGPASSFILE or `~/.pgpass`, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT and PGSSLKEY.
 * See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 * @throws SyncError `E_CONFIG`
 */
export function parseConnection(
  text: string,
  overrides: ConnectionOverrides = {},
  environment: Environment = process.env,
): ConnectionSettings {
  const url = parseUrl(text)
  refuseTorn(url)
  for (const name of url.searchParams.keys()) {
    if (knownParameters.has(name)) continue
    throw invalid(`has ${/^\w+$/.test(name) ? `the parameter ${name}` : 'a parameter'}, which is not supported`)
  }
  const parameter = (name: string) => url.searchParams.get(name) ?? undefined
  const host =
    parameter('host') ?? (decoded(url.hostname).replace(/^\[|\]$/g, '') || (environment.PGHOST ?? 'localhost'))
  const port = Number(url.port || (parameter('port') ?? environment.PGPORT ?? 5432))
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid('has a port that is not a number from 1 to 65535')
  const user =
    overrides.user ??
    (decoded(url.username) ||
      (parameter('user') ?? environment.PGUSER ?? environment.USER ?? environment.USERNAME ?? ''))
  const database =
    overrides.database ?? (decoded(url.pathname.slice(1)) || (parameter('dbname') ?? environment.PGDATABASE ?? user))
  const password = overrides.password ?? (decoded(url.password) || (parameter('password') ?? environment.PGPASSWORD))
  const file = parameter('passfile') ?? passwordFile(environment)
  return {
    ...{ host, port, database, user },
    password: () => passwordOf(password, () => file && findPassword(file, { host, port, database, user })),
    tls: tlsAttempts(host, tlsOptions(parameter, overrides.tls, environment), environment),
    channelBinding: ['prefer', 'require'].includes(parameter('channel_binding') ?? ''),
  }
}

/** Where the settings lead to, for people: `postgresql://localhost:5432/myapp`. */
export function describeAddress({ host, port, database }: ConnectionSettings): string {
  if (host.startsWith('/')) return `postgresql:///${database}?host=${host}&port=${port}`
  return `postgresql://${isIP(host) === 6 ? `[${host}]` : host}:${port}/${database}`
}

function tlsOptions(
  parameter: (name: string) => string | undefined,
  { mode, ca, cert, key, passphrase }: PostgresTlsOptions = {},
  environment: Environment,
): PostgresTlsOptions {
  const given = (name: string) => parameter(name) ?? (environment[`PG${name.toUpperCase()}`] || undefined)
  return {
    // It is compared with those that there are.
    mode: mode ?? (given('sslmode') as PostgresTlsOptions['mode']),
    ca: ca ?? given('sslrootcert'),
    cert: cert ?? given('sslcert'),
    key: key ?? given('sslkey'),
    passphrase: passphrase ?? parameter('sslpassword'),
  }
}

async function passwordOf(
  given: PostgresPassword | undefined,
  find: () => Promise<string | undefined> | string | undefined,
): Promise<string> {
  const password = typeof given === 'function' ? await called(given) : (given ?? (await find()))
  if (typeof password === 'string' && password !== '') return password
  throw new SyncError('E_AUTH', 'PostgreSQL asks for a password, and there is none', {
    hint: 'Give it in the connection string, in PGPASSWORD, or in a file that PGPASSFILE names.',
  })
}

async function called(given: () => string | Promise<string>): Promise<string> {
  try {
    return await given()
  } catch (cause) {
    if (cause instanceof SyncError) throw cause
    throw new SyncError('E_PASSWORD', 'The function that gets the password for PostgreSQL failed', {
      hint: 'See what it threw, which is the cause of this error.',
      cause,
    })
  }
}

function parseUrl(text: string): URL {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw invalid('does not begin with postgresql://')
  try {
    // Another scheme makes the parser treat the host as it does for http.
    return new URL(text.replace(/^postgres(ql)?:\/\//i, 'postgresql://'))
  } catch {
    throw invalid('cannot be parsed', `${likeThis} ${encoded}`)
  }
}

/** Of a password with an unescaped / ? or # the rest would be taken for a database or a parameter, and be shown as such. */
function refuseTorn({ pathname, hash, searchParams }: URL): void {
  const shown = [pathname, hash, ...searchParams.keys(), searchParams.get('host') ?? '']
  if (shown.some((part) => part.includes('@'))) throw invalid('has an @ behind the host', encoded)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('contains a % that is not followed by two hexadecimal digits')
  }
}

function invalid(what: string, hint = likeThis): SyncError {
  return new SyncError('E_CONFIG', `The PostgreSQL connection string ${what}`, { hint })
}
