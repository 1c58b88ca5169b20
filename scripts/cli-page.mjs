// `npm run docs:cli`: writes docs/cli.md from what every command says of itself.
import { writeFileSync } from 'node:fs'
import { cliPage } from '../test/docs/cli-page.ts'

writeFileSync(new URL('../docs/cli.md', import.meta.url), await cliPage())
