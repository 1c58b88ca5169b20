/** The command line is killed while it copies, under load: what was finished is not copied again. */
import { expect, test } from 'vitest'
import { killCycles } from '../reliability/kill-cycles.js'

const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)
const [cycles, copyEvery] = [8, 2]

test(`kill -9, ${cycles} times, mostly while it copies (KILL_SEED=${seed})`, { timeout: 480_000 }, async () => {
  const { failures, killed, resumedCopies } = await killCycles({ seed, cycles, copyEvery })
  expect(failures).toEqual([])
  expect(killed.copying).toBeGreaterThan(1)
  expect(resumedCopies).toBeGreaterThan(0)
})
