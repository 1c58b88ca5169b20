/** The command line is killed again and again while it follows changes; `npm run reliability -- kills` does it a thousand times. */
import { expect, test } from 'vitest'
import { killCycles } from '../reliability/kill-cycles.js'

const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)
const cycles = 17

test(`kill -9, ${cycles} times, mostly while it follows changes (KILL_SEED=${seed})`, {
  timeout: 480_000,
}, async () => {
  const { failures, killed, faults, watcher } = await killCycles({ seed, cycles, copyEvery: cycles })
  expect(failures).toEqual([])
  expect(killed.betweenParts + killed.following).toBeGreaterThan(0)
  expect(faults).toEqual({ postgresRestarts: 2, targetKills: 2, freezes: 1 })
  expect(watcher.consistentReads).toBeGreaterThan(0)
})
