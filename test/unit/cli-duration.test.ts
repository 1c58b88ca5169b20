import { describe, expect, it } from 'vitest'
import { parseDuration } from '../../src/cli/duration.js'
import { formatCount, formatDuration, formatExactly, formatRate } from '../../src/cli/figures.js'

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['90s', 90_000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['3600', 3_600_000],
    ['1.5h', 5_400_000],
    [' 1M ', 60_000],
    ['0.5', 500],
  ])('may be written %s', (text, durationMs) => {
    expect(parseDuration(text, '--timeout')).toBe(durationMs)
  })

  it.each([
    '',
    '1 m',
    'm',
    '1w',
    '-1s',
    '1e3',
    '1m30s',
    '0',
    '0ms',
    '0.0001ms',
    'NaN',
    'Infinity',
    '367d',
    '9'.repeat(40),
  ])('is not %j', (text) => {
    expect(() => parseDuration(text, '--timeout')).toThrow(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining('--timeout') }),
    )
  })
})

describe('figures', () => {
  it('are short', () => {
    expect([0, 999, 9_999, 10_000, 12_345, 999_949, 999_950, 4_600_000, 2e9, 3e12].map(formatCount)).toEqual([
      ...['0', '999', '9,999', '10.0k', '12.3k', '999.9k', '1.0M', '4.6M', '2.0G', '3.0T'],
    ])
    expect([12, 2_100, 59_949, 59_950, 185_000, 7_440_000, 90_000_000].map(formatDuration)).toEqual([
      ...['12 ms', '2.1 s', '59.9 s', '1 min 0 s', '3 min 5 s', '2 h 4 min', '1 d 1 h'],
    ])
    expect([0, 0.2, 9.94, 9.96, 54_900].map(formatRate)).toEqual(['0/s', '0.2/s', '9.9/s', '10/s', '54.9k/s'])
    expect([1, 1_234, 1_234_567].map(formatExactly)).toEqual(['1', '1,234', '1,234,567'])
  })
})
