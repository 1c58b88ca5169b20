/** Secrets and values that were planted are looked for in everything that a run leaves behind but the target. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createRemoteEngines, Surreal } from 'surrealdb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import {
  FileCheckpointStore,
  PostgresCheckpointStore,
  PostgresTriggerSource,
  SurrealCheckpointStore,
  SurrealSink,
  SyncEngine,
  SyncError,
} from '../../src/index.js'
import { createCertificate } from '../support/certificates.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { createRole, type TestRole } from '../support/roles.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import {
  type CommandOptions,
  type Directory,
  type Ended,
  start,
  surrealSyncHere,
  temporaryDirectory,
} from './command.js'

const canary = (what: string) => `canary-${what}-${randomBytes(9).toString('hex')}`
const surrealPassword = canary('surreal')
const text = canary('text')
const json = canary('json')
const number = `7${BigInt(`0x${randomBytes(6).toString('hex')}`)}`
const certificate = createCertificate({ name: 'client' })
const keyLines = certificate.key.split('\n').filter((line) => line.length > 40)

let database: TestDatabase
let role: TestRole
let target: SurrealServer
let directory: Directory
let options: CommandOptions
let planted: readonly string[]
/** Made by the engine: what signs in with it has every right. */
let token: string
/** What each run left behind, by what it was. */
const traces = new Map<string, string>()

beforeAll(async () => {
  database = await createDatabase()
  role = await createRole(database, 'superuser')
  target = await startSurreal({ password: surrealPassword })
  directory = await temporaryDirectory()
  const postgresPassword = new URL(role.url).password
  token = await tokenOf(target.ws)
  planted = [postgresPassword, surrealPassword, token, ...token.split('.').slice(1), text, json, number, ...keyLines]
  const key = join(directory.path, 'client.key')
  await writeFile(key, certificate.key, { mode: 0o600 })
  await writeFile(join(directory.path, 'client.crt'), certificate.certificate)
  const admin = await database.client()
  await admin.query(`
    create table secrets (id int primary key, secret text, doc jsonb, amount numeric, endless timestamptz);
    insert into secrets select n, '${text}', jsonb_build_object('a', '${json}'), ${number}, 'infinity' from generate_series(1, 5) n`)
  options = {
    cwd: directory.path,
    env: {
      SOURCE_URI: `${role.url}?sslmode=prefer&sslkey=${key}&sslcert=${join(directory.path, 'client.crt')}`,
      SURREAL_ENDPOINT: target.ws,
      SURREAL_PASSWORD: surrealPassword,
      MASK_SECRET: canary('mask'),
    },
  }
})

afterAll(async () => {
  await role?.[Symbol.asyncDispose]()
  await database?.[Symbol.asyncDispose]()
  await target?.stop()
  await directory?.[Symbol.asyncDispose]()
})

async function tokenOf(url: string): Promise<string> {
  const db = new Surreal({
    engines: createRemoteEngines(),
    websocketImpl: WebSocket as unknown as typeof globalThis.WebSocket,
  })
  await db.connect(url, { reconnect: false })
  const { access } = await db.signin({ username: 'root', password: surrealPassword })
  await db.close()
  return access
}

const place = (name: string) => ['--to-namespace', 'canary', '--to-database', name]

const debug = ['--log-level', 'debug']

/** In a process of its own, which is stopped after the copy and whatever is done to it then. */
async function disturbed(
  what: string,
  args: readonly string[],
  meanwhile: (pid: number, logged: string) => Promise<void>,
  env: Record<string, string> = {},
): Promise<Ended> {
  await using command = start([...args, ...debug], { ...options, env: { ...options.env, ...env } })
  await command.saw(/Caught up|caught_up/)
  await meanwhile(command.pid, command.stderr)
  command.kill('SIGTERM')
  const ended = await command.ended
  traces.set(what, `${ended.stdout}\n${ended.stderr}`)
  return ended
}

/** In this process. */
async function run(what: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const ended = await surrealSyncHere([...args, ...debug], { ...options, env: { ...options.env, ...env } })
  traces.set(what, `${ended.stdout}\n${ended.stderr}`)
  return ended
}

