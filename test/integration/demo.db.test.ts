import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { processesOf } from '../support/processes.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
