/** The list of faults is complete, and names tests that exist. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readPage, repository } from './markdown.js'

/** How many faults there are of each kind. */
const counts = { S: 19, D: 9, C: 10, T: 12 } as const

const { text } = readPage('docs/reliability.md')
const rows = [...text.matchAll(/^\| ([A-Z]\d\d) \| (.+) \| (.+) \| (.*)\|$/gm)].map(
  ([, id = '', , then = '', shown = '']) => ({
    id,
    then,
    tests: [...shown.matchAll(/`(test\/[^`]+)`: “([^”]+)”/g)].map(([, file = '', title = '']) => ({ file, title })),
    named: shown.split('`test/').length - 1,
  }),
)

it('has a row for each fault', () => {
  const ids = Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, index) => `${kind}${String(index + 1).padStart(2, '0')}`),
  )
  expect(rows.map(({ id }) => id)).toEqual(ids)
})

it.each(rows)('$id is shown by tests that exist, or says why not', ({ then, tests, named }) => {
  expect(tests).toHaveLength(named)
  if (tests.length === 0) expect(then).toMatch(/^Not tested.{80}/)
  for (const { file, title } of tests) expect(isTitleIn(file, title), `${file}: ${title}`).toBe(true)
})

/** As the title of a test is written there: of a table of cases with its placeholders. */
function isTitleIn(file: string, title: string): boolean {
  const source = readFileSync(join(repository, file), 'utf8')
  const literal = title.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')
  return new RegExp(`\\(\\s*(['"\`])${literal}\\1,`).test(source)
}
