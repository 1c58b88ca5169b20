/** The same pipeline started twice, as processes; `npm run reliability -- twins` freezes one for a minute. */
import { expect, test } from 'vitest'
import { Twins } from '../reliability/twin-runs.js'

const [seed, freezeMs] = [Date.now() % 1_000_000, 500]

test('a second start under load is refused; with --takeover it ends the first one', async () => {
  await using twins = await Twins.open(seed)
  await twins.refuseAndTakeOver()
  expect(twins.failures).toEqual([])
})

test.each(['following', 'copying'] as const)(
  'one that was frozen while %s, and taken over, changes nothing when it wakes up',
  async (moment) => {
    await using twins = await Twins.open(seed)
    await twins.freezeAndTakeOver(moment, freezeMs)
    expect(twins.failures).toEqual([])
  },
)

test('after kill -9 the next one begins at once', async () => {
  await using twins = await Twins.open(seed)
  await twins.startAfterKill()
  expect(twins.failures).toEqual([])
})
