import { describe, expect, it } from 'vitest'
import { decode, encode, publicJson, publicText } from '../../src/sources/postgres/position.js'

describe('positions of the audit table', () => {
  it.each(['postgresql:sequence:42', '42', ' 42 ', 'postgresql:42', 'sequence:42'])('reads %s', (text) => {
    expect(decode(text)).toEqual({ sequence: 42, highest: 42, gaps: [] })
  })

  it.each([
    '',
    'x',
    '-1',
    '4.2',
    'mysql:sequence:42',
    'postgresql:sequence:',
    '99999999999999999',
    '{"sequence":1}',
    '{',
  ])('refuses %j', (text) => {
    expect(() => decode(text)).toThrowError(expect.objectContaining({ code: 'E_CONFIG' }))
  })

  it('keeps the exact state', () => {
    const position = {
      sequence: 3,
      highest: 9,
      gaps: [[4, 5]] as const,
      identity: { system: '7', database: 5, timeline: 1 },
      structures: { '16384': 'abc' },
      at: '2026-01-01T00:00:00.000Z',
    }
    expect(decode(encode(position))).toEqual(position)
    expect(publicText(position)).toBe('postgresql:sequence:3')
    expect(publicJson(position)).toMatchObject({
      PostgreSQL: { sequence: 3, sequence_id: 3, highest: 9, gaps: [[4, 5]] },
    })
  })
})
