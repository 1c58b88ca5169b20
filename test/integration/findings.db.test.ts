/** Every finding of `examine`, brought about for real: by settings, rights, locks, and what others did to the two databases. */
import { copyFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeEngines } from '@surrealdb/node'
import pg from 'pg'
import { Surreal } from 'surrealdb'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import { examine, type Finding, PostgresTriggerSource, SurrealSink, type Table } from '../../src/index.js'
import { openServer } from '../e2e/target.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { startPooler } from '../support/pooler.js'
import { createRole, type TestRole } from '../support/roles.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

type SourceOptions = Omit<ConstructorParameters<typeof PostgresTriggerSource>[0], 'url'>

interface Scene {
  readonly database: TestDatabase
  readonly admin: pg.Client
  /** As little as it may, after a DBA has installed. */
  readonly role: TestRole
  look(options?: SourceOptions): Promise<readonly Finding[]>
}

const place = { namespace: 'n', database: 'd' }
const root = { username: 'root', password: 'root' }

let surreal: SurrealServer
/** What the pipelines of the target would write. */
let taken: readonly Table[]

beforeAll(async () => {
  surreal = await startSurreal()
  await using target = await openServer(surreal.ws)
  await target.db.query('define namespace n; use ns n; define database d')
  await using database = await createDatabase()
  await (await database.client()).query('create table taken (id int primary key)')
  taken = (await sourceOf(database.url).examine()).tables
})

afterAll(() => surreal.stop())
afterEach(() => void vi.useRealTimers())

const plain = (url: string) => `${url}?sslmode=disable`
const sourceOf = (url: string, options: SourceOptions = {}) =>
  new PostgresTriggerSource({ url: plain(url), ...options })
const findingsOf = async (url: string, options?: SourceOptions) => (await sourceOf(url, options).examine()).findings

/** A table that is captured, and a role that may replicate it and nothing else. Only what is done then is wrong. */
async function inScene(work: (scene: Scene) => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  await using database = await createDatabase()
  const admin = await database.client()
  await admin.query('create table t (id int primary key, v text); revoke create on schema public from public')
  await using role = await createRole(database)
  await admin.query(await sourceOf(database.url).installSql({ role: role.name }))
  try {
    return await work({ database, admin, role, look: (options) => findingsOf(role.url, options) })
  } finally {
    await sourceOf(database.url).teardown()
  }
}

/** The same after some SQL; `$` stands for the role. */
const after = (sql: string, options?: SourceOptions) => () =>
  inScene(async ({ admin, role, look }) => {
    await admin.query(sql.replaceAll('$', role.name))
    return look(options)
  })

/** The same for the target alone. */
async function inTarget(sql = '', options: object = { url: surreal.ws, ...root }): Promise<readonly Finding[]> {
  await using target = await openServer(surreal.ws, place)
  await target.db.query(sql)
  try {
    const sink = new SurrealSink({ ...place, ...options } as ConstructorParameters<typeof SurrealSink>[0])
    return await sink.examine({ tables: taken })
  } finally {
    await target.db.query('remove table if exists surreal_sync_check; remove table if exists taken')
  }
}

/** A server of its own, for what holds for all of a server. */
async function onServer(
  settings: Readonly<Record<string, string>>,
  work: (server: PostgresServer, url: string) => Promise<unknown>,
): Promise<readonly Finding[]> {
  await using server = await startPostgres({ settings, durable: true })
  const url = await server.createDatabase('source')
  await work(server, url)
  return await findingsOf(url)
}

/** An hour later on this machine, and not on the servers. */
async function anHourLater(look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
  return look()
}

/** Embedded, opened by the program: its codec knows nothing of bytes that pass through, and decoding on the server is forbidden. */
async function withoutEncoding(): Promise<Surreal> {
  const db = new Surreal({
    engines: createNodeEngines({ capabilities: { functions: { allow: true, deny: ['encoding'] } } }),
  })
  await db.connect('mem://')
  await db.use(place)
  return db
}

