/** A crash at every call that crosses a boundary, and at every call of the run that recovers from it. */
import { type Crash, countCalls, live, type Setting, settings } from './crash-life.js'
import type { Section } from './section.js'

/** Most of a run is waiting for the next turn of the event loop. */
const livesAtOnce = 16

interface Tally {
  readonly calls: number
  readonly singles: number
  readonly pairs: number
  readonly failures: readonly string[]
}

export const crashes: Section = async ({ short, log }) => {
  const tallies: [name: string, Tally][] = []
  for (const setting of settings) {
    const tally = await crashEverywhere(setting, short)
    tallies.push([setting.name, tally])
    log(`${setting.name}: ${tally.calls} calls, ${tally.singles} single crashes, ${tally.pairs} pairs`)
  }
  const sum = (count: (tally: Tally) => number) => tallies.reduce((total, [, tally]) => total + count(tally), 0)
  const failures = tallies.flatMap(([name, tally]) => tally.failures.map((failure) => `${name}: ${failure}`))
  return {
    what: `In process: a crash before and after every boundary call of five settings${short ? '' : ', and all pairs of such crashes, the second during the recovery from the first'}; a fresh run on what is left ends equal to the source.`,
    figures: {
      boundaryCalls: sum(({ calls }) => calls),
      boundaryCallsBySetting: Object.fromEntries(tallies.map(([name, { calls }]) => [name, calls])),
      singles: sum(({ singles }) => singles),
      pairs: sum(({ pairs }) => pairs),
      divergent: failures.length,
    },
    failures,
  }
}

/** Every second crash is tried until the recovery has no call left for it. */
async function crashEverywhere(setting: Setting, short: boolean): Promise<Tally> {
  const calls = await countCalls(setting)
  const firsts = Array.from({ length: calls }, (_, index) => index + 1).flatMap((call): Crash[] => [
    { call, when: 'before' },
    { call, when: 'after' },
  ])
  const failures: string[] = []
  const [left, counts] = [[...firsts], { singles: 0, pairs: 0 }]
  const attempt = async (...crashes: Crash[]) => {
    const outcome = await live(setting, crashes)
    if (outcome.failure !== undefined) failures.push(`${JSON.stringify(crashes)}: ${outcome.failure}`)
    return outcome.crashes
  }
  const work = async () => {
    for (let first = left.shift(); first !== undefined; first = left.shift()) {
      if ((await attempt(first)) === 1) counts.singles += 1
      else failures.push(`${JSON.stringify(first)}: the call was never made`)
      if (short) continue
      for (const when of ['before', 'after'] as const) {
        for (let call = 1; (await attempt(first, { call, when })) === 2; call += 1) counts.pairs += 1
      }
    }
  }
  await Promise.all(Array.from({ length: livesAtOnce }, work))
  return { calls, ...counts, failures }
}
