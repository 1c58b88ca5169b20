/** Runs the commands and queries of docs/getting-started.md, docs/migrating-from-rust.md and docs/operations.md, in a sensible order. */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PostgresTriggerSource } from '../../src/index.js'
import { readPage } from '../docs/markdown.js'
import { namespace, openServer, database as targetDatabase } from '../e2e/target.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Shell } from '../support/shell.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

let database: TestDatabase
let surreal: SurrealServer
let shell: Shell

beforeAll(async () => {
  database = await createDatabase()
  surreal = await startSurreal()
  shell = await Shell.open()
  const client = await database.client()
  await client.query(`create schema shop; create table shop.orders (id bigint primary key);
    create table users (id bigint primary key, email text);
    insert into users select i, 'u' || i from pg_catalog.generate_series(1, 20) i`)
})

afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await surreal.stop()
  await database[Symbol.asyncDispose]()
})

const blocks = (path: string, language: string) =>
  readPage(path).blocks.flatMap((block) => (block.language === language ? [block.text] : []))

/** The text as it runs here; what would go on forever ends. */
const here = (text: string) =>
  text
    .replaceAll('postgresql://postgres:postgres@localhost:5432/myapp', database.url)
    .replaceAll(/postgresql:\/\/(?:dba@)?localhost\/myapp/g, database.url)
    .replaceAll('--source-database "myapp"', `--source-database "${database.name}"`)
    .replaceAll('ws://localhost:8000', surreal.ws)
    .replaceAll(/^(?:\$ )?(surreal-sync sync .*[^\\\n])$/gm, '$1 --timeout 2s')

async function run(text: string, folder: string) {
  await mkdir(join(shell.directory, folder), { recursive: true })
  const { code, stdout, stderr } = await shell.run(`cd ${folder}\n${here(text)}`, {
    SOURCE_URI: database.url,
    SURREAL_ENDPOINT: surreal.ws,
    SURREAL_USERNAME: 'root',
    SURREAL_PASSWORD: 'root',
  })
  expect(code, `${text}\n${stderr}`).toBe(0)
  return { stdout, stderr }
}

describe('docs/getting-started.md', () => {
  const path = 'docs/getting-started.md'

  it('copies, keeps in step, and tells how to look at the target', async () => {
    const [full, sync, ...more] = blocks(path, 'bash').filter((text) => !text.startsWith('npm run demo'))
    expect(more).toEqual([])
    const copied = await run(full ?? '', 'start')
    expect(copied.stdout).toContain('nothing was written')
    const client = await database.client()
    expect((await client.query(`select from pg_trigger where tgname ~ '^surreal_sync'`)).rowCount).toBe(0)
    await run(sync ?? '', 'start')
    await using target = await openServer(surreal.ws, { namespace, database: targetDatabase })
    const [rows, state] = await target.db.query(blocks(path, 'sql').join('\n'))
    expect(rows).toMatchObject([{ email: 'u7' }])
    expect(state).toMatchObject([{ consistent: true, checkpoint: { position: expect.anything() } }])
  })
})

describe('docs/migrating-from-rust.md', () => {
  it('has commands of that time, which run, and leave the files that scripts read', async () => {
    const commands = blocks('docs/migrating-from-rust.md', 'bash').join('\n')
    const { stdout } = await run(`${commands.replaceAll('migrated_data', 'from_rust')}\necho "position $NUM"`, 'rust')
    expect(stdout).toMatch(/^position \d+$/m)
  })
})

describe('docs/operations.md', () => {
  const commands = blocks('docs/operations.md', 'console').flatMap((text) => text.match(/(?<=^\$ ).*$/gm) ?? [])
  /** What leaves less than it found comes last. */
  const last = ['cleanup', 'teardown']
  const rank = (command: string) => last.findIndex((name) => command.startsWith(`surreal-sync ${name}`))

  it('has commands that run', async () => {
    await run('surreal-sync sync postgresql --to-namespace prod --to-database myapp', 'operations')
    const client = await database.client()
    const source = new PostgresTriggerSource({ url: database.url })
    const pipeline = (await source.consumers()).find(({ id }) => id.includes('prod'))?.id ?? ''
    expect(commands.length).toBeGreaterThan(8)
    await client.query(`do $$ begin create role replicator; exception when duplicate_object then null; end $$`)
    const hasPsql = spawnSync('psql', ['--version']).status === 0
    for (const command of [...commands].sort((a, b) => rank(a) - rank(b))) {
      if (command.startsWith('psql') && !hasPsql) {
        await client.query(await readFile(join(shell.directory, 'operations/install.sql'), 'utf8'))
        continue
      }
      const text = command.replace(/--forget \S+/, `--forget ${pipeline}`)
      await run(text.includes('--watch') ? `timeout 4 ${text} || [ $? = 124 ]` : text, 'operations')
    }
    const left = await client.query(`select from pg_class where relname ~ '^surreal_sync'`)
    expect(left.rowCount).toBe(0)
  })
})
