import { describe, expect, it } from 'vitest'
import { embedded } from '../../src/observe/embedded.js'
import { History } from '../../src/observe/history.js'

describe('the history', () => {
  it('spans a run of any length in a bounded number of points, without losing rows or peaks of lag', () => {
    const history = new History()
    const seconds = 20_000
    let joins = 0
    let most = 0
    for (let second = 1; second <= seconds; second += 1) {
      const lagMs = second === 4_321 ? 99_000 : second < 100 ? undefined : 10
      if (history.add({ at: second * 1_000, rowsPerSecond: second % 2 === 0 ? 100 : 300, lagMs })) joins += 1
      most = Math.max(most, history.samples.length)
    }
    expect(joins).toBe(6)
    expect(most).toBe(599)
    expect(history.span).toBe(64)
    expect(history.samples.length).toBe(Math.floor(seconds / 64))
    for (const { rowsPerSecond } of history.samples) expect(rowsPerSecond).toBe(200)
    expect(Math.max(...history.samples.map(({ lagMs = 0 }) => lagMs))).toBe(99_000)
    expect(history.samples[0]?.lagMs).toBeUndefined()
    const times = history.samples.map(({ at }) => at)
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })
})

/** What the page works out, without a browser. */
const logic = new Function('globalThis', `${embedded.logic}\nreturn globalThis.logic`)({})

describe('the page', () => {
  it.each([
    [0, '0'],
    [9_999, '9,999'],
    [12_345, '12.3k'],
    [999_949, '999.9k'],
    [4_600_000, '4.6M'],
  ])('writes %d as %s', (value, text) => expect(logic.count(value)).toBe(text))

  it.each([
    [12, '12 ms'],
    [2_100, '2.1 s'],
    [59_960, '1 min 0 s'],
    [7_440_000, '2 h 4 min'],
    [263_000_000, '3 d 1 h'],
  ])('writes %d ms as %s', (value, text) => expect(logic.duration(value)).toBe(text))

  it('ends axes at round numbers', () => {
    expect([0, 0.3, 1, 7, 11, 50, 51, 49_000].map(logic.niceCeiling)).toEqual([1, 0.5, 1, 10, 20, 50, 100, 50_000])
  })

  it('draws curves in their box, and breaks them where nothing is known', () => {
    const points = [1, 2, undefined, 4, 5].map((value, index) => ({ at: index * 1_000, value }))
    const { curve, area } = logic.paths(points, { width: 100, height: 50, top: 5 })
    expect(curve).toBe('M0.0 40.0L25.0 30.0M75.0 10.0L100.0 0.0')
    expect(area).toBe('M0.0 40.0L25.0 30.0L25.0 50L0.0 50ZM75.0 10.0L100.0 0.0L100.0 50L75.0 50Z')
    expect(logic.nearest(points, 40, 100).point.value).toBe(2)
    expect(logic.paths([], { width: 1, height: 1, top: 1 })).toEqual({ curve: '', area: '' })
  })

  it('knows how much of a table is copied only where the estimate holds', () => {
    expect(logic.share({ state: 'done', rows: 3 })).toBe(1)
    expect(logic.share({ state: 'running', rows: 25, expected: 100 })).toBe(0.25)
    expect(logic.share({ state: 'running', rows: 250, expected: 100 })).toBeUndefined()
    expect(logic.share({ state: 'running', rows: 9, chunks: { done: 1, total: 4 } })).toBe(0.25)
  })

  it('says in a word how a run is', () => {
    expect(logic.stateOf({ state: 'incremental', ready: true, lagMs: 0 })).toEqual(['in step', 'good'])
    expect(logic.stateOf({ state: 'incremental', ready: false, lagMs: 90_000 })).toEqual(['behind', 'warn'])
    expect(logic.stateOf({ state: 'failed', error: 'E_AUTH' })).toEqual(['failed: E_AUTH', 'bad'])
  })
})
