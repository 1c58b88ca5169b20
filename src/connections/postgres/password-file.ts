/** `~/.pgpass`, as libpq reads it: https://www.postgresql.org/docs/current/libpq-pgpass.html */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SyncError } from '../../core/errors.js'

interface Login {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** Where it is. */
export function passwordFile(environment: { readonly [name: string]: string | undefined }): string | undefined {
  const { PGPASSFILE, HOME, APPDATA } = environment
  if (PGPASSFILE) return PGPASSFILE
  if (process.platform === 'win32') return APPDATA && join(APPDATA, 'postgresql', 'pgpass.conf')
  return HOME && join(HOME, '.pgpass')
}

/**
 * The password of the first line that fits. Undefined: there is none, or no such file.
 * @throws SyncError `E_CONFIG` if others can read the file
 */
export async function findPassword(path: string, login: Login): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() !== true) return undefined
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    throw new SyncError('E_CONFIG', 'The file with passwords for PostgreSQL can be read by others, so it is not used', {
      hint: `Make it yours alone: chmod 600 ${path}`,
    })
  }
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new SyncError('E_CONFIG', 'The file with passwords for PostgreSQL cannot be read', { cause })
  })
  // Those who connect by a socket have no host name.
  const host = login.host.startsWith('/') ? 'localhost' : login.host
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const fields = fieldsOf(line)
    const [password] = fields.slice(4)
    const wanted = [host, String(login.port), login.database, login.user]
    const fits = (field: string | undefined, index: number) => fields[index] === '*' || fields[index] === field
    const socket = fields[0] === login.host
    if (password !== undefined && wanted.every((field, index) => (index === 0 && socket) || fits(field, index))) {
      return password
    }
  }
  return undefined
}

/** Between colons; a backslash stands before a colon or a backslash that belongs to the text. */
function fieldsOf(line: string): readonly string[] {
  const fields = ['']
  for (const [part, escaped] of line.matchAll(/\\(.)|:|[^\\:]+|\\/g)) {
    if (part === ':' && fields.length < 5) fields.push('')
    else fields.push(`${fields.pop() ?? ''}${escaped ?? part}`)
  }
  return fields
}
