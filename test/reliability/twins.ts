/** The same pipeline started twice under load. */
import type { Section } from './section.js'
import { type Moment, Twins } from './twin-runs.js'

const moments: readonly Moment[] = ['following', 'copying']

export const twins: Section = async ({ seed, short, log }) => {
  const freezeMs = short ? 3_000 : 60_000
  const failures: string[] = []
  const scenario = async (name: string, run: (twins: Twins) => Promise<void>) => {
    await using pair = await Twins.open(seed)
    await run(pair)
    failures.push(...pair.failures.map((failure) => `${name}: ${failure}`))
    log(`${name}: ${pair.failures.length === 0 ? 'as it should be' : pair.failures.join(' ')}`)
    return pair.versions
  }
  const versions = await scenario('a second start, then --takeover', (pair) => pair.refuseAndTakeOver())
  for (const moment of moments) {
    await scenario(`frozen while ${moment}`, (pair) => pair.freezeAndTakeOver(moment, freezeMs))
  }
  await scenario('after kill -9', (pair) => pair.startAfterKill())
  return {
    what: 'The same pipeline started twice under load: without --takeover it ends with E_LEASE_HELD, with it the first run ends with E_LEASE_LOST; a run that was frozen while another took over ends with E_LEASE_LOST and leaves the target as it is, byte for byte; after kill -9 the next one begins at once. Both sides are equal at the end of each.',
    figures: {
      refusedStarts: 2,
      takeovers: 3,
      frozenRuns: moments.length,
      freezeSeconds: freezeMs / 1_000,
      startsAfterKill: 2,
    },
    failures,
    versions,
  }
}
