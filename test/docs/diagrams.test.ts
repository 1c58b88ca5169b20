/** The pictures in the guides are those that the script draws, and every one is shown somewhere. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { readPages, repository } from './markdown.js'

const folder = join(repository, 'docs/images')

it('pictures are as `npm run diagrams` draws them, small, and without anything from elsewhere', async () => {
  const script: unknown = await import(pathToFileURL(join(repository, 'scripts/diagrams.mjs')).href)
  const { diagrams } = script as { readonly diagrams: Readonly<Record<string, string>> }
  const names = Object.keys(diagrams).map((name) => `${name}.svg`)
  const drawn = readdirSync(folder).filter((name) => name.endsWith('.svg'))
  expect(drawn.sort()).toEqual([...names].sort())
  const shown = readPages().flatMap(({ links }) => links)
  for (const [name, text] of Object.entries(diagrams)) {
    expect(readFileSync(join(folder, `${name}.svg`), 'utf8')).toBe(text)
    expect(text.length).toBeLessThan(8_000)
    expect(text.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(/https?:|<script|@import/)
    expect(shown).toContain(`images/${name}.svg`)
  }
})