/** Of a stream that has no end: what is sent at first, and what is sent when time has passed. */
async function firstParts(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  let parts = ''
  for (let count = 0; count < 2; count += 1) parts += Buffer.from((await reader?.read())?.value ?? []).toString()
  await reader?.cancel()
  return parts
}

/** Cuts every connection, changes a row, and looks at everything that is served. */
async function cutAndLook(logged: string, what: string): Promise<void> {
  const admin = await database.client()
  const page = /http:\/\/127\.0\.0\.1:\d+/.exec(logged)?.[0]
  await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role.name}' and pid <> pg_backend_pid()`,
  )
  await target.cutAll()
  await admin.query(`update secrets set secret = secret || '!' where id = 1`)
  for (const path of ['/', '/metrics', '/healthz', '/readyz', '/events']) {
    const response = await fetch(`${page}${path}`)
    const first = path === '/events' ? await firstParts(response) : await response.text()
    expect(first.length, path).toBeGreaterThan(0)
    traces.set(`${path} ${what}`, first)
  }
}

test.each(['text', 'json'])(
  'full and incremental sync, with connections that are cut, logged as %s',
  async (format) => {
    const log = ['--log-format', format, '--http', '127.0.0.1:0']
    await target.fault({ when: 'after', action: 'cut', matching: 'secrets' })
    const cut = await disturbed(`sync ${format}`, ['sync', 'postgresql', ...place(format), ...log], (_, logged) =>
      cutAndLook(logged, format),
    )
    expect(cut.code).toBe(0)
    await run(`status ${format}`, ['status', 'postgresql', '--json'])
    const verified = await run(`verify ${format}`, ['verify', 'postgresql', ...place(format), '--json', '--at-rest'])
    expect(verified.code, verified.stderr).toBeGreaterThanOrEqual(0)
  },
)

test('the incremental phase alone, let in by a token, with faults, logged as JSON', async () => {
  const json = ['--log-format', 'json']
  const byToken = { SURREAL_TOKEN: token, SURREAL_PASSWORD: '' }
  const full = await run(
    'full, by token',
    ['full', 'postgresql', ...place('alone'), '--emit-checkpoints', ...json],
    byToken,
  )
  expect(full.code, full.stderr).toBe(0)
  const [t1 = ''] = /postgresql:sequence:\d+/.exec(full.stderr) ?? []
  const incremental = ['incremental', 'postgresql', ...place('alone'), '--incremental-from', t1, ...json]
  await target.fault({ when: 'after', action: 'cut', matching: 'secrets' })
  const cut = await disturbed(
    'incremental, cut',
    [...incremental, '--http', '127.0.0.1:0'],
    (_, logged) => cutAndLook(logged, 'incremental'),
    byToken,
  )
  expect(cut.code, cut.stderr).toBe(0)

  await define(`DEFINE FIELD OVERWRITE secret ON secrets TYPE string ASSERT $value = '${text}'`, 'alone')
  const admin = await database.client()
  await admin.query(`update secrets set secret = secret || '?' where id = 2`)
  const refused = await run('incremental, poisoned', incremental, byToken)
  expect(refused.stderr).toContain('E_POISON_ROW')
  const kept = await run('incremental, into quarantine', [...incremental, '--quarantine', '--timeout', '2s'], byToken)
  expect(kept.code, kept.stderr).toBe(0)
  const retried = await run('retry', ['quarantine', 'retry', ...place('alone'), ...json], byToken)
  expect(retried.code, retried.stderr).toBe(3)
  const source = new URL(role.url)
  source.password = canary('wrong')
  planted = [...planted, source.password]
  const stranger = await run('incremental, by a stranger', incremental, { ...byToken, SOURCE_URI: source.href })
  expect(stranger.stderr).toContain('E_AUTH')
  const expired = { SURREAL_TOKEN: `${token.slice(0, -8)}AAAAAAAA`, SURREAL_PASSWORD: '' }
  const outsider = await run('incremental, by a token that is no longer one', incremental, expired)
  expect(outsider.stderr).toContain('E_AUTH')
  for (const { stderr } of [full, cut, refused, kept, retried, stranger, outsider]) {
    for (const line of stderr.split('\n').slice(0, -1)) expect(JSON.parse(line)).toHaveProperty('event')
  }
})

