/** Every error code has an entry that says whether it passes by itself, and there is no entry for a code that is gone. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { SyncError, type SyncErrorCode } from '../../src/core/errors.js'
import { readPage, repository } from './markdown.js'

const source = readFileSync(join(repository, 'src/core/errors.ts'), 'utf8')
const codes = [...source.matchAll(/^ {2}(E_[A-Z_]+): (?:true|false),$/gm)].map(([, code = '']) => code)
const { text } = readPage('docs/troubleshooting.md')
const entries = new Map(
  [...text.matchAll(/^### (E_[A-Z_]+)\n\n([\s\S]*?)(?=\n#|$(?![\s\S]))/gm)].map(([, code = '', entry = '']) => [
    code,
    entry,
  ]),
)

it('has one entry for each code, in the order of the codes', () => {
  expect(codes.length).toBeGreaterThan(30)
  expect([...entries.keys()]).toEqual(codes)
})

it('says of exactly those codes that are retryable that they are tried again', () => {
  const said = [...entries].filter(([, entry]) => entry.startsWith('Tried again.')).map(([code]) => code)
  expect(said).toEqual(codes.filter((code) => new SyncError(code as SyncErrorCode, '').retryable))
})
