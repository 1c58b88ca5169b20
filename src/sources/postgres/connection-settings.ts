/** Connection strings → explicit settings, with TLS as libpq means it. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { SyncError } from '../../core/errors.js'

/** How to encrypt, in the order in which it is tried. `plain` is no TLS. */
export type TlsAttempt =
  | { readonly kind: 'plain'; readonly warn: boolean }
  | {
      readonly kind: 'tls'
      readonly ca?: string
      readonly cert?: string
      readonly key?: string
      readonly verify: 'none' | 'chain' | 'full'
    }

export interface ConnectionSettings {
  /** A host name, an address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly tls: readonly TlsAttempt[]
  /** Bind the password exchange to the TLS connection. */
  readonly channelBinding: boolean
}

export interface ConnectionOverrides {
  readonly database?: string
  readonly user?: string
  readonly password?: string
}

const knownParameters = new Set([
  ...['host', 'port', 'user', 'password', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'channel_binding'],
  // Accepted because providers put them into the strings that they hand out; they change nothing here.
  ...['application_name', 'connect_timeout', 'gssencmode', 'target_session_attrs'],
])

/**
 * Reads `postgresql://user:password@host:port/database?sslmode=…`. What is missing comes from PGHOST, PGPORT, PGUSER,
 * PGDATABASE, PGPASSWORD and PGSSLMODE. See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 * @throws SyncError `E_CONFIG`
 */
export function parseConnection(
  text: string,
  overrides: ConnectionOverrides = {},
  environment = process.env,
): ConnectionSettings {
  const url = parseUrl(text)
  for (const name of url.searchParams.keys()) {
    if (!knownParameters.has(name)) throw invalid(`has the parameter ${name}, which is not supported`)
  }
  const parameter = (name: string) => url.searchParams.get(name) ?? undefined
  const host =
    parameter('host') ??
    (decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || (environment['PGHOST'] ?? 'localhost'))
  const port = Number(url.port || (parameter('port') ?? environment['PGPORT'] ?? 5432))
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid('has a port that is not a number from 1 to 65535')
  const mode = parameter('sslmode') ?? environment['PGSSLMODE']
  return {
    host,
    port,
    database:
      overrides.database ??
      (decodeURIComponent(url.pathname.slice(1)) || (parameter('dbname') ?? environment['PGDATABASE'])),
    user: overrides.user ?? (decodeURIComponent(url.username) || (parameter('user') ?? environment['PGUSER'])),
    password:
      overrides.password ?? (decodeURIComponent(url.password) || (parameter('password') ?? environment['PGPASSWORD'])),
    tls: host.startsWith('/') ? [{ kind: 'plain', warn: false }] : tlsAttempts(mode, host, parameter),
    channelBinding: ['prefer', 'require'].includes(parameter('channel_binding') ?? ''),
  }
}

/** Where the settings lead to, for people: `postgresql://localhost:5432/myapp`. */
export function describeAddress({ host, port, database = '' }: ConnectionSettings): string {
  if (host.startsWith('/')) return `postgresql:///${database}?host=${host}&port=${port}`
  return `postgresql://${isIP(host) === 6 ? `[${host}]` : host}:${port}/${database}`
}

function parseUrl(text: string): URL {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw invalid('does not begin with postgresql://')
  try {
    // Another scheme makes the parser treat the host as it does for http.
    return new URL(text.replace(/^postgres(ql)?:\/\//i, 'postgresql://'))
  } catch {
    throw invalid('cannot be parsed')
  }
}

function tlsAttempts(
  mode: string | undefined,
  host: string,
  parameter: (name: string) => string | undefined,
): readonly TlsAttempt[] {
  const files = { ca: file(parameter('sslrootcert')), cert: file(parameter('sslcert')), key: file(parameter('sslkey')) }
  const tls = (verify: 'none' | 'chain' | 'full'): TlsAttempt => ({ kind: 'tls', verify, ...files })
  const plain: TlsAttempt = { kind: 'plain', warn: false }
  switch (mode) {
    case undefined:
      return isNear(host) ? [tls('full'), { kind: 'plain', warn: true }] : [tls('full')]
    case 'disable':
      return [plain]
    case 'allow':
      return [plain, tls('none')]
    case 'prefer':
      return [tls('none'), plain]
    case 'no-verify':
      return [tls('none')]
    case 'require':
      return [tls(files.ca === undefined ? 'none' : 'chain')]
    case 'verify-ca':
      return [tls('chain')]
    case 'verify-full':
      return [tls('full')]
    default:
      throw invalid('has an unknown sslmode', 'Use disable, allow, prefer, require, verify-ca or verify-full.')
  }
}

/** Loopback, single-label and private addresses, where a server without TLS is usual. */
function isNear(host: string): boolean {
  if (isIP(host) === 0) return !host.includes('.')
  if (isIP(host) === 6) return host === '::1' || /^f[cd]/i.test(host)
  return /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.)/.test(host)
}

function file(path: string | undefined): string | undefined {
  if (path === undefined || path === 'system') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw invalid(`names a certificate or key file that cannot be read`)
  }
}

function invalid(what: string, hint = 'Write it like postgresql://user:password@host:5432/database.'): SyncError {
  return new SyncError('E_CONFIG', `The PostgreSQL connection string ${what}`, { hint })
}
