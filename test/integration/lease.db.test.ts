/** One run of a pipeline at a time: who is alive is known at the source, and a second one is refused or takes over. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import { SyncError } from '../../src/core/errors.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { PipelineLease } from '../../src/sources/postgres/pipeline-lease.js'
import type { Session } from '../../src/sources/postgres/session.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Follower, Replica } from '../support/replica.js'
import { SurrealReplica } from '../support/surreal-replica.js'

let database: TestDatabase
let client: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query(`create table users (id int primary key, name text); insert into users values (1, 'Ada')`)
  replica = new Replica({ url: `${database.url}?sslmode=disable` })
  await replica.full()
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

/** The sessions that hold an advisory lock in this database. */
async function holders(): Promise<readonly number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_locks where locktype = 'advisory' and granted
     and database = (select oid from pg_database where datname = current_database())`,
  )
  return rows.map(({ pid }) => pid)
}

async function follow(): Promise<Follower> {
  const follower = new Follower(replica)
  await follower.reaches(0)
  return follower
}

async function endHolder(): Promise<number> {
  const [pid = 0] = await holders()
  await client.query('select pg_terminate_backend($1)', [pid])
  return pid
}

describe('a second run', () => {
  it('is refused while the first one goes on, whatever it is to do, and may begin at once after it', async () => {
    const first = await follow()
    const before = [replica.sink.operations.length, await replica.store.load('default')]
    for (const options of [{}, { phase: 'full' }, { phase: 'incremental' }, { restart: true }] as const) {
      const second = new Replica({ url: database.url })
      const refused = second.run(options)
      await expect(refused).rejects.toMatchObject({
        code: 'E_LEASE_HELD',
        message: expect.stringMatching(
          /^The pipeline default is already running, as session \d+ of PostgreSQL since 20/,
        ),
      })
      expect(second.sink.operations).toEqual([])
    }
    expect([replica.sink.operations.length, await replica.store.load('default')]).toEqual(before)
    await first.stop()
    expect(await holders()).toEqual([])
    await replica.catchUp()
  })

  it('of another pipeline, and a plan, are not', async () => {
    const first = await follow()
    expect(await new Replica({ url: database.url }).engine().plan()).toMatchObject({ phases: ['full', 'incremental'] })
    await new Replica({ url: database.url }).engine({ id: 'other' }).run()
    await first.stop()
  })

  it('that takes over ends the first one, also if that had nothing to do', async () => {
    const first = await follow()
    const writes = replica.sink.operations.length
    const second = new Follower(new Replica({ url: database.url }), { phase: undefined, takeover: true })
    await expect(first.ended).rejects.toMatchObject({ code: 'E_LEASE_LOST' })
    expect(replica.sink.operations).toHaveLength(writes)
    await second.stop()
    expect(await holders()).toEqual([])
    // Without anybody to end it is a run like any other.
    await replica.run({ takeover: true })
  })
})

it('a connection that is cut costs the lease only if somebody else took it', async () => {
  const first = await follow()
  const pid = await endHolder()
  // The session that was ended may hold it for a moment longer.
  await expect.poll(holders, { timeout: 20_000 }).toSatisfy((pids) => pids.length === 1 && pids[0] !== pid)
  await expect(new Replica({ url: database.url }).run()).rejects.toMatchObject({ code: 'E_LEASE_HELD' })
  await client.query(`insert into users values (2, 'Grace')`)
  await first.reaches(1)
  await first.stop()
})

it('a run that began and ended meanwhile ends the one that lost the lease for a while', async () => {
  await using surreal = await SurrealReplica.open({ url: database.url })
  await surreal.full()
  const stop = new AbortController()
  const first = surreal.engine()
  const caughtUp = new Promise((resolve) => first.once('caughtUp', resolve))
  const running = first.run({ follow: true, signal: stop.signal })
  await caughtUp
  await endHolder()
  const ended = expect(running).rejects.toMatchObject({ code: 'E_LEASE_LOST' })
  await surreal.catchUp()
  await ended
})

/** Connections as they are behind a pooler: the process that answers is not the one that the client was told of. */
class Pooled extends Connections {
  override async session(): Promise<Session> {
    const session = await super.session()
    Reflect.set(session.client, 'processID', -1)
    return session
  }
}

it('behind a pooler it is held by a transaction, which keeps no snapshot', async () => {
  const settings = parseConnection(`${database.url}?sslmode=disable`, {})
  const connections = new Pooled(settings, () => undefined)
  const lost: SyncError[] = []
  const options = { takeover: false, doubted: () => undefined, lost: (error: SyncError) => lost.push(error) }
  const lease = await PipelineLease.take(connections, 'default', options)
  const { rows } = await client.query(
    'select state, backend_xmin, backend_xid from pg_stat_activity where pid = any($1)',
    [await holders()],
  )
  expect(rows).toEqual([{ state: 'idle in transaction', backend_xmin: null, backend_xid: null }])
  await expect(PipelineLease.take(connections, 'default', options)).rejects.toBeInstanceOf(SyncError)
  await expect(replica.run()).rejects.toMatchObject({ code: 'E_LEASE_HELD' })
  await lease[Symbol.asyncDispose]()
  expect([await holders(), lost]).toEqual([[], []])
  await connections.close()
  await replica.run()
})
