/** The operating system account a throw-away PostgreSQL runs as. */
import { readFile } from 'node:fs/promises'

/** An account of this machine, in the form `child_process` takes it. */
export interface PostgresAccount {
  readonly uid: number
  readonly gid: number
}

const accountNames = ['postgres', 'nobody', 'daemon']

/**
 * Finds the account to run PostgreSQL as: `undefined`, meaning the current one, unless that is root, which PostgreSQL
 * refuses. Then it is the first of `postgres`, `nobody` and `daemon` that exists; no account is ever created.
 *
 * @throws Error when running as root on a machine that has none of these accounts.
 */
export async function findAccount(): Promise<PostgresAccount | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const accounts = parseAccounts(await readFile('/etc/passwd', 'utf8'))
  for (const name of accountNames) {
    const account = accounts.get(name)
    if (account !== undefined) return account
  }
  throw new Error(`PostgreSQL refuses to run as root and this machine has no account ${accountNames.join(', ')}.`)
}

/** Reads the format of passwd(5): `name:password:uid:gid:…`; accounts whose ids are not positive are left out. */
function parseAccounts(passwd: string): ReadonlyMap<string, PostgresAccount> {
  const accounts = new Map<string, PostgresAccount>()
  for (const line of passwd.split('\n')) {
    const [name = '', , uid, gid] = line.split(':')
    const account = { uid: Number(uid), gid: Number(gid) }
    if (account.uid > 0 && account.gid > 0) accounts.set(name, account)
  }
  return accounts
}
