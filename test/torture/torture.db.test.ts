/** The short form of `npm run torture`. On a failure, run that with the seed that is printed. */
import { expect, inject, it } from 'vitest'
import { describeReport } from './report.js'
import { torture } from './torture.js'

it('loses nothing under writers, rewrites, truncations and restarts, and would notice if it did', async () => {
  const seed = Number(process.env.TORTURE_SEED ?? Date.now() % 1_000_000)
  const report = await torture({
    ...{ adminUrl: inject('postgresUrl'), seed, seconds: 8, secondsMax: 120, writers: 20, thinkMs: 80 },
    ...{ short: true, withMutants: true },
  })
  const { lines, passed } = describeReport(report)
  expect(passed, lines.join('\n')).toBe(true)
}, 180_000)
