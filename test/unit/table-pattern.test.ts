import { describe, expect, it } from 'vitest'
import { TablePattern } from '../../src/sources/postgres/table-pattern.js'

describe('a pattern of table names', () => {
  it.each([
    ['users', 'public', 'users', true],
    ['users', 'public', 'Users', false],
    ['user?', 'public', 'users', true],
    ['user?', 'public', 'user', false],
    ['*', 'a', 'b', true],
    ['*a*b*', 'x', 'caxxbz', true],
    ['*ab', 'x', 'aab', true],
    ['sales.*', 'sales', 'x', true],
    ['sales.*', 'Sales', 'x', false],
    ['"sales.x"', 'public', 'sales.x', true],
    ['"a*"', 'public', 'ab', false],
    ['"a*"', 'public', 'a*', true],
    ['"say ""x"""."?"', 'say "x"', '?', true],
    ['pre"fix".x', 'prefix', 'x', true],
    ['a.b.c', 'a', 'b.c', false],
    ['?', 'public', '🎉', true],
    ['', 'public', '', true],
  ])('%s against %s.%s: %s', (pattern, schema, name, expected) => {
    expect(new TablePattern(pattern).matches(schema, name)).toBe(expected)
  })

  it('knows whether it names one table', () => {
    expect(new TablePattern('a.b').literal).toBe(true)
    expect(new TablePattern('"*"').literal).toBe(true)
    expect(new TablePattern('a.*').literal).toBe(false)
  })

  it('takes no time to speak of, whatever it is', () => {
    const started = performance.now()
    expect(new TablePattern(`${'*a'.repeat(2_000)}b`).matches('public', 'a'.repeat(4_000))).toBe(false)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})
