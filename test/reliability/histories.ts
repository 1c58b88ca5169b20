/** Many short random histories; one that fails is made shorter and printed with what repeats it. */
import { randomBytes } from 'node:crypto'
import { createDatabase, dropDatabase } from '../../src/demo/postgres-database.js'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { historyOf, type Step } from './history.js'
import { HistoryPlayer } from './history-player.js'
import type { Section } from './section.js'

/** A fresh database now and then: catalogs and audit tables grow. */
const historiesPerDatabase = 500
const historiesPerLine = 100
const shrinksMax = 40

export interface HistoriesPlayed {
  readonly played: number
  readonly steps: number
  /** Of what happened on the way. */
  readonly totals: Readonly<Record<string, number>>
  /** None, or one: the first ends it. */
  readonly failures: readonly string[]
  readonly surrealdb: string
}

export const histories: Section = async ({ seed, amount, log }) => {
  const runs = amount('runs', { long: 10_000, short: 300 })
  await using server = await startPostgres()
  const { played, steps, totals, failures, surrealdb } = await playHistories(server.url(), { seed, runs, log })
  return {
    what: 'Random histories of three sessions (commits, rollbacks, savepoints, moved and swapped keys, TRUNCATE, ALTER TABLE), with a reader whose sessions are killed, whose answers are lost, doubled or cut, and that is started again: after each, the target equals the source, and no record ever shows an older version.',
    figures: { histories: played, steps, failed: failures.length, ...totals },
    failures,
    versions: { postgresql: server.version, surrealdb },
  }
}

/** Plays the first histories of a seed. @param adminUrl Any database of the server, as a superuser. */
export async function playHistories(
  adminUrl: string,
  { seed, runs, log }: { readonly seed: number; readonly runs: number; readonly log: (line: string) => void },
): Promise<HistoriesPlayed> {
  const totals: Record<string, number> = {}
  const failures: string[] = []
  let [played, steps, surrealdb] = [0, 0, '']
  while (played < runs && failures.length === 0) {
    const name = `histories_${randomBytes(6).toString('hex')}`
    {
      await using player = await HistoryPlayer.open(await createDatabase(adminUrl, name))
      surrealdb = player.versions.surrealdb
      const last = Math.min(runs, played + historiesPerDatabase)
      while (played < last && failures.length === 0) {
        const history = historyOf(seed, played)
        const failure = await player.play(history).catch(String)
        if (failure !== undefined) {
          const smallest = await shrink(adminUrl, history)
          failures.push(`History ${played} of seed ${seed}: ${failure}; ${smallest}`)
        }
        played += 1
        steps += history.length
        if (played % historiesPerLine === 0) log(`${played} histories, ${steps} steps, ${failures.length} failed`)
      }
      for (const [what, count] of Object.entries(player.counts)) totals[what] = (totals[what] ?? 0) + count
    }
    await dropDatabase(adminUrl, name)
    log(`${played} histories, ${steps} steps, ${totals.lockWaits} lock waits, ${failures.length} failed`)
  }
  return { played, steps, totals, failures, surrealdb }
}

/** Leaves out what it fails without, as far as a few tries go: moments cannot be repeated. */
async function shrink(adminUrl: string, history: readonly Step[]): Promise<string> {
  let [smallest, tries, repeated] = [history, 0, false]
  const fails = async (steps: readonly Step[]) => {
    tries += 1
    const name = `histories_${randomBytes(6).toString('hex')}`
    try {
      await using player = await HistoryPlayer.open(await createDatabase(adminUrl, name))
      return (await player.play(steps).catch(String)) !== undefined
    } finally {
      await dropDatabase(adminUrl, name)
    }
  }
  for (let size = Math.ceil(history.length / 2); size >= 1 && tries < shrinksMax; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.length && tries < shrinksMax; ) {
      const without = [...smallest.slice(0, at), ...smallest.slice(at + size)]
      if (await fails(without)) {
        smallest = without
        repeated = true
      } else at += size
    }
  }
  return `${repeated ? 'made shorter' : 'it did not fail again when parts were left out'}: ${JSON.stringify(smallest)}`
}