test('what is refused on either side', async () => {
  const args = (name: string, ...more: readonly string[]) => ['full', 'postgresql', ...place(name), ...more]
  const url = (change: (url: URL) => void) => {
    const changed = new URL(role.url)
    change(changed)
    return { SOURCE_URI: changed.href }
  }
  const wrongPassword = canary('wrong')
  const failures: readonly (readonly [
    what: string,
    code: string,
    args: readonly string[],
    env?: Record<string, string>,
  ])[] = [
    [
      'a wrong password of PostgreSQL',
      'E_AUTH',
      args('x'),
      url((at) => Object.assign(at, { password: wrongPassword })),
    ],
    ['a URL that cannot be parsed', 'E_CONFIG', args('x'), { SOURCE_URI: `postgresql://u:${text}@h:port/db` }],
    ['a URL with a bad escape', 'E_CONFIG', args('x'), { SOURCE_URI: `postgresql://u:%zz${text}@h/db` }],
    ['a mode that there is not', 'E_CONFIG', args('x'), url((at) => at.searchParams.set('sslmode', text))],
    ['a wrong password of SurrealDB', 'E_AUTH', args('x'), { SURREAL_PASSWORD: wrongPassword }],
    ['credentials in the endpoint', 'E_CONFIG', args('x'), { SURREAL_ENDPOINT: `ws://u:${text}@h` }],
    ['a token that is none', 'E_AUTH', args('x'), { SURREAL_TOKEN: text, SURREAL_PASSWORD: '' }],
    ['a value that has no form', 'E_VALUE', args('forms', '--value', 'infinity=error')],
    ['a flag that there is not', 'E_CONFIG', args('x', `--surreal-pasword=${text}`)],
  ]
  planted = [...planted, wrongPassword]
  for (const [what, code, argv, env] of failures) {
    const { stderr } = await run(what, argv, env)
    expect(stderr, what).toContain(code)
  }
})

test('what the config file and the target make of rows', async () => {
  const config = async (name: string, content: string) => {
    await writeFile(join(directory.path, name), content)
    return ['full', 'postgresql', '--config', name, ...place(name.replaceAll('.', '_'))]
  }
  const filter = await config('filter.yaml', `tables: { secrets: { where: 'secret::int > 0' } }\n`)
  const broken = await config('broken.json', `{ "sourcePassword": "${text}", `)
  const throwing = await config(
    'throwing.mjs',
    `export default { transforms: [(rows) => { throw new Error('failed for ' + rows[0].secret) }] }\n`,
  )
  for (const [what, argv] of Object.entries({ filter, broken, throwing })) {
    const { code } = await run(what, argv)
    expect(code, what).toBeGreaterThan(0)
  }
})

async function define(statement: string, name = 'library'): Promise<void> {
  const db = new Surreal({
    engines: createRemoteEngines(),
    websocketImpl: WebSocket as unknown as typeof globalThis.WebSocket,
  })
  await db.connect(target.ws, { authentication: { username: 'root', password: surrealPassword }, reconnect: false })
  await db.use({ namespace: 'canary', database: name })
  await db.query(statement)
  await db.close()
}

