/** Runs the programs in examples/ as their READMEs say. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { readPage } from '../docs/markdown.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Shell } from '../support/shell.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))

let database: TestDatabase
/** With the tables that the further examples name. */
let further: TestDatabase
let surreal: SurrealServer
let shell: Shell

beforeAll(async () => {
  ;[database, further] = await Promise.all([createDatabase(), createDatabase()])
  surreal = await startSurreal()
  shell = await Shell.open()
  const client = await database.client()
  await client.query(`create table users (id bigint primary key, photo bytea);
    insert into users select i, '\\x00ff' from pg_catalog.generate_series(1, 20) i`)
  const other = await further.client()
  await other.query(`create table users (id integer primary key, name text);
    insert into users values (1, 'Ada'), (2, 'Bob');
    create table orders (id integer primary key, user_id integer, total numeric);
    insert into orders values (1, 1, 9.99), (2, 1, 5), (3, 2, 7.5);
    create table articles (id integer primary key, title text, body text, published boolean);
    insert into articles values (1, 'Replication of a database', 'How rows travel', true), (2, 'Baking bread', 'Flour and water', true),
      (3, 'Database replication, unfinished', 'A draft', false)`)
})

afterAll(async () => {
  await shell[Symbol.asyncDispose]()
  await surreal.stop()
  await database[Symbol.asyncDispose]()
  await further[Symbol.asyncDispose]()
})

/** The only block of this language in the README of an example. */
function blockOf(example: string, language: string): string {
  const found = readPage(`examples/${example}/README.md`).blocks.filter((block) => block.language === language)
  expect(found).toHaveLength(1)
  return found[0]?.text ?? ''
}

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

  it('custom-checkpoint-store goes on where it stopped', async () => {
    const kept = new Map<string, string>()
    const server = createServer(async (request, response) => {
      const key = request.url ?? ''
      if (request.method === 'PUT') kept.set(key, Buffer.concat(await request.toArray()).toString())
      const text = kept.get(key)
      response.writeHead(text === undefined ? 404 : 200).end(text)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const environment = {
      DATABASE_URL: further.url,
      KEY_VALUE_URL: `http://127.0.0.1:${port}/positions`,
      FILE: join(shell.directory, 'changes.ndjson'),
    }
    try {
      const first = start('custom-checkpoint-store', environment)
      expect([(await first.ended)[0], first.output.stderr]).toEqual([0, expect.anything()])
      const second = start('custom-checkpoint-store', environment)
      expect((await second.ended)[0], second.output.stderr).toBe(0)
      expect([...kept.keys()]).toEqual(['/positions/custom-store'])
      const lines = (await readFile(environment.FILE, 'utf8')).split('\n').filter((line) => line.includes('"upsert"'))
      expect(lines).toHaveLength(8)
    } finally {
      server.close()
    }
  })

  it('transform-embeddings finds what is near, and nothing that is not published', async () => {
    const { output, ended } = start('transform-embeddings', { DATABASE_URL: further.url })
    expect((await ended)[0], output.stderr).toBe(0)
    expect(output.stdout.trim().split('\n')).toEqual(['Replication of a database', 'Baking bread'])
  })

  it('graph-queries follows foreign keys', async () => {
    const { output, ended } = start('graph-queries', { DATABASE_URL: further.url })
    expect((await ended)[0], output.stderr).toBe(0)
    expect(output.stdout.trim().split('\n')).toEqual(['Ada 5 9.99', 'Bob 7.5'])
    const program = await readFile(join(repository, 'examples/graph-queries/index.ts'), 'utf8')
    expect(program).toContain(blockOf('graph-queries', 'sql').trim().replace(/;$/, ''))
  })

  it('live-query fires when PostgreSQL is written to', async () => {
    const { child, output, ended } = start('live-query', { DATABASE_URL: further.url })
    await expect.poll(() => output.stdout, { timeout: 30_000 }).toContain('listening')
    const client = await further.client()
    await client.query(blockOf('live-query', 'sql'))
    await expect.poll(() => output.stdout, { timeout: 30_000 }).toMatch(/UPDATE .*Grace/)
    child.kill('SIGTERM')
    expect((await ended)[0], output.stderr).toBe(0)
  })

  it('cron applies what has changed, run by run', async () => {
    const environment = {
      SOURCE_URI: further.url,
      SURREAL_ENDPOINT: surreal.ws,
      TO_DATABASE: 'cron',
      CHECKPOINTS: join(shell.directory, 'cron'),
      LOCK_FILE: join(shell.directory, 'lock'),
      TIMEOUT: '1s',
    }
    const script = join(repository, 'examples/cron/sync.sh')
    for (let run = 0; run < 2; run += 1) {
      const { code, stderr } = await shell.run(`sh ${script}`, environment)
      expect(code, stderr).toBe(0)
    }
    expect(await readdir(environment.CHECKPOINTS)).toContain('checkpoint_incremental.json')
    const variables = Object.keys(environment).join('|')
    expect(blockOf('cron', 'text')).toMatch(/^(?:[*\d/]+ ){5}\. \S+ && \S+\/sync\.sh 2>>\S+\n$/)
    expect(await readFile(script, 'utf8')).toMatch(new RegExp(`\\$\\{?(${variables})\\b`))
  })
})

