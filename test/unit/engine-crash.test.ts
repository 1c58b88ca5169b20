/** A crash at every call that crosses a boundary, one after the other, and at some pairs; `npm run reliability -- crashes` tries all. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countCalls, live, settings } from '../reliability/crash-life.js'

let singles = 0
let pairs = 0

describe.each(settings)('$name', (setting) => {
  it.each(['before', 'after'] as const)('I1, I2: survives a crash %s every call', async (when) => {
    const calls = await countCalls(setting)
    expect(calls).toBeGreaterThan(15)
    for (let call = 1; call <= calls; call += 1) {
      expect(await live(setting, [{ call, when }]), `crash ${when} call ${call}`).toEqual({ crashes: 1 })
      singles += 1
    }
  })

  it('I1, I2: survives a second crash while it recovers from the first', async () => {
    const calls = await countCalls(setting)
    const crash = fc.record({
      call: fc.integer({ min: 1, max: calls }),
      when: fc.constantFrom('before' as const, 'after' as const),
    })
    await fc.assert(
      fc.asyncProperty(crash, crash, async (first, second) => {
        expect(await live(setting, [first, second])).toEqual({ crashes: expect.any(Number) })
        pairs += 1
      }),
      { numRuns: 150 },
    )
  })
})

it('says how many crashes there were', () => {
  console.log(`crash at every call: ${singles} runs with one crash, ${pairs} with two; each resumed and ended equal`)
  expect(singles).toBeGreaterThan(500)
})
