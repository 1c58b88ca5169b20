/** Runs the examples of docs/shaping-rows.md, docs/configuration.md and README.md about shapes and config files. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/cli/config-file.js'
import { configProperties } from '../../src/cli/config-schema.js'
import { processIo } from '../../src/cli/io.js'
import { createProgram } from '../../src/cli/program.js'
import { openServer } from '../e2e/target.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Shell } from '../support/shell.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const read = (path: string) => readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
const blocksOf = (page: string) =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({ language, text }))

const shaping = blocksOf(await read('docs/shaping-rows.md'))
const configuration = await read('docs/configuration.md')
const environment = { MASK_SECRET: 'the secret of the examples', PGPASSWORD: 'p', SURREAL_ROOT: 'root' }

let database: TestDatabase
let surreal: SurrealServer
let shell: Shell

beforeAll(async () => {
  database = await createDatabase()
  surreal = await startSurreal()
  shell = await Shell.open()
  const client = await database.client()
  for (const { text } of shaping.filter(({ language }) => language === 'sql')) await client.query(text)
})

afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await surreal.stop()
  await database[Symbol.asyncDispose]()
})

async function query(database: string, text: string): Promise<string> {
  await using opened = await openServer(surreal.ws, { namespace: 'docs', database })
  const [printed] = await opened.db.query<[string]>(`RETURN <string>(${text})`)
  return printed
}

describe('docs/shaping-rows.md', () => {
  const examples = shaping.flatMap(({ language, text }, index) => {
    const result = shaping[index + 1]
    return result?.language === 'text' ? [{ language, text, result: result.text.trim().split('\n') }] : []
  })

  it('has an example for each subject', () => {
    expect(examples.map(({ language }) => language)).toEqual(['yaml', 'yaml', 'yaml', 'yaml', 'ts', 'yaml', 'yaml'])
  })

  it.each(examples.map((example, index) => ({ ...example, index })))(
    'tells what comes of its example number $index',
    async ({ language, text, result, index }) => {
      const file = `example-${index}.${language}`
      await writeFile(join(shell.directory, file), text)
      const target = `example_${index}`
      const flags = `--config ${file} --to-namespace docs --to-database ${target}`
      const variables = { ...environment, SOURCE_URI: database.url, SURREAL_ENDPOINT: surreal.ws }
      const { code, stderr } = await shell.run(`surreal-sync full postgresql ${flags}`, variables)
      expect(code, stderr).toBe(0)
      expect(stderr).toContain(`Config file: ${file}`)
      expect(stderr).not.toContain(environment.MASK_SECRET)
      expect(await query(target, result[0] ?? '')).toBe(result[1])
    },
  )

  it('runs its program', async () => {
    const [program] = shaping.filter(({ text }) => text.includes('new SyncEngine'))
    const text = (program?.text ?? '')
      .replaceAll('postgresql://postgres:postgres@localhost:5432/myapp', database.url)
      .replaceAll('ws://localhost:8000', surreal.ws)
      .replaceAll(`'production'`, `'docs'`)
      .replaceAll(`'migrated_data'`, `'program'`)
    const folder = await mkdtemp(fileURLToPath(new URL('../.shaping-', import.meta.url)))
    try {
      await writeFile(join(folder, 'program.mts'), text)
      await import(join(folder, 'program.mts'))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    expect(await query('program', 'SELECT VALUE [id, vector] FROM users')).toBe(
      '[[users:1, [6, 0.5f]], [users:3, [5, 0.5f]]]',
    )
  })
})

describe('docs/configuration.md', () => {
  it('shows one config in two languages', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'surreal-sync-docs-'))
    const before = { ...process.env }
    try {
      Object.assign(process.env, environment)
      const [yaml, ts] = blocksOf(configuration)
      await writeFile(join(folder, 'a.yaml'), yaml?.text ?? '')
      await writeFile(join(folder, 'a.ts'), ts?.text ?? '')
      const [a, b] = [await loadConfig('a.yaml', folder, environment), await loadConfig('a.ts', folder, environment)]
      const { $schema, ...config } = a?.config ?? {}
      expect($schema).toContain('config.schema.json')
      expect(config).toEqual(b?.config)
      expect(config.sourceUri).toBe('postgresql://sync_user:p@localhost:5432/myapp')
    } finally {
      process.env = before
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('lists every key with its flag, its variable and its default', () => {
    const rows = [...configuration.matchAll(/^\| `([$\w]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$/gm)].map((row) =>
      row.slice(1).map((cell) => cell.trim().replaceAll('`', '')),
    )
    expect(rows.map(([key]) => key)).toEqual(Object.keys(configProperties))
    const options = createProgram(processIo()).commands.flatMap(({ commands }) => commands.flatMap((it) => it.options))
    for (const [key = '', flag = '', variable = '', value = ''] of rows) {
      const option = options.find(({ long }) => long === flag)
      expect([key, option?.long ?? '']).toEqual([key, flag])
      const described = option?.description ?? ''
      if (flag !== '') expect(/env: (\w+)/.exec(described)?.[1] ?? '', key).toBe(variable)
      const stated = /default: ([^()]+)\)/.exec(described)?.[1]
      if (stated !== undefined && !/^made|^surreal/.test(stated)) expect(value, key).toContain(stated)
    }
  })

  it('tells what errors say', async () => {
    const client = { yaml: 'tables:\n  users:\n    msak: {}', mask: 'tables: { users: { mask: { email: md5 } } }' }
    const messages = blocksOf(configuration).filter(({ language }) => language === 'text')
    const texts = Object.values(client)
    for (const [index, { text }] of messages.entries()) {
      await writeFile(join(shell.directory, 'surreal-sync.config.yaml'), texts[index] ?? '')
      const { code, stderr } = await shell.run('surreal-sync sync postgresql')
      await rm(join(shell.directory, 'surreal-sync.config.yaml'))
      expect(code).toBe(2)
      for (const line of text.trim().split('\n')) expect(stderr).toContain(line)
    }
  })
})

describe('a dry run', () => {
  it('says in few words how tables are shaped, and reads the file that is there', async () => {
    const text = `tables: { users: { as: people, where: "city <> 'hidden words'", mask: { email: hash, phone: null }, deletes: soft } }`
    await writeFile(join(shell.directory, 'surreal-sync.config.yml'), text)
    const flags = '--dry-run --to-namespace docs --to-database dry'
    const variables = { ...environment, SOURCE_URI: database.url, SURREAL_ENDPOINT: surreal.ws }
    const { code, stdout, stderr } = await shell.run(`surreal-sync full postgresql ${flags}`, variables)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/public\.users {2}7 columns.*, key id, as people, filtered, 2 masks, deletes soft$/m)
    expect(stdout + stderr).not.toMatch(/hidden words|secret of the examples/)
    const json = await shell.run(`surreal-sync full postgresql ${flags} --log-format json --no-config`, variables)
    expect(JSON.parse(json.stdout)).toMatchObject({ tables: [{ table: 'public.users', columns: 7 }] })
    expect(json.stdout).not.toContain('people')
    await rm(join(shell.directory, 'surreal-sync.config.yml'))
  })
})

describe('README.md', () => {
  it('has a config that runs', async () => {
    const [yaml] = blocksOf(await read('README.md')).filter(({ language }) => language === 'yaml')
    const text = (yaml?.text ?? '').replace('ws://localhost:8000', surreal.ws).replace('production', 'docs')
    await writeFile(join(shell.directory, 'surreal-sync.config.yaml'), text)
    const { code, stderr } = await shell.run('surreal-sync sync postgresql --timeout 1s', { SOURCE_URI: database.url })
    expect(code, stderr).toBe(0)
    expect(await query('migrated_data', 'SELECT VALUE mail FROM users WHERE id = users:2')).toBe(`['bob@example.org']`)
  })
})
