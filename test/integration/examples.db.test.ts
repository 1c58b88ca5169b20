/** Runs the programs in examples/ as their READMEs say. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Shell } from '../support/shell.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))

let database: TestDatabase
let surreal: SurrealServer
let shell: Shell

beforeAll(async () => {
  database = await createDatabase()
  surreal = await startSurreal()
  shell = await Shell.open()
  const client = await database.client()
  await client.query(`create table users (id bigint primary key, photo bytea);
    insert into users select i, '\\x00ff' from pg_catalog.generate_series(1, 20) i`)
})

afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await surreal.stop()
  await database[Symbol.asyncDispose]()
})

function start(example: string, environment: Readonly<Record<string, string>>) {
  const program = join(repository, 'examples', example, 'index.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    cwd: repository,
    env: { ...process.env, DATABASE_URL: database.url, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output.stdout += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    output.stderr += part
  })
  return { child, output, ended: once(child, 'close') }
}

describe('examples', () => {
  it('custom-sink writes every row', async () => {
    const { output, ended } = start('custom-sink', {})
    const [code] = await ended
    expect(code, output.stderr).toBe(0)
    const lines = output.stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    expect(lines).toHaveLength(21)
    expect(lines).toContainEqual({ op: 'upsert', table: 'public.users', row: { id: 7, photo: 'AP8=' } })
    expect(output.stderr).toMatch(/^20 rows$/m)
  })

  it('embed reports its health, and ends on SIGTERM', async () => {
    const { child, output, ended } = start('embed', {
      SURREAL_URL: surreal.ws,
      PORT: '0',
      CHECKPOINTS: shell.directory,
    })
    const health = async (): Promise<unknown> => {
      const port = /port: (\d+)/.exec(output.stdout)?.[1]
      if (port === undefined) return undefined
      return (await fetch(`http://127.0.0.1:${port}/health`)).json()
    }
    await expect.poll(health, { timeout: 30_000 }).toMatchObject({ state: 'in step' })
    child.kill('SIGTERM')
    const [code] = await ended
    expect(code, output.stderr).toBe(0)
  })
})
