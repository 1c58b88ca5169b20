/** What keeps a run from harming its source. */
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import {
  MemoryCheckpointStore,
  PostgresTriggerSource,
  SyncEngine,
  type SyncEvents,
  type SyncWarning,
} from '../../src/index.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { auditNames } from '../../src/sources/postgres/schema.sql.js'
import { SourceGuard } from '../../src/sources/postgres/source-guard.js'
import { MemorySink } from '../../src/testing/index.js'
import { createDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { createRole } from '../support/roles.js'

type Options = Omit<ConstructorParameters<typeof PostgresTriggerSource>[0], 'url'>

/** An engine whose warnings are kept. */
function engineOf(url: string, options: Options, more: object = {}) {
  const warnings: SyncEvents['warning'][0][] = []
  const source = new PostgresTriggerSource({ url, ...options })
  const engine = new SyncEngine({
    source,
    sink: new MemorySink(),
    checkpoints: new MemoryCheckpointStore(),
    id: 'protected',
    ...more,
  })
  engine.on('warning', (warning) => warnings.push(warning))
  return { engine, source, codes: () => warnings.map(({ code }) => code) }
}

it('a run has no more connections open than it may', async () => {
  await using database = await createDatabase()
  const admin = await database.client()
  for (let table = 0; table < 12; table += 1) {
    await admin.query(
      `create table t${table} (id int primary key, filler text); insert into t${table} select n, repeat('x', 500) from generate_series(1, 3000) n`,
    )
  }
  const counts: number[] = []
  let asked = Promise.resolve()
  const count = async () => {
    const { rows } = await admin.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name like 'surreal-sync%'`,
    )
    counts.push(rows[0]?.count ?? 0)
  }
  const { engine } = engineOf(
    database.url,
    { connectionsMax: 6, auditBytesMax: 2 ** 40 },
    { concurrency: 12, inFlight: 12, limits: { rowsMax: 200 } },
  )
  engine.on('batch', () => {
    asked = asked.then(count)
  })
  await engine.run()
  await asked
  expect(counts.length).toBeGreaterThan(100)
  expect(Math.max(...counts)).toBeLessThanOrEqual(6)
  expect(Math.max(...counts)).toBeGreaterThan(2)
})

it('statements have the timeouts that were asked for', async () => {
  await using database = await createDatabase()
  const limits = { statementTimeoutMs: 50, lockTimeoutMs: 1_234 }
  const connections = new Connections(parseConnection(database.url), () => undefined, limits)
  const shown = await connections.use((session) =>
    session.within('look', () =>
      session.rows('asking', `select current_setting('statement_timeout'), current_setting('lock_timeout')`),
    ),
  )
  expect(shown).toEqual([['50ms', '1234ms']])
  const slow = connections.use((session) =>
    session.within('look', () => session.rows('sleeping', 'select pg_catalog.pg_sleep(60)')),
  )
  await expect(slow).rejects.toMatchObject({ code: 'E_BUSY', retryable: true })
  await connections.close()
})

it('rows are read at the rate that was asked for, by copies and rereads alike', async () => {
  await using database = await createDatabase()
  const admin = await database.client()
  await admin.query('create table t (id int primary key); insert into t select generate_series(1, 50)')
  const taken: number[] = []
  const rate = {
    async take(rows: number) {
      taken.push(rows)
    },
  }
  const connections = new Connections(parseConnection(database.url), () => undefined, { rate })
  await connections.use(async (session) => {
    for await (const rows of session.copy('copy t to stdout (format binary)', { rowsMax: 20, bytesMax: 10_000 }))
      void rows
  })
  await connections.close()
  expect(taken).toEqual([20, 20, 10])
  // And the option leads there: the rows of the first table wait for most of a minute, others that have none do not.
  for (const table of ['u', 'v', 'w', 'x', 'y']) await admin.query(`create table ${table} (id int primary key)`)
  const { engine } = engineOf(database.url, { maxRowsPerSecond: 1 }, { concurrency: 2, limits: { rowsMax: 50 } })
  const stop = new AbortController()
  const done: string[] = []
  engine.on('table', ({ state, table }) => {
    if (state === 'done') done.push(table.label)
    if (done.length === 5) stop.abort()
  })
  expect(await engine.run({ signal: stop.signal })).toMatchObject({ reason: 'aborted' })
  expect(done).not.toContain('public.t')
})

describe('a limit of the audit table', () => {
  it('is warned of, and the run goes on', async () => {
    await using database = await createDatabase()
    await (await database.client()).query('create table t (id int primary key); insert into t values (1)')
    const { engine, codes } = engineOf(database.url, {})
    await engine.run()
    const limited = engineOf(database.url, { auditBytesMax: 1 })
    expect(await limited.engine.run()).toMatchObject({ reason: 'completed' })
    expect(codes()).not.toContain('audit_limit')
    expect(limited.codes()).toContain('audit_limit')
  })

  it('ends the run and removes what is installed, if that is the policy, and only a new full sync helps', async () => {
    await using database = await createDatabase()
    const admin = await database.client()
    await admin.query('create table t (id int primary key); insert into t values (1)')
    const shared = { checkpoints: new MemoryCheckpointStore(), sink: new MemorySink() }
    await engineOf(database.url, {}, shared).engine.run()
    await admin.query('insert into t values (2)')
    const { engine, source, codes } = engineOf(database.url, { auditBytesMax: 1, auditLimitPolicy: 'detach' }, shared)
    await expect(engine.run({ follow: true })).rejects.toMatchObject({ code: 'E_AUDIT_DETACHED', retryable: false })
    expect(codes()).not.toContain('audit_not_detached')
    expect(await source.teardownSql()).toBe('begin;\ndrop table if exists public.surreal_sync_meta;\ncommit;\n')
    await admin.query('insert into t values (3)')
    const next = engineOf(database.url, {}, shared)
    await expect(next.engine.run()).rejects.toMatchObject({
      code: 'E_AUDIT_DETACHED',
      details: { hint: expect.stringMatching(/full sync/) },
    })
    expect(await next.engine.run({ restart: true })).toMatchObject({ reason: 'completed' })
    expect(shared.sink.rows('public.t')).toHaveLength(3)
  })

  it('is warned of once by a role that may not remove what is installed, and the run goes on', async () => {
    await using database = await createDatabase()
    const admin = await database.client()
    await admin.query('create table t (id int primary key); insert into t values (1)')
    await using role = await createRole(database)
    const owner = new PostgresTriggerSource({ url: database.url })
    await admin.query(await owner.installSql({ role: role.name }))
    const shared = { checkpoints: new MemoryCheckpointStore(), sink: new MemorySink() }
    await engineOf(role.url, {}, shared).engine.run()
    const options = { auditBytesMax: 1, auditLimitPolicy: 'detach' } as const
    const detachments = (codes: string[]) => codes.filter((code) => code.startsWith('audit_'))
    for (const [id, restart] of [
      [2, false],
      [3, true],
    ] as const) {
      await admin.query(`insert into t values (${id})`)
      const { engine, codes } = engineOf(role.url, options, shared)
      expect(await engine.run({ restart })).toMatchObject({ reason: 'completed' })
      expect(detachments(codes())).toEqual(['audit_limit', 'audit_not_detached'])
      expect(shared.sink.rows('public.t')).toHaveLength(id)
    }
    expect(await owner.status()).toMatchObject({ installed: true, detached: undefined })

    await admin.query('insert into t values (4)')
    const warnings: SyncWarning[] = []
    const connections = new Connections(parseConnection(role.url), () => undefined)
    const warn = (warning: SyncWarning) => void warnings.push(warning)
    const names = auditNames('public')
    const guard = new SourceGuard({ ...options, connections, names, auditSchema: 'public', syncId: 'another', warn })
    expect(await guard.look()).toBeUndefined()
    // Nor may it remove what was applied.
    await admin.query(`revoke delete on surreal_sync_changes from ${role.name}`)
    expect(await guard.look()).toBeUndefined()
    expect(guard.detachment).toBeUndefined()
    expect(warnings).toMatchObject([
      { code: 'audit_limit' },
      { code: 'audit_not_detached', message: expect.stringMatching(/goes on growing: This role may not remove /) },
    ])
    await connections.close()
    await owner.teardown()
  })
})

it('copying pauses while a standby is behind, and goes on when it has caught up', async () => {
  await using database = await createDatabase()
  const admin = await database.client()
  await admin.query('create table t (id int primary key); insert into t values (1)')
  const standby = await Standby.connect(database.url)
  try {
    await standby.replayed('0/1')
    const lag = () =>
      admin.query(`select from pg_stat_replication where application_name = '${standby.name}' and replay_lsn = '0/1'`)
    await eventually(async () => (await lag()).rows.length === 1, 'the standby is behind')
    const { engine } = engineOf(database.url, { replicationLagBytesMax: 1_000 })
    const order: string[] = []
    engine.on('warning', ({ code }) => {
      order.push(code)
      if (code === 'source_paused') void standby.replayed('FFFFFF/0')
    })
    engine.on('batch', ({ rows }) => rows > 0 && order.push('rows'))
    await engine.run()
    expect(order.filter((event) => event !== 'plaintext')).toEqual(['source_paused', 'source_resumed', 'rows'])
  } finally {
    await standby.end()
  }
})

it('copying pauses while another pipeline has too much to apply, and not for one that does not run', async () => {
  await using database = await createDatabase()
  const admin = await database.client()
  await admin.query('create table t (id int primary key); insert into t values (0)')
  let applying: Promise<void> | undefined
  let apply = () => {}
  const held = async <Rows>(rows: Rows) => {
    await applying
    return rows
  }
  const other = engineOf(database.url, {}, { id: 'other', transforms: [held] })
  const stop = new AbortController()
  const following = other.engine.run({ follow: true, signal: stop.signal })
  await eventually(async () => {
    const pipelines = (await other.source.status()).pipelines
    return pipelines.some(({ id, phase }) => id === 'other' && phase === 'incremental')
  }, 'the other pipeline follows')
  applying = new Promise((resolve) => {
    apply = resolve
  })
  await admin.query('insert into t select n from generate_series(1, 500) n')

  const copy = async (codes: string[], warned: (code: string) => void) => {
    const { engine } = engineOf(database.url, { auditLagMax: 100 })
    engine.on('warning', ({ code }) => {
      if (code.startsWith('source_')) codes.push(code)
      warned(code)
    })
    engine.on('batch', ({ rows }) => rows > 0 && codes.push('rows'))
    await engine.run({ phase: 'full' })
  }
  const paused: string[] = []
  await copy(paused, (code) => code === 'source_paused' && apply())
  expect(paused).toEqual(['source_paused', 'source_resumed', 'rows'])

  stop.abort()
  await following
  await admin.query('update t set id = id + 1000')
  const alone: string[] = []
  await copy(alone, () => {})
  expect(alone).toEqual(['rows'])
})

/** As much of a standby as the primary can tell. */
class Standby {
  readonly name = `standby ${process.pid}`
  readonly #client: pg.Client

  private constructor(url: string) {
    const config = { connectionString: url, application_name: this.name }
    this.#client = new pg.Client(Object.assign(config, { replication: 'true' }))
    this.#client.on('error', () => {})
  }

  static async connect(url: string): Promise<Standby> {
    const standby = new Standby(url)
    await standby.#client.connect()
    const { rows } = await standby.#client.query<{ xlogpos: string }>('IDENTIFY_SYSTEM')
    // It never ends, and is not a query to the driver.
    standby.#client.query(`START_REPLICATION PHYSICAL ${rows[0]?.xlogpos}`).catch(() => {})
    await new Promise((resolve) => standby.#client.connection.once('replicationStart', resolve))
    return standby
  }

  /** Tells how far it is: https://www.postgresql.org/docs/current/protocol-replication.html */
  async replayed(position: string): Promise<void> {
    const [high = 0, low = 0] = position.split('/').map((part) => Number.parseInt(part, 16))
    const message = Buffer.alloc(1 + 4 + 1 + 8 * 4 + 1)
    message.write('d', 0)
    message.writeInt32BE(message.length - 1, 1)
    message.write('r', 5)
    for (let field = 0; field < 3; field += 1) {
      message.writeUInt32BE(high, 6 + field * 8)
      message.writeUInt32BE(low, 10 + field * 8)
    }
    const stream: Duplex = this.#client.connection.stream
    stream.write(message)
  }

  async end(): Promise<void> {
    this.#client.connection.stream.destroy()
  }
}