/** Connected, and gone when it is asked for something. */
async function closed(): Promise<Surreal> {
  const db = await withoutEncoding()
  await db.close()
  return db
}

/** Takes a record away as soon as it is there. */
const removing = `define event gone on surreal_sync_check when $event = 'CREATE' then (delete $after.id)`

/** How each finding comes about. */
const provocations: { readonly [id: string]: () => Promise<readonly Finding[]> } = {
  'source.connection': () => findingsOf('postgresql://nobody@127.0.0.1:9/nothing'),
  'source.tls': () =>
    inScene(async ({ role }) => (await new PostgresTriggerSource({ url: role.url }).examine()).findings),
  'source.server': () =>
    onServer({}, async (server) => {
      await copyFile(join(server.dataDir, 'PG_VERSION'), join(server.dataDir, 'standby.signal'))
      await server.restart('fast')
    }),
  'source.tables': after('create table log (line text)'),
  'source.timeouts': after(`alter role $ set statement_timeout = '5s'`),
  'source.durability': after('select'),
  'source.connections': after('alter role $ connection limit 6'),
  'source.locks': () =>
    onServer(
      { max_connections: '10', max_wal_senders: '0', max_prepared_transactions: '0', max_locks_per_transaction: '10' },
      async (_, url) => {
        const client = new pg.Client({ connectionString: url })
        await client.connect()
        for (let number = 0; number < 60; number += 1)
          await client.query(`create table t${number} (id int primary key)`)
        await client.end()
      },
    ),
  'source.transactions': () =>
    inScene(async ({ database, admin, role }) => {
      await admin.query(`grant pg_read_all_stats to ${role.name}`)
      const writer = await database.client()
      await writer.query('begin; insert into t values (1)')
      const { findings } = await sourceOf(role.url).examine({ openTransactionMsMax: 1 })
      await writer.query('rollback')
      return findings
    }),
  'source.replication_role': after('alter role $ set session_replication_role = replica'),
  'source.role': () => inScene(({ database }) => findingsOf(database.url)),
  'source.clock': () => inScene(({ look }) => anHourLater(look)),
  'source.rights.schema': after('revoke usage on schema public from public, $'),
  'source.rights.read': after('revoke select on t from $'),
  'source.rights.row_security': after('alter table t enable row level security'),
  'source.rights.changes': after('revoke select on surreal_sync_changes from $'),
  'source.rights.sequence': after('revoke select on surreal_sync_changes_sequence_id_seq from $'),
  'source.rights.meta': after('revoke select on surreal_sync_meta from $'),
  'source.rights.position': after('revoke update on surreal_sync_consumers from $'),
  'source.rights.prune': after('revoke delete on surreal_sync_changes from $'),
  'source.rights.forget': after('revoke delete on surreal_sync_consumers from $'),
  'source.rights.detach': after('select', { auditBytesMax: 2 ** 30, auditLimitPolicy: 'detach' }),
  'source.rights.install': () =>
    inScene(async ({ database, admin, role, look }) => {
      await sourceOf(database.url).teardown()
      await admin.query(`grant select on t to ${role.name}`)
      return look()
    }),
  'source.capture': after('alter table surreal_sync_changes alter sequence_id set cache 20'),
  'source.capture.trigger': after('alter table t disable trigger all'),
  'source.capture.function': after('alter table t add column w int, drop constraint t_pkey, add primary key (w)'),
  'source.capture.replicated': () =>
    inScene(async ({ database, admin, role, look }) => {
      await sourceOf(database.url).teardown()
      await admin.query(`grant select, trigger on t to ${role.name}; grant create on schema public to ${role.name}`)
      const source = sourceOf(role.url)
      await source.open({ syncId: 'ordinary', warn: () => undefined })
      await source.prepare(await source.tables(), {})
      await source.close()
      return look()
    }),
  'source.audit': after('insert into t values (1)', { auditBytesMax: 1 }),
  'source.consumers': after(
    `insert into surreal_sync_consumers (id, position, seen_at) values ('gone', 0, now() - interval '2 days')`,
  ),
  'target.connection': () => inTarget('', { url: 'ws://127.0.0.1:9', ...root }),
  'target.version': () => inTarget('', { connect: closed, disconnect: async () => undefined }),
  'target.tls': () => inTarget('', { url: surreal.ws.replace('127.0.0.1', '0.0.0.0'), ...root }),
  'target.clock': () => anHourLater(() => inTarget()),
  'target.encoding': () => inTarget('', { connect: withoutEncoding }),
  'target.rights.define': async () => {
    await using target = await openServer(surreal.ws, place)
    await target.db.query('define user overwrite viewer on database password "look-only" roles viewer')
    return inTarget('', { url: surreal.ws, username: 'viewer', password: 'look-only' })
  },
  'target.rights.write': () => inTarget('define field value on surreal_sync_check value "another"'),
  'target.rights.read': () => inTarget(removing),
  'target.rights.remove': () => inTarget(removing),
  'target.tables': () => inTarget('create taken:1'),
}

