/** Users of the command line read of flags, users of the library of options; nobody of both. */
import { expect, it } from 'vitest'
import { inFlags } from '../../src/cli/flag-names.js'

it.each([
  ['Check `tables`; names are case-sensitive.', 'Check --tables; names are case-sensitive.'],
  ["It has records that `existing: 'keep'` protects", 'It has records that --existing keep protects'],
  ['Start at 7, or start there on purpose with `replay`.', 'Start at 7, or start there on purpose with --replay.'],
  ['Leave one of them out, or give it another name with `tableName`.', 'Leave one of them out.'],
  ['Leave the table out, or raise `maxRowBytes`.', 'Leave the table out.'],
  ['Nothing is named here, or there.', 'Nothing is named here, or there.'],
  ['The table `constructor` is not an option', 'The table `constructor` is not an option'],
])('%s', (said, printed) => {
  expect(inFlags(said)).toBe(printed)
})
