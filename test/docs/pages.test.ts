/** Every code block compiles, what it names exists, links lead somewhere, and the code for builders passes the kits. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import type { Command } from 'commander'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { checkConfig } from '../../src/cli/config-check.js'
import { configSchema } from '../../src/cli/config-schema.js'
import { processIo } from '../../src/cli/io.js'
import { createProgram } from '../../src/cli/program.js'
import { type Page, readPage, readPages, repository } from './markdown.js'

const pages = readPages()
// Where programs find the library, and where no other test looks.
mkdirSync(join(repository, 'reports'), { recursive: true })
const work = mkdtempSync(join(repository, 'reports/docs-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** What a block without imports, a part of a program, may name. */
const given = `import { FileCheckpointStore, PostgresTriggerSource, SurrealSink, SyncEngine } from 'surreal-sync'
declare const url: string, namespace: string, database: string
declare const source: import('surreal-sync').Source, sink: import('surreal-sync').Sink, engine: SyncEngine`

/** Writes the programs of a page where they find the library and each other. Returns their files. */
function writePrograms(path: string): readonly string[] {
  const folder = join(work, path.replaceAll('/', '_'))
  mkdirSync(folder, { recursive: true })
  return readPage(path)
    .blocks.filter(({ language }) => language === 'ts')
    .map(({ text }, index) => {
      const file = join(folder, /^\/\/ ([\w.-]+\.ts)\n/.exec(text)?.[1] ?? `program-${index}.ts`)
      writeFileSync(file, /^import /m.test(text) ? text : `${given}\n${text}`)
      return file
    })
}

const programs = new Map(pages.map(({ path }) => [path, writePrograms(path)]))

describe('code blocks', () => {
  it('of TypeScript compile, strictly', () => {
    const { config } = ts.readConfigFile(join(repository, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, repository)
    const files = [...programs.values()].flat()
    const found = ts.getPreEmitDiagnostics(ts.createProgram(files, { ...options, noEmit: true }))
    const told = found.map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    )
    expect(files.length).toBeGreaterThan(5)
    expect(told).toEqual([])
  })

  it('are all checked, by what is here or by the test that names their page', () => {
    const unchecked = pages.flatMap(({ path, blocks }) =>
      blocks.filter((block) => !isChecked(path, block)).map(({ language, text }) => `${path}: ${language} ${text}`),
    )
    expect(unchecked).toEqual([])
  })

  const shell = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language }) => language === 'bash' || language === 'console')
      .map(({ language, text }) => ({ path, text: language === 'bash' ? text : typed(text) })),
  )

  it('of shell commands parse, and name scripts, commands and flags that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
    const program = createProgram(processIo())
    expect(shell.length).toBeGreaterThan(10)
    for (const { path, text } of shell) {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' })
      expect(status, `${path}: ${stderr}`).toBe(0)
      for (const [, script = ''] of text.matchAll(/npm run ([\w:-]+)/g)) expect(scripts, path).toHaveProperty([script])
      for (const [command] of text.matchAll(/^surreal-sync (?:.*\\\n)*.*$/gm)) {
        const named = command.match(/(?<=\s)--[a-z][a-z-]+/g) ?? []
        const known = flagsOf(program, command.split(/\s+/).slice(1))
        expect(
          named.filter((flag) => !known.includes(flag)),
          `${path}: ${command}`,
        ).toEqual([])
      }
    }
  })

  it('of JSON parse', () => {
    const texts = pages.flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'json'))
    for (const { text } of texts) expect(() => JSON.parse(text)).not.toThrow()
  })

  it('of YAML are config files', () => {
    const found = pages.flatMap(({ path, blocks }) =>
      blocks.filter(({ language }) => language === 'yaml').map(({ text }) => ({ path, text })),
    )
    expect(found.length).toBeGreaterThan(5)
    for (const { path, text } of found) {
      const config: unknown = parse(text.replace(/\$\{\w+\}/g, 'x'.repeat(32)))
      expect(() => checkConfig(config, configSchema, path)).not.toThrow()
    }
  })
})

