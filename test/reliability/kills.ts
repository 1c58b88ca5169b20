/** `kill -9` of the command under load. */
import { killCycles } from './kill-cycles.js'
import type { Section } from './section.js'

/** So that about a third are killed while they copy. */
const copyEvery = 5

export const kills: Section = async ({ seed, amount, log }) => {
  const cycles = amount('cycles', { long: 1_000, short: 25 })
  const minutesMax = amount('minutes', { long: Number.POSITIVE_INFINITY, short: Number.POSITIVE_INFINITY })
  const { failures, versions, ...figures } = await killCycles({ seed, cycles, copyEvery, minutesMax, log })
  const { watcher, ...counts } = figures
  return {
    what: 'kill -9 of the command line under load, in both phases, at a random moment of up to 1.5 s after its first line, after a part of a copy, after it went on with a copy, or after its first delta; of ten cycles one each with PostgreSQL stopped immediately and started again, with the target killed and started again, with the command frozen first. At every 25th and at the end the load stops, and both sides have to be equal; a reader polls the target all the time.',
    figures: {
      ...counts,
      watcher: { ...watcher, consistentShare: Math.round((1_000 * watcher.consistentReads) / watcher.reads) / 1_000 },
    },
    failures,
    versions,
  }
}
