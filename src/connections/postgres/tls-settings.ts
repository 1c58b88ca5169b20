/** `sslmode` and its files → what is tried, in order. Nothing of it is left to the driver. */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import { SyncError } from '../../core/errors.js'
import { isNearHost } from '../../core/near-host.js'

/** Whether a connection is encrypted, and what of the server is verified, as libpq has it. */
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'no-verify' | 'verify-ca' | 'verify-full'

const sslModes: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full']

/** TLS to PostgreSQL. What is missing is taken from the connection string, then from PGSSLMODE and so on. */
export interface PostgresTlsOptions {
  /**
   * As libpq means it: `prefer` and `require` take any certificate unless there is an authority, then one of that authority
   * for whatever host; so does `verify-ca`; `verify-full` also compares the host. `no-verify` takes any certificate.
   * @defaultValue verified in full where the server offers TLS; where it does not, hosts near by are used without
   */
  readonly mode?: SslMode
  /** The certificate of the authority: PEM, or the path of a file; `system` for those that Node.js trusts. */
  readonly ca?: string
  /** The client's certificate: PEM, or the path of a file. */
  readonly cert?: string
  /** Its key: PEM, or the path of a file that nobody else may read. */
  readonly key?: string
  /** The password of an encrypted key. */
  readonly passphrase?: string
}

/** One way to connect. */
export type TlsAttempt =
  | { readonly kind: 'plain'; readonly warning?: string; readonly next: Next }
  | {
      readonly kind: 'tls'
      readonly verify: 'none' | 'chain' | 'full'
      /** Made anew for each connection: files of short-lived certificates are replaced while a run goes on. */
      readonly context: () => SecureContext
      readonly warning?: string
      readonly next: Next
    }

/** After which failure the next way is tried: that no TLS is offered, or any that is about encryption. */
type Next = 'never' | 'not offered' | 'refused'

type Environment = { readonly [name: string]: string | undefined }

/**
 * See https://www.postgresql.org/docs/current/libpq-ssl.html
 * @param host For sockets, which are never encrypted, a path.
 * @throws SyncError `E_CONFIG`
 */
export function tlsAttempts(
  host: string,
  options: PostgresTlsOptions,
  environment: Environment,
): readonly TlsAttempt[] {
  const { mode } = options
  if (mode !== undefined && !sslModes.includes(mode)) {
    throw invalid('an unknown sslmode', `Use ${sslModes.slice(0, -1).join(', ')} or ${sslModes.at(-1)}.`)
  }
  if (host.startsWith('/')) return [{ kind: 'plain', next: 'never' }]
  const files = { ...defaultFiles(environment), ...present(options) }
  const weak = mode !== undefined && mode !== 'verify-full' && mode !== 'disable'
  if (files.ca === 'system' && weak) {
    throw invalid('sslrootcert=system with a weak sslmode', 'Those authorities certify anybody: use verify-full.')
  }
  // Once at the beginning, so that a wrong file is known before anything is connected to.
  if (mode !== 'disable' && (files.ca ?? files.cert ?? files.key) !== undefined) secureContext(files)
  return attempts(mode, host, files)
}

function attempts(mode: SslMode | undefined, host: string, files: PostgresTlsOptions): readonly TlsAttempt[] {
  const near = isNearHost(host)
  const chain = files.ca === undefined ? 'none' : 'chain'
  const plain = (next: Next = 'never'): TlsAttempt => ({
    kind: 'plain',
    next,
    ...(near ? {} : { warning: `sslmode=${mode}: the connection to PostgreSQL at ${host} is not encrypted` }),
  })
  const tls = (verify: 'none' | 'chain' | 'full', next: Next = 'never'): TlsAttempt => ({
    kind: 'tls',
    verify,
    next,
    context: () => secureContext(verify === 'none' ? { ...files, ca: undefined } : files),
    ...(near || verify !== 'none'
      ? {}
      : { warning: `sslmode=${mode}: nothing proves that it is PostgreSQL at ${host} that answers` }),
  })
  const nothing = `PostgreSQL at ${host} offers no TLS: the connection is not encrypted`
  switch (mode) {
    case undefined:
      return near ? [tls('full', 'not offered'), { kind: 'plain', warning: nothing, next: 'never' }] : [tls('full')]
    case 'disable':
      return [plain()]
    case 'allow':
      return [plain('refused'), tls(chain)]
    case 'prefer':
      return [tls(chain, 'refused'), plain()]
    case 'no-verify':
      return [tls('none')]
    case 'require':
      return [tls(chain)]
    case 'verify-ca':
      return [tls('chain')]
    case 'verify-full':
      return [tls('full')]
  }
}

/** Those that libpq looks for, as far as they are there. */
function defaultFiles(environment: Environment): PostgresTlsOptions {
  const folder = userFolder(environment)
  if (folder === undefined) return {}
  const found = (name: string) => (isThere(join(folder, name)) ? join(folder, name) : undefined)
  const [ca, cert, key] = ['root.crt', 'postgresql.crt', 'postgresql.key'].map(found)
  return { ca, ...(cert === undefined ? {} : { cert, key }) }
}

/** Where libpq keeps a user's files for TLS. */
function userFolder({ HOME, APPDATA }: Environment): string | undefined {
  if (process.platform === 'win32') return APPDATA && join(APPDATA, 'postgresql')
  return HOME && join(HOME, '.postgresql')
}

function secureContext({ ca, cert, key, passphrase }: PostgresTlsOptions): SecureContext {
  const content = {
    ca: ca === 'system' ? undefined : pem(ca, 'sslrootcert'),
    cert: pem(cert, 'sslcert'),
    key: pem(key, 'sslkey'),
  }
  try {
    return createSecureContext({ ...content, passphrase })
  } catch (cause) {
    throw invalid(
      'certificates or keys that cannot be used',
      'See sslrootcert, sslcert, sslkey and sslpassword.',
      cause,
    )
  }
}

function pem(given: string | undefined, name: string): string | undefined {
  if (given === undefined || given.includes('-----BEGIN')) return given
  if (name === 'sslkey') refuseOpen(given)
  try {
    return readFileSync(given, 'utf8')
  } catch (cause) {
    throw invalid(`a file that cannot be read for ${name}`, 'Check the path and the rights.', cause)
  }
}

function refuseOpen(path: string): void {
  if (process.platform === 'win32') return
  const found = statOf(path)
  if (found === undefined || (found.mode & (found.uid === 0 ? 0o037 : 0o077)) === 0) return
  throw invalid('a key that others can read for sslkey', 'Make it yours alone: chmod 600.')
}

function isThere(path: string): boolean {
  return statOf(path)?.isFile() === true
}

/** What may not be looked at, in a home directory of somebody else, is as good as not there. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function present(options: PostgresTlsOptions): PostgresTlsOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== ''))
}

function invalid(what: string, hint: string, cause?: unknown): SyncError {
  return new SyncError('E_CONFIG', `The PostgreSQL connection has ${what}`, { hint, cause })
}
