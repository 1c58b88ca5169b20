import { describe, expect, it } from 'vitest'
import { tokensOf } from '../../src/sources/postgres/sql-tokens.js'

const textsOf = (sql: string) => {
  const tokens = tokensOf(sql)
  return typeof tokens === 'string'
    ? tokens
    : tokens.map(({ kind, text }) => (kind === 'string' ? "''" : text)).join(' ')
}

describe('tokens of SQL', () => {
  it.each([
    ['a and (b > 1.5e3)', 'a and ( b > 1.5e3 )'],
    ['"A ""b""" = Name', 'A "b" = name'],
    [`x = 'a '' ) ('`, `x = ''`],
    [`x = E'a \\' )' and y`, `x = '' and y`],
    [`e'a'\n  '\\' )' and y`, `'' and y`],
    ['x = $q$ ) $$ ( $q$ and $$)$$ = y', "x = '' and '' = y"],
    ['a$$b', 'a$$b'],
    [`date'2024-01-01' < day`, `date '' < day`],
    ['größe > 1', 'größe > 1'],
    ['', ''],
  ])('%j', (sql, expected) => {
    expect(textsOf(sql)).toBe(expected)
  })

  it.each([
    ['a -- b', 'it contains a comment'],
    ['a /* b */', 'it contains a comment'],
    [`a = 'b`, 'it contains a quote that is not closed'],
    ['"a', 'it contains a quote that is not closed'],
    ['""', 'it contains a quote that is not closed'],
    [`a\0`, 'it contains a quote that is not closed'],
  ])('%j is refused', (sql, expected) => {
    expect(tokensOf(sql)).toBe(expected)
  })
})
