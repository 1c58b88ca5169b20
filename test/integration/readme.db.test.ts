/** Runs every code block of README.md, with hosts and credentials replaced by those of the test's servers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Shell } from '../support/shell.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(repository, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language,
  text: text ?? '',
}))
const of = (language: string) => blocks.filter((block) => block.language === language).map(({ text }) => text)

let database: TestDatabase
let surreal: SurrealServer
let shell: Shell

beforeAll(async () => {
  database = await createDatabase()
  surreal = await startSurreal()
  shell = await Shell.open()
  const client = await database.client()
  await client.query(`create table users (id bigint primary key, email text);
    insert into users select i, 'u' || i from pg_catalog.generate_series(1, 20) i`)
})

afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await surreal.stop()
  await database[Symbol.asyncDispose]()
})

/** The block as it runs here. Each gets a target of its own. */
function here(text: string, target: string): string {
  return text
    .replaceAll('postgresql://postgres:postgres@localhost:5432/myapp', database.url)
    .replaceAll('--source-database "myapp"', `--source-database "${database.name}"`)
    .replaceAll('ws://localhost:8000', surreal.ws)
    .replaceAll('migrated_data', target)
    .replaceAll(`'.surreal-sync-checkpoints'`, `'${shell.directory}/${target}'`)
}

describe('README', () => {
  it('has only blocks that this test knows', () => {
    expect([...new Set(blocks.map(({ language }) => language))].sort()).toEqual(['', 'bash', 'sql', 'ts', 'yaml'])
    expect(
      of('bash').filter(
        (text) =>
          !text.includes('surreal-sync sync') &&
          !text.includes('surreal-sync full') &&
          !text.includes('surreal-sync incremental'),
      ),
    ).toEqual([expect.stringMatching(/^npm run demo .*\nnpm test .*\n$/), 'npm install surreal-sync\n'])
  })

  it('runs sync by one command', async () => {
    const [sync] = of('bash').filter((text) => text.includes('surreal-sync sync'))
    const { code, stderr } = await shell.run(here(sync ?? '', 'one_command').replace('--timeout 10s', '--timeout 2s'))
    expect(stderr).toMatch(/Emitted full sync end checkpoint \(t2\)/)
    expect(code).toBe(0)
  })

  it('runs the walk-through in two steps, and logs what it says', async () => {
    const [full] = of('bash').filter((text) => text.includes('surreal-sync full'))
    const [incremental] = of('bash').filter((text) => text.includes('surreal-sync incremental'))
    const script = here(`${full}\n${incremental}`, 'two_steps').replace('--timeout 10s', '--timeout 2s')
    const { code, stderr } = await shell.run(`mkdir steps && cd steps\n${script}`)
    expect(code, stderr).toBe(0)
    const [log] = of('').filter((text) => text.startsWith('INFO'))
    for (const line of (log ?? '').trim().split('\n')) expect(stderr).toContain(line.replace(/\d+$/, ''))
  })

  it('runs its SQL', async () => {
    const client = await database.client()
    await client.query('drop role if exists sync_user')
    await client.query('create role sync_user')
    try {
      const results = []
      for (const text of of('sql')) results.push(await client.query<{ trigger_name: string }>(text))
      const triggers = results.flat().flatMap(({ rows }) => rows.map((row) => row.trigger_name))
      expect(triggers).toContainEqual(expect.stringMatching(/^surreal_sync_capture_\d+$/))
    } finally {
      await client.query('drop owned by sync_user; drop role sync_user')
    }
  })

  it.each(of('ts').map((text, index) => ({ index, text })))(
    'runs its program number $index',
    async ({ index, text }) => {
      const folder = await mkdtemp(join(repository, 'test/.readme-'))
      try {
        const program = join(folder, 'program.mts')
        await writeFile(program, here(text, `library_${index}`))
        const child = spawn(process.execPath, ['--import', 'tsx', program], {
          cwd: repository,
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let [stdout, stderr] = ['', '']
        child.stderr.setEncoding('utf8').on('data', (part: string) => {
          stderr += part
        })
        child.stdout.setEncoding('utf8').on('data', (part: string) => {
          stdout += part
          if (/^postgresql:sequence:\d+ .*\npostgresql:sequence:\d+/m.test(stdout)) child.kill('SIGTERM')
        })
        const [code] = await once(child, 'close')
        expect(code, stderr).toBe(0)
        expect(stdout).toMatch(text.includes('follow') ? /postgresql:sequence:\d+/ : /put public\.users/)
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  )
})
