/**
 * `npm run test:package`: packs the package, installs it into a project of its own as a user would, and type-checks, runs and bundles
 * the README's program there, as ESM and as CommonJS, under Node.js 20, 22 and 24, against real databases.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createDatabase } from '../../src/demo/postgres-database.js'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { readPage, repository } from '../docs/markdown.js'
import { startSurreal } from '../support/surreal-server.js'

/** What a release may weigh. Raise these on purpose only. */
const limits = { tarballBytesMax: 1_900_000, installBytesMax: 12_000_000, packagesMax: 26 }
const majors = [20, 22, 24]
const sourceUrl = 'postgresql://postgres:postgres@localhost:5432/myapp'

const work = mkdtempSync(join(tmpdir(), 'surreal-sync-package-'))
const project = join(work, 'project')

function npm(directory: string, ...options: string[]): string {
  return execFileSync('npm', options, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function check(what: string, condition: boolean): void {
  if (!condition) throw new Error(`Not so: ${what}`)
  console.log(`ok  ${what}`)
}

function sizeOf(path: string): number {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(2)} MB`

/** Packs and installs, and says what that weighs. */
function install(): void {
  npm(repository, 'pack', '--silent', '--pack-destination', work)
  const tarball = join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  npm(project, 'install', '--no-audit', '--no-fund', '--omit=peer', tarball)
  const modules = join(project, 'node_modules')
  const { packages } = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8'))
  const count = Object.keys(packages).length
  const [packed, installed] = [sizeOf(tarball), sizeOf(modules)]
  check(
    `the tarball has ${megabytes(packed)}, at most ${megabytes(limits.tarballBytesMax)}`,
    packed <= limits.tarballBytesMax,
  )
  check(
    `a user installs ${megabytes(installed)} in ${count} packages, at most ${megabytes(limits.installBytesMax)} in ${limits.packagesMax}`,
    installed <= limits.installBytesMax && count <= limits.packagesMax,
  )
  const scripts = Object.entries<{ hasInstallScript?: boolean }>(packages).filter(([, entry]) => entry.hasInstallScript)
  check('nothing of it runs a script when it is installed', scripts.length === 0)
  // What a user of an embedded database adds, taken from here because it is large.
  mkdirSync(join(modules, '@surrealdb'), { recursive: true })
  symlinkSync(join(repository, 'node_modules/@surrealdb/node'), join(modules, '@surrealdb/node'))
}

/** The README's first program, with the databases of this run, as a module and as CommonJS. */
function writePrograms(postgresUrl: string, surrealUrl: string): void {
  const [block] = readPage('README.md').blocks.filter(({ language }) => language === 'ts')
  const program = (block?.text ?? '')
    .replaceAll(sourceUrl, postgresUrl)
    .replaceAll('ws://localhost:8000', surrealUrl)
    .replaceAll(`'.surreal-sync-checkpoints'`, 'process.argv[2]')
    .replaceAll(`'migrated_data'`, `process.argv[3] ?? 'none'`)
  const stated = `at most ${limits.tarballBytesMax / 1e6} MB to download and ${limits.installBytesMax / 1e6} MB on disk`
  check('the README says how large that may be', readPage('README.md').text.includes(stated))
  check('the README has a program of at most ten lines', program.trim().split('\n').length <= 10)
  const lines = program.split('\n')
  const body = lines.filter((line) => !line.startsWith('import '))
  const imports = lines.filter((line) => line.startsWith('import '))
  writeFileSync(join(project, 'program.mts'), program)
  writeFileSync(join(project, 'program.cts'), `${imports.join('\n')}\nvoid (async () => {\n${body.join('\n')}\n})()\n`)
  const kit = `import { describe, it } from 'node:test'
import { MemorySink, testSink } from 'surreal-sync/testing'
testSink({ describe, it }, { create: () => {
  const sink = new MemorySink()
  return { sink: () => sink, rows: async ({ label }) => sink.rows(label) }
} })
`
  writeFileSync(join(project, 'kit.mts'), kit)
  writeFileSync(join(project, 'kit.cts'), kit)
}

function typeCheck(): void {
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    target: 'ES2022',
    types: ['node'],
    typeRoots: [join(repository, 'node_modules/@types')],
  }
  const resolutions = [
    // The types of the package surrealdb are for ES modules, which TypeScript takes for CommonJS from NodeNext on.
    { module: 'Node16', moduleResolution: 'Node16', skipLibCheck: true, outDir: 'out' },
    { module: 'NodeNext', moduleResolution: 'NodeNext', noEmit: true },
    { module: 'ESNext', moduleResolution: 'Bundler', noEmit: true },
  ]
  for (const resolution of resolutions) {
    const include = resolution.module === 'ESNext' ? ['*.mts'] : ['*.mts', '*.cts']
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...options, ...resolution }, include }),
    )
    execFileSync(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc')], {
      cwd: project,
      stdio: 'inherit',
    })
    check(`it type-checks strictly with moduleResolution ${resolution.moduleResolution}`, true)
  }
}

function bundle(): void {
  const esbuild = join(repository, 'node_modules/.bin/esbuild')
  const options = [
    '--bundle',
    '--platform=node',
    '--target=node20',
    '--external:@surrealdb/node',
    '--outfile=out/bundle.cjs',
  ]
  execFileSync(esbuild, ['program.cts', ...options, '--log-level=error'], { cwd: project, stdio: 'inherit' })
  check('esbuild bundles it', true)
}

/** A Node.js of this major version. The npm package node-<platform>-<arch> is what the package `node` installs by a script. */
function nodeOf(major: number): string | undefined {
  if (Number(process.versions.node.split('.')[0]) === major) return process.execPath
  const directory = join(work, `node-${major}`)
  const name = `node-${process.platform}-${process.arch}`
  mkdirSync(directory)
  try {
    npm(
      directory,
      'install',
      '--ignore-scripts',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--prefix',
      directory,
      `${name}@${major}`,
    )
    return join(directory, 'node_modules', name, 'bin/node')
  } catch {
    if (process.env.CI) throw new Error(`Node.js ${major} cannot be installed`)
    console.log(`--  Node.js ${major} cannot be installed here: left out`)
    return undefined
  }
}

/** What the build puts into modules, and what it takes out of other packages, is there at the user's. */
function serve(): void {
  const text = (load: string) => `${load}
void (async () => {
  const engine = new SyncEngine({ source: { name: 'none' }, sink: { name: 'none', write() {} } })
  const observation = await observe(engine)
  const url = await observation.listen({ port: 0 })
  const page = await (await fetch(url)).text()
  const metrics = await (await fetch(url + 'metrics')).text()
  await observation.close()
  if (!page.includes('EventSource') || !/surreal_sync_build_info\\{version="\\d/.test(metrics)) process.exit(1)
})()
`
  writeFileSync(join(project, 'serve.mjs'), text(`import { observe, SyncEngine } from 'surreal-sync'`))
  writeFileSync(join(project, 'serve.cjs'), text(`const { observe, SyncEngine } = require('surreal-sync')`))
  for (const file of ['serve.mjs', 'serve.cjs']) {
    execFileSync(process.execPath, [file], { cwd: project, stdio: 'inherit' })
    check(`${file} serves the live page and metrics, without further packages`, true)
  }
}

/** Follows until a position is applied, and ends in order. */
async function run(node: string, major: number, program: string): Promise<void> {
  const target = `node_${major}_${program.replace(/\W/g, '_')}`
  const child = spawn(node, [program, join(work, target), target], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part
    if (/^postgresql:sequence:\d+ .*\npostgresql:sequence:\d+/m.test(output)) child.kill('SIGTERM')
  })
  const [code] = await once(child, 'close')
  check(
    `${program} replicates under Node.js ${major}, and ends in order`,
    code === 0 && /postgresql:sequence:\d+/.test(output),
  )
}

await using postgres = await startPostgres()
await using surreal = await startSurreal()
try {
  const url = await createDatabase(postgres.url(), 'consumer')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create table users (id integer primary key, name text)')
  await client.query(`insert into users select i, 'u' || i from generate_series(1, 100) i`)
  await client.end()
  install()
  writePrograms(url, surreal.ws)
  typeCheck()
  bundle()
  serve()
  for (const major of majors) {
    const node = nodeOf(major)
    if (node === undefined) continue
    for (const program of ['out/program.mjs', 'out/program.cjs', 'out/bundle.cjs']) await run(node, major, program)
    for (const kit of ['out/kit.mjs', 'out/kit.cjs']) {
      execFileSync(node, ['--test', '--test-reporter=dot', kit], {
        cwd: project,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      check(`${kit} runs under Node.js ${major}`, true)
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