test('errors of the library, with their causes, and what its objects show of themselves', async () => {
  const admin = await database.client()
  await admin.query(`create table if not exists numbers (id int primary key, secret text); delete from numbers`)
  await admin.query(`insert into numbers values (1, '${text}')`)
  const source = new PostgresTriggerSource({
    url: `${role.url}?sslmode=disable`,
    tables: ['numbers'],
    shaping: { numbers: { where: 'secret::int > 0' } },
  })
  const sink = (more: object = {}) =>
    new SurrealSink({
      url: target.ws,
      namespace: 'canary',
      database: 'library',
      username: 'root',
      password: surrealPassword,
      ...more,
    })
  const failing: Record<string, () => Promise<unknown>> = {
    'a filter': () => new SyncEngine({ source, sink: sink() }).run({ phase: 'full' }),
    'a poisoned row': async () => {
      const url = new URL(role.url)
      const password = url.password
      url.password = ''
      const byFunction = { url: url.href, password: async () => password }
      const engine = new SyncEngine({
        source: new PostgresTriggerSource({ ...byFunction, tables: ['numbers'] }),
        sink: sink({ username: undefined, password: undefined, token: async () => token }),
        checkpoints: new PostgresCheckpointStore(byFunction),
        id: 'poison',
      })
      traces.set('objects with functions', inspect(engine, { depth: 10, showHidden: true }))
      await engine.run({ phase: 'full' })
      await define('DEFINE FIELD secret ON numbers TYPE int')
      await admin.query(`update numbers set secret = secret || '!'`)
      return engine.run({ phase: 'incremental' })
    },
    'a token that is none': () =>
      new SyncEngine({
        source: new PostgresTriggerSource({ url: role.url, tables: ['numbers'] }),
        sink: sink({ username: undefined, password: undefined, token: async () => text }),
      }).run(),
    'a store for strangers': () =>
      new SyncEngine({
        source: new PostgresTriggerSource({ url: role.url, tables: ['numbers'] }),
        sink: sink(),
        checkpoints: new PostgresCheckpointStore({ url: role.url, password: async () => text }),
      }).run(),
    'a wrong password': () =>
      new SyncEngine({
        source: new PostgresTriggerSource({ url: role.url, password: canary('x') }),
        sink: sink(),
      }).run(),
  }
  for (const [what, fail] of Object.entries(failing)) {
    const error = await fail().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error, what).toBeInstanceOf(SyncError)
    traces.set(`error of ${what}`, inspect(error, { depth: 10, showHidden: true }))
  }
  const store = new FileCheckpointStore(join(directory.path, 'checkpoints'))
  const place = { url: target.ws, namespace: 'canary', database: 'library' }
  const stores = [
    new PostgresCheckpointStore({ url: role.url }),
    new SurrealCheckpointStore({ ...place, username: 'root', password: surrealPassword }),
    new SurrealCheckpointStore({ ...place, token }),
  ]
  const objects = { stores, source, sink: sink(), engine: new SyncEngine({ source, sink: sink(), checkpoints: store }) }
  traces.set('objects', inspect(objects, { depth: 10, showHidden: true }) + JSON.stringify([source, objects.sink]))
})

test.skipIf(process.platform !== 'linux')('arguments of the process, although they had passwords', async () => {
  const flags = ['--source-uri', role.url, '--surreal-password', surrealPassword]
  const { stderr } = await disturbed(
    'arguments',
    ['sync', 'postgresql', ...place('arguments'), ...flags],
    async (pid) => {
      const shown = await readFile(`/proc/${pid}/cmdline`, 'utf8')
      expect(shown).toContain('--source-uri ***')
      traces.set('cmdline', shown)
    },
    { SOURCE_URI: '', SURREAL_PASSWORD: '' },
  )
  expect(stderr).toMatch(/WARN .*password in --source-uri: use SOURCE_URI or SOURCE_URI_FILE/)
  expect(stderr).toMatch(/WARN .*password in --surreal-password/)
})

test('nothing planted is found', async () => {
  const folder = join(directory.path, '.surreal-sync-checkpoints')
  await mkdir(folder, { recursive: true })
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(file.parentPath ?? file.path, file.name)
    traces.set(`file ${file.name}`, await readFile(path, 'utf8'))
  }
  expect([...traces.keys()].filter((name) => name.startsWith('file ')).length).toBeGreaterThan(1)
  expect(traces.size).toBeGreaterThan(40)
  const hits = [...traces].flatMap(([what, trace]) =>
    planted.filter((secret) => trace.includes(secret)).map((secret) => `${what}: ${secret}`),
  )
  expect(hits).toEqual([])
  // And they are what a look would find.
  const admin = await database.client()
  const { rows } = await admin.query<{ all: string }>('select t::text as all from secrets t where id = 2')
  expect([text, json, number].filter((secret) => !rows[0]?.all.includes(secret))).toEqual([])
})
