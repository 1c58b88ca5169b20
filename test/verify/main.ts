/**
 * `npm run test:verify -- [--rows 1000000]`
 *
 * Copies a table of so many rows by the command line, plants an error of every kind in the copy, and ends with 0 if `verify`
 * finds exactly those. Prints how long it took, and the largest resident set of the process that verified; SurrealDB is
 * another one.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { surrealSync } from '../e2e/command.js'
import { startSurreal } from '../support/surreal-server.js'
import { pipelineId, place, plantAndVerify, root } from './planted.js'

const copyMsMax = 3_600_000
const { values } = parseArgs({ options: { rows: { type: 'string', default: '1000000' } } })
const directory = await mkdtemp(join(tmpdir(), 'surreal-sync-verify-'))
try {
  await using postgres = await startPostgres()
  await using surreal = await startSurreal({ storage: `surrealkv://${join(directory, 'target')}` })
  const source = await postgres.createDatabase('planted')
  const flags = {
    '--source-uri': source,
    '--surreal-endpoint': surreal.ws,
    '--surreal-username': root.username,
    '--surreal-password': root.password,
    '--to-namespace': place.namespace,
    '--to-database': place.database,
    '--id': pipelineId,
  }
  const report = await plantAndVerify({
    ...{ source, target: surreal.ws, rows: Number(values.rows) },
    copy: async () => {
      const arguments_ = ['full', 'postgresql', '--quiet', ...Object.entries(flags).flat()]
      const { code, stderr } = await surrealSync(arguments_, { cwd: directory, timeoutMs: copyMsMax })
      if (code !== 0) throw new Error(`The copy failed: ${stderr}`)
    },
  })
  const { kinds, expected, found, rows, durationMs, rss } = report
  console.log(`${kinds.length} changes were made in the copy of ${rows} rows:\n  ${kinds.join('\n  ')}`)
  console.log(`verify found in ${(durationMs / 1_000).toFixed(1)} s:\n  ${found.join('\n  ')}`)
  console.log(`resident set: ${rss.before} MB before, at most ${rss.max} MB`)
  const right = JSON.stringify(found) === JSON.stringify(expected)
  console.log(right ? 'Exactly what was planted.' : `Expected:\n  ${expected.join('\n  ')}`)
  if (!right) process.exitCode = 1
} finally {
  await rm(directory, { recursive: true, force: true })
}