/** Blocks that tests of their own run, or compare with what is said, by page and language. */
const elsewhere: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'README.md': { '': 'integration/readme.db.test.ts', sql: 'integration/readme.db.test.ts' },
  'docs/cli.md': { text: 'docs/cli.test.ts' },
  'docs/configuration.md': { text: 'integration/shaping-docs.db.test.ts' },
  'docs/getting-started.md': { sql: 'integration/docs-commands.db.test.ts' },
  'docs/terminal.md': { text: 'terminal/main.ts' },
  'docs/least-privilege.md': { sql: 'e2e/check.db.test.ts' },
  'docs/operations.md': { '': 'integration/quarantine.db.test.ts' },
  'docs/postgresql-data-types.md': { sql: 'integration/data-types-page.db.test.ts' },
  'docs/shaping-rows.md': { sql: 'integration/shaping-docs.db.test.ts', text: 'integration/shaping-docs.db.test.ts' },
  'examples/cron/README.md': { text: 'integration/examples.db.test.ts' },
  'examples/graph-queries/README.md': { sql: 'integration/examples.db.test.ts' },
  'examples/live-query/README.md': { sql: 'integration/examples.db.test.ts' },
}

function isChecked(path: string, { language, text }: Page['blocks'][number]): boolean {
  if (['bash', 'console', 'json', 'ts', 'yaml'].includes(language)) return true
  // A drawing: lines and arrows, nothing that could be typed or run.
  if (language === '' && /──/.test(text)) return true
  const test = elsewhere[path]?.[language]
  const [page = path] = /[^/]*\.md$|[^/]+(?=\/README\.md)/.exec(path) ?? []
  return test !== undefined && readFileSync(join(repository, 'test', test), 'utf8').includes(page)
}

/** The commands of a session: what follows a prompt, and the lines that go on with it. */
function typed(session: string): string {
  const commands = [...session.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, command = '']) => command)
  return commands.join('\n').replaceAll(' … ', ' ')
}

/** The flags of the command that the words name. */
function flagsOf(command: Command, words: readonly string[]): readonly string[] {
  const [word = '', ...rest] = words
  const next = command.commands.find((one) => one.name() === word)
  if (next !== undefined) return flagsOf(next, rest)
  return ['--help', '--version', ...command.options.flatMap(({ long }) => long ?? [])]
}

describe('links', () => {
  it('within the project lead somewhere', () => {
    const dead = pages.flatMap(({ path, links }) =>
      links.filter((link) => isDead(path, link)).map((link) => `${path}: ${link}`),
    )
    expect(pages.flatMap(({ links }) => links).length).toBeGreaterThan(10)
    expect(dead).toEqual([])
  })
})

function isDead(from: string, link: string): boolean {
  if (/^(https?|mailto):/.test(link)) return false
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? from : posix.join(posix.dirname(from), file)
  if (!existsSync(join(repository, target))) return true
  return anchor !== undefined && target.endsWith('.md') && !readPage(target).anchors.has(anchor)
}

describe.each(['docs/writing-a-sink.md', 'docs/writing-a-checkpoint-store.md'])('the code of %s', (path) => {
  const [program = '', test = ''] = programs.get(path) ?? []

  it('has less than 40 lines', () => {
    expect(readFileSync(program, 'utf8').trim().split('\n').length).toBeLessThan(40)
  })

  it('passes its kit, with the test runner of Node.js', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--test', '--test-reporter=tap', test], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'inherit'],
      // Node.js refuses to run tests from within tests of its own, and vitest's workers may say that they are.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part
    })
    const [code] = await once(child, 'close')
    expect(code, output).toBe(0)
    expect(Number(/^# pass (\d+)$/m.exec(output)?.[1])).toBeGreaterThan(8)
  })
})