/** Whether a program is installed here, and ends well when it is asked something harmless. */
function works(program: string, ...options: string[]): boolean {
  return spawnSync(program, options, { stdio: 'ignore' }).status === 0
}

const text = (path: string): Promise<string> => readFile(join(repository, 'examples', path), 'utf8')
/** What the container of an example runs, as a shell command. */
const flagsOf = (command: readonly string[]): readonly string[] =>
  command.filter((word) => word.startsWith('--') && word !== '--yes')

describe('files for running it', () => {
  const known = spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'sync', 'postgresql', '--help'], {
    cwd: repository,
    encoding: 'utf8',
  }).stdout

  it('compose.yaml has three services that find each other', async () => {
    const { services, volumes } = parse(await text('docker-compose/compose.yaml'))
    const sync = services['surreal-sync']
    expect(Object.keys(sync.depends_on)).toEqual(Object.keys(services).filter((name) => name !== 'surreal-sync'))
    expect(new URL(sync.environment.SOURCE_URI.replace(/\$\{.*?\}/, 'x')).hostname).toBe('postgres')
    expect(new URL(sync.environment.SURREAL_ENDPOINT).hostname).toBe('surrealdb')
    for (const flag of flagsOf(sync.command)) expect(known).toContain(flag)
    for (const name of Object.keys(sync.environment)) expect(known).toContain(name)
    const mounted = Object.values<{ volumes: string[] }>(services).flatMap((service) =>
      service.volumes.map((volume) => volume.split(':')[0]),
    )
    expect(mounted.sort()).toEqual(Object.keys(volumes).sort())
  })

  const compose = [['docker', 'compose'], ['docker-compose']].find(([program = '', ...words]) =>
    works(program, ...words, 'version'),
  )
  it.runIf(compose !== undefined)('docker compose takes compose.yaml, and refuses what is no part of one', async () => {
    const [program = '', ...words] = compose ?? []
    const config = (file: string) =>
      spawnSync(program, [...words, '--file', file, 'config', '--quiet'], { encoding: 'utf8' })
    const file = join(repository, 'examples/docker-compose/compose.yaml')
    const { status, stderr } = config(file)
    expect(status, stderr).toBe(0)
    const broken = join(shell.directory, 'compose.yaml')
    await writeFile(broken, (await text('docker-compose/compose.yaml')).replace('restart:', 'restarts:'))
    expect(config(broken).status).not.toBe(0)
  })

  it('surreal-sync.yaml is a Deployment of one pod, with its Secret', async () => {
    const [secret, deployment] = parseAllDocuments(await text('kubernetes/surreal-sync.yaml')).map((document) => {
      expect(document.errors).toEqual([])
      return document.toJS()
    })
    expect([secret.kind, deployment.kind, deployment.spec.replicas, deployment.spec.strategy.type]).toEqual([
      'Secret',
      'Deployment',
      1,
      'Recreate',
    ])
    const { template, selector } = deployment.spec
    expect(template.metadata.labels).toMatchObject(selector.matchLabels)
    const [container] = template.spec.containers
    expect(container.envFrom[0].secretRef.name).toBe(secret.metadata.name)
    for (const flag of flagsOf(container.command)) expect(known).toContain(flag)
    for (const name of Object.keys(secret.stringData)) expect(known).toContain(name)
    const mounts = container.volumeMounts.map(({ name }: { name: string }) => name)
    expect(mounts).toEqual(template.spec.volumes.map(({ name }: { name: string }) => name))
  })

  it.runIf(works('kubectl', 'kustomize', '--help'))('kubectl builds surreal-sync.yaml', async () => {
    // `kubectl create --dry-run=client` asks a cluster what there is; this reads the objects without one.
    const folder = join(shell.directory, 'kustomize')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'surreal-sync.yaml'), await text('kubernetes/surreal-sync.yaml'))
    await writeFile(join(folder, 'kustomization.yaml'), 'resources: [surreal-sync.yaml]\n')
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
    expect(
      parseAllDocuments(stdout)
        .map((document) => document.toJS().kind)
        .sort(),
    ).toEqual(['Deployment', 'Secret'])
  })

  it('surreal-sync.service runs a command that exists', async () => {
    const unit = await text('systemd/surreal-sync.service')
    const [, command = ''] = /^ExecStart=\/usr\/bin\/env surreal-sync sync postgresql (.*)$/m.exec(unit) ?? []
    expect(flagsOf(command.split(' ')).length).toBeGreaterThan(2)
    for (const flag of flagsOf(command.split(' '))) expect(known).toContain(flag)
    expect(unit).toMatch(/^RestartPreventExitStatus=2 5$/m)
  })

  it.runIf(works('systemd-analyze', '--version'))(
    'systemd-analyze finds nothing wrong with surreal-sync.service',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'surreal-sync-unit-'))
      try {
        const file = join(folder, 'surreal-sync.service')
        await writeFile(file, await text('systemd/surreal-sync.service'))
        const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
        const ours = stderr.split('\n').filter((line) => line.includes('surreal-sync'))
        expect([status, ours]).toEqual([0, []])
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )
})
