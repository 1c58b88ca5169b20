// Empties dist: the builds of tsup.config.ts run side by side, so none of them may clean for itself.
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

rmSync(fileURLToPath(new URL('../dist', import.meta.url)), { recursive: true, force: true })
