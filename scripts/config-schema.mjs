// `npm run schema`: writes config.schema.json, which the package publishes for editors, from what the CLI checks by.
import { writeFileSync } from 'node:fs'
import { publishedSchema } from '../src/cli/config-schema.ts'

writeFileSync(new URL('../config.schema.json', import.meta.url), `${JSON.stringify(publishedSchema(), undefined, 2)}\n`)
