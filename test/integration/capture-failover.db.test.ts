/** Servers that crash, stand by and are promoted: what was applied stays true, and what may be missing is refused. */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import { eventually } from '../support/eventually.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Follower, Replica } from '../support/replica.js'

let server: PostgresServer
let url: string
let replica: Replica

beforeEach(async () => {
  // Without a hurry to write what an asynchronous commit has left in memory.
  server = await startPostgres({ durable: true, settings: { wal_writer_delay: '10s', wal_writer_flush_after: '1GB' } })
  url = await server.createDatabase('source')
  await run('create table t (id int primary key, v text)')
  replica = new Replica({ url })
  await replica.full()
})

afterEach(async () => {
  await server[Symbol.asyncDispose]()
})

async function run(...statements: readonly string[]): Promise<readonly (readonly unknown[])[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    let rows: readonly (readonly unknown[])[] = []
    for (const text of statements) ({ rows } = await client.query<unknown[]>({ text, rowMode: 'array' }))
    return rows
  } finally {
    await client.end()
  }
}

async function stored(): Promise<unknown> {
  return replica.store.load('default')
}

/** The refusal leaves the target and its position as they were. */
async function expectRefusal(code: string, work: () => Promise<unknown>): Promise<void> {
  const before = [replica.sink.operations.length, replica.sink.rows('public.t'), await stored()]
  await expect(work()).rejects.toMatchObject({ code })
  expect([replica.sink.operations.length, replica.sink.rows('public.t'), await stored()]).toEqual(before)
}

/** Notes for each write whether all of the log is on disk by then. */
class ObservingSink extends MemorySink {
  readonly flushed: unknown[] = []

  override async write(...args: Parameters<MemorySink['write']>): Promise<void> {
    const [row] = await run('select pg_current_wal_insert_lsn() <= pg_current_wal_flush_lsn()')
    this.flushed.push(row?.[0])
    await super.write(...args)
  }
}

it('applies nothing that a crash of the server could take back', async () => {
  const sink = new ObservingSink()
  const engine = new SyncEngine({ source: new PostgresTriggerSource({ url }), sink, checkpoints: sink })
  const stop = new AbortController()
  const caughtUp = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
  const following = engine.run({ follow: true, signal: stop.signal })
  await Promise.race([caughtUp, following])
  sink.flushed.length = 0
  const loose: unknown[] = []
  for (let number = 1; number <= 10; number += 1) {
    const [row] = await run(
      'set synchronous_commit = off',
      `insert into t values (${number}, 'loose')`,
      'select pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()',
    )
    loose.push(row?.[0])
    await eventually(async () => sink.rows('public.t').length === number, 'the row is applied')
  }
  stop.abort()
  await following
  // Nobody else made sure of it.
  expect(loose).toContain(true)
  expect(new Set(sink.flushed)).toEqual(new Set([true]))
  const applied = sink.rows('public.t')
  await server.restart('immediate')
  expect(await run('select id, v from t order by id')).toEqual(applied.map(({ id, v }) => [id, v]))
})

it('goes on after a restart, an immediate stop, and a backend that was killed', async () => {
  const follower = new Follower(replica)
  await follower.reaches(0)
  const faults = {
    fast: () => server.restart('fast'),
    immediate: () => server.restart('immediate'),
    // One backend that is killed takes all others with it: the server starts again by itself.
    killed: async () => {
      const [row] = await run(
        `select pid from pg_stat_activity where application_name like 'surreal-sync%' and backend_type = 'client backend'`,
      )
      process.kill(Number(row?.[0]), 'SIGKILL')
      await eventually(() => run('select 1').then(Boolean, () => false), 'the server has recovered')
    },
  }
  let id = 0
  for (const [name, fault] of Object.entries(faults)) {
    await run(`insert into t values (${++id}, 'before ${name}')`)
    await fault()
    await run(`insert into t values (${++id}, 'after ${name}')`)
    await eventually(async () => replica.sink.rows('public.t').length === id, `changes arrive after ${name}`)
  }
  await follower.stop()
  await expectFresh(replica, { url })
})

it('reads no changes from a standby, and refuses what was promoted', async () => {
  await run(`insert into t values (1, 'one')`)
  await replica.catchUp()
  await run(`insert into t values (2, 'two')`)
  // With this file, and no primary to follow, the server stands by at the end of its log.
  await copyFile(join(server.dataDir, 'PG_VERSION'), join(server.dataDir, 'standby.signal'))
  await server.restart('fast')
  expect(await run('select pg_is_in_recovery()')).toEqual([[true]])
  await expectRefusal('E_SOURCE_IDENTITY', () => replica.catchUp())
  await expectRefusal('E_SOURCE_IDENTITY', () => replica.catchUpFromNumber())
  await expectRefusal('E_SOURCE_IDENTITY', () => replica.full())

  expect(await run('select pg_promote()')).toEqual([[true]])
  await expectRefusal('E_SOURCE_REWOUND', () => replica.catchUp())
  await replica.full()
  await run(`insert into t values (3, 'three')`)
  await replica.catchUp()
  await expectFresh(replica, { url })
})
