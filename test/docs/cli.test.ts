import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cliPage, helpOfAll } from './cli-page.js'
import { repository } from './markdown.js'

const all = await helpOfAll()

describe('the help of', () => {
  it('every command is found', () => {
    expect(all.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['surreal-sync', 'surreal-sync sync postgresql', 'surreal-sync demo']),
    )
  })

  it.each(all)('$name fits 80 columns and has an example', ({ name, text }) => {
    expect(text).toMatch(/^Usage: /)
    expect(text.split('\n').filter((line) => [...line].length > 80)).toEqual([])
    const [, examples = ''] = /^Examples?:\n([\s\S]+)$/m.exec(text) ?? []
    expect(examples).toContain(`$ ${name}`)
  })
})

it('every command that connects can log as JSON', () => {
  const connecting = all.filter(({ text }) => text.includes('--source-uri <uri>'))
  expect(connecting.length).toBeGreaterThan(10)
  expect(connecting.filter(({ text }) => !text.includes('--log-format <format>')).map(({ name }) => name)).toEqual([])
})

it('docs/cli.md is what the commands say: `npm run docs:cli` writes it', async () => {
  expect(readFileSync(join(repository, 'docs/cli.md'), 'utf8')).toBe(await cliPage())
})
