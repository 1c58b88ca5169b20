/**
 * Random histories of several sessions against both databases: see test/reliability. `SEED` repeats a run, `HISTORIES` makes it
 * longer, as `npm run reliability -- histories` does.
 */
import { expect, inject, it } from 'vitest'
import { playHistories } from '../reliability/histories.js'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
const runs = Number(process.env.HISTORIES ?? 300)

it(`leave target and source equal (SEED=${seed})`, { timeout: 300_000 }, async () => {
  const { totals, steps, failures } = await playHistories(inject('postgresUrl'), { seed, runs, log: () => undefined })
  console.log(`histories: ${runs}, ${steps} steps, ${JSON.stringify(totals)}, SEED=${seed}`)
  expect(failures).toEqual([])
})