const wrong = (findings: readonly Finding[]) => findings.filter(({ outcome }) => outcome !== 'ok')

describe('a finding', () => {
  it.each(Object.keys(provocations))('%s is brought about, and says what to do', async (id) => {
    const findings = await provocations[id]?.()
    const found = wrong(findings ?? []).find((finding) => finding.id === id)
    expect(found, JSON.stringify(findings?.map((each) => [each.id, each.message]))).toBeDefined()
    expect(found?.message).toMatch(/^\S/)
    expect(found?.remedy).toMatch(/\S/)
  })

  it('is none where all is well', async () => {
    // The server of the tests loses what it has with the machine, on purpose.
    const usual = ['source.durability']
    expect(wrong(await after('insert into t values (1)')()).map(({ id }) => id)).toEqual(usual)
    expect(wrong(await inTarget())).toEqual([])
  })

  it('has a provocation here, whichever it is', async () => {
    const folder = join(import.meta.dirname, '../../src')
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
    const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
    const ids = texts.flatMap((text) => text.match(/(?<=')(?:source|target)\.[a-z_.]+(?=')/g) ?? [])
    expect([...new Set(ids)].sort()).toEqual(Object.keys(provocations).sort())
  })
})

describe('what examine says', () => {
  it('of an audit table that was removed because it was too large', async () => {
    const limit = { auditBytesMax: 1, auditLimitPolicy: 'detach' } as const
    const findings = await inScene(async ({ database, admin, look }) => {
      await admin.query('insert into t values (1)')
      expect(await sourceOf(database.url, limit).enforceAuditLimit()).toMatchObject({ state: 'detached' })
      return look()
    })
    expect(findings.filter(({ id }) => id === 'source.audit')).toEqual([
      {
        ...{ id: 'source.audit', outcome: 'problem' },
        message: expect.stringMatching(/ was removed at \d{4}-\S+Z, because its \d+ bytes .* \[E_AUDIT_DETACHED\]$/),
        remedy: expect.stringContaining('`restart`'),
      },
    ])
  })

  it('of a pooler in between', async () => {
    await using database = await createDatabase()
    const url = new URL(database.url)
    await using pooler = await startPooler(url.hostname, Number(url.port))
    const direct = await findingsOf(url.href)
    url.port = String(pooler.port)
    const pooled = await examine({ source: sourceOf(url.href) })
    const said = (findings: readonly Finding[]) => findings.find(({ id }) => id === 'source.connection')?.message
    expect(said(direct)).not.toMatch(/pooler/)
    expect(said(pooled)).toMatch(/^Connected to .+ as \S+, through a pooler$/)
  })
})
