/** The bugs that are built in on purpose still fit the sources: `npm run reliability -- mutants` takes too long to say so. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { mutants } from '../reliability/mutants.js'

it.each(mutants.map(({ name, changes }) => ({ name, changes })))('$name', async ({ changes }) => {
  for (const { file, from } of changes) {
    const text = await readFile(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')
    expect(text.split(from), `${file} has the text once`).toHaveLength(2)
  }
})
