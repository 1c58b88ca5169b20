import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GapTracker } from '../../src/sources/postgres/gap-tracker.js'

const nobody: ReadonlySet<string> = new Set()

describe('GapTracker', () => {
  it('counts every visible number at once and stops N below a hole', () => {
    const tracker = new GapTracker(0)
    tracker.advance([], [1, 2, 5], 0)
    expect(tracker.highest).toBe(5)
    expect(tracker.sequence).toBe(2)
    expect(tracker.gaps).toMatchObject([{ low: 3, high: 4 }])
  })

  it('does not declare a gap dead at the poll that noticed it, nor at the next without a fence', () => {
    const tracker = new GapTracker(0)
    tracker.advance([], [2], 0)
    tracker.advance([], [3], 3)
    expect(tracker.sequence).toBe(0)
  })

  it('keeps a gap while one of the transactions that may own it is there, and drops it when none is', () => {
    const tracker = new GapTracker(0)
    tracker.advance([], [2], 0)
    tracker.fence(new Set(['v3/1', 'x700']))
    tracker.advance([], [], 2)
    expect(tracker.sequence).toBe(0)
    tracker.fence(new Set(['x700', 'v9/9']))
    tracker.advance([], [], 2)
    expect(tracker.sequence).toBe(0)
    tracker.fence(new Set(['v9/9']))
    tracker.advance([], [], 2)
    expect(tracker.sequence).toBe(2)
  })

  it('takes a number found late, and keeps what is still missing around it', () => {
    const tracker = new GapTracker(0)
    tracker.advance([], [10], 0)
    tracker.fence(new Set(['v1/1']))
    tracker.advance([4], [], 10)
    expect(tracker.gaps).toMatchObject([
      { low: 1, high: 3 },
      { low: 5, high: 9 },
    ])
  })

  it('keeps the part of a gap that was not searched', () => {
    const tracker = new GapTracker(0)
    tracker.advance([], [10], 0)
    tracker.fence(nobody)
    tracker.advance([1, 2, 3], [], 3)
    expect(tracker.gaps).toMatchObject([{ low: 4, high: 9 }])
    expect(tracker.sequence).toBe(3)
  })

  it('forgets suspects when it continues from a position', () => {
    const tracker = new GapTracker(9, [[4, 6]])
    expect(tracker.sequence).toBe(3)
    tracker.advance([], [], 9)
    expect(tracker.sequence).toBe(3)
    tracker.fence(nobody)
    tracker.advance([], [], 9)
    expect(tracker.sequence).toBe(9)
  })

  it('merges neighbours when there are very many gaps, and loses none', () => {
    const tracker = new GapTracker(0)
    tracker.advance(
      [],
      Array.from({ length: 20_050 }, (_, index) => (index + 1) * 2),
      0,
    )
    expect(tracker.gaps.length).toBeLessThanOrEqual(10_000)
    expect(tracker.sequence).toBe(0)
    const covered = tracker.gaps.reduce((sum, { low, high }) => sum + Math.ceil((high - low + 1) / 2), 0)
    expect(covered).toBe(20_050)
  })

  it('has a gap searched again only when a transaction that may own it has ended', () => {
    const tracker = new GapTracker(0)
    tracker.advance([], [10], 0)
    expect(tracker.unsearched).toHaveLength(1)
    tracker.fence(new Set(['v1/1', 'v2/1']))
    tracker.advance([], [], 10)
    expect(tracker.unsearched).toEqual([])
    tracker.fence(new Set(['v1/1', 'v2/1', 'v3/1']))
    expect(tracker.unsearched).toEqual([])
    tracker.fence(new Set(['v1/1', 'v3/1']))
    expect(tracker.unsearched).toHaveLength(1)
    tracker.advance([5], [], 10)
    expect(tracker.gaps).toMatchObject([
      { low: 1, high: 4, searched: true },
      { low: 6, high: 9, searched: true },
    ])
  })

  it('loses no number, whatever the order of commits (model: each number is open, visible or rolled back)', async () => {
    const step = fc.record({
      takes: fc.integer({ min: 0, max: 4 }),
      ends: fc.array(fc.tuple(fc.nat(), fc.boolean()), { maxLength: 4 }),
    })
    await fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (steps, pageSize) => {
        const tracker = new GapTracker(0)
        const open = new Map<number, string>()
        const visible = new Set<number>()
        const seen = new Set<number>()
        let next = 1
        const releasing = new Set<string>()
        const poll = (meanwhile: () => void = () => {}) => {
          // A commit is visible before its locks are gone.
          if (tracker.gaps.length > 0) tracker.fence(new Set([...open.values(), ...releasing]))
          releasing.clear()
          meanwhile()
          tracker.doubt(new Set(open.values()))
          const late = tracker.unsearched
            .flatMap(({ low, high }) => Array.from({ length: high - low + 1 }, (_, index) => low + index))
            .filter((number) => visible.has(number))
          const page = late.slice(0, pageSize)
          const cut = page.length < late.length
          const fresh = cut
            ? []
            : [...visible]
                .filter((number) => number > tracker.highest)
                .sort((a, b) => a - b)
                .slice(0, pageSize)
          for (const number of [...page, ...fresh]) seen.add(number)
          tracker.advance(page, fresh, cut ? (page.at(-1) ?? 0) : tracker.highest)
          for (let number = 1; number <= tracker.sequence; number++) {
            if (visible.has(number) && !seen.has(number)) throw new Error(`${number} is below N and was not seen`)
            if (open.has(number)) throw new Error(`${number} is below N and still open`)
          }
          const left = [...visible].find((number) => !seen.has(number))
          const drained = !cut && fresh.length < pageSize
          if (drained && left !== undefined) throw new Error(`${left} is visible and was left out of a drained delta`)
        }
        for (const { takes, ends } of steps) {
          for (let count = 0; count < takes; count++) open.set(next, `x${next++}`)
          const end = ([which, commits]: readonly [number, boolean]) => {
            const number = [...open.keys()][which % Math.max(open.size, 1)]
            if (number === undefined) return
            releasing.add(open.get(number) ?? '')
            open.delete(number)
            if (commits) visible.add(number)
          }
          const half = Math.floor(ends.length / 2)
          ends.slice(0, half).forEach(end)
          poll(() => ends.slice(half).forEach(end))
        }
        for (const number of [...open.keys()]) visible.add(number)
        open.clear()
        for (let count = 0; count < next + 5; count++) poll()
        expect([...seen].sort((a, b) => a - b)).toEqual([...visible].sort((a, b) => a - b))
        expect(tracker.gaps).toEqual([])
      }),
      { numRuns: 500 },
    )
  })
})
