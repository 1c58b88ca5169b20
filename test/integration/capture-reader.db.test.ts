/** How changes are read: tables that are locked, long backlogs, lost connections, and what an idle reader costs. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Follower, Replica } from '../support/replica.js'

let database: TestDatabase
let url: string
let a: pg.Client
let b: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  url = `${database.url}?sslmode=disable`
  a = await database.client()
  b = await database.client()
  await a.query(`
    create table accounts (id bigint primary key, v text);
    create table orders (id bigint primary key, v text);
    insert into accounts values (1, 'one'); insert into orders values (1, 'one')`)
  replica = new Replica({ url })
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

async function source(table: string): Promise<Readonly<Record<string, unknown>>> {
  const { rows } = await a.query<{ id: string; v: unknown }>(`select id, v from ${table}`)
  return Object.fromEntries(rows.map(({ id, v }) => [id, v]))
}

async function isEqual(table: string): Promise<boolean> {
  const [there, here] = [await source(table), replica.column(`public.${table}`, 'v')]
  return (
    Object.keys(there).length === Object.keys(here).length && Object.entries(there).every(([id, v]) => here[id] === v)
  )
}

describe('a table that somebody locks', () => {
  it('is held back alone; its changes come when it is free, and none is lost on the way', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    const positions: number[] = []
    follower.engine.on('checkpoint', ({ text }) => positions.push(Number(text.split(':').at(-1))))
    await b.query(`insert into accounts values (2, 'before the lock')`)
    await a.query(
      `begin; insert into accounts values (3, 'of the one who locks'); lock table accounts in access exclusive mode`,
    )
    // As another transaction would have, had it committed just before.
    await b.query(`insert into surreal_sync_changes (table_id, table_name, operation, row_id)
      values ('accounts'::regclass, 'public.accounts', 'UPDATE', '[2]')`)
    await b.query(`insert into orders select i, 'o' || i from generate_series(2, 30) i`)
    await expect.poll(() => replica.sink.rows('public.orders').length, { timeout: 10_000 }).toBe(30)
    for (let turn = 0; turn < 20; turn++) await b.query('update orders set v = $1 where id = 5', [`turn ${turn}`])
    await expect.poll(() => replica.column('public.orders', 'v')['5'], { timeout: 10_000 }).toBe('turn 19')
    expect(Math.max(...positions, 0)).toBeLessThan(4)
    await a.query(`insert into accounts values (4, 'more'); commit`)
    await expect.poll(() => isEqual('accounts'), { timeout: 45_000 }).toBe(true)
    await follower.stop()
    expect(replica.warnings.map(({ code, table }) => `${code} ${table}`)).toContain('table_held_back public.accounts')
    await replica.catchUp()
    expect(await isEqual('accounts')).toBe(true)
  })

  it('loses nothing when the reader stops meanwhile', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    await a.query('begin; lock table accounts in access exclusive mode')
    await b.query(`insert into surreal_sync_changes (table_id, table_name, operation, row_id)
      values ('accounts'::regclass, 'public.accounts', 'UPDATE', '[1]')`)
    await b.query(`insert into orders values (2, 'two')`)
    await expect.poll(() => replica.sink.rows('public.orders').length, { timeout: 10_000 }).toBe(2)
    const { position } = await follower.stop()
    expect(position).toBe('postgresql:sequence:0')
    await a.query('commit')
    await replica.catchUp()
    expect(await isEqual('accounts')).toBe(true)
  })
})

describe('a backlog', () => {
  it('of two bulk transactions that interleave, the first one committed long before the second', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    await a.query('begin')
    for (let part = 0; part < 60; part++) {
      await a.query(`insert into accounts select i, 'a' from generate_series($1::int, $1 + 499) i`, [
        1_000_000 + part * 500,
      ])
      await b.query(`insert into orders select i, 'b' from generate_series($1::int, $1 + 499) i`, [
        1_000_000 + part * 500,
      ])
    }
    await expect.poll(() => replica.sink.rows('public.orders').length, { timeout: 30_000 }).toBe(30_001)
    await a.query('commit')
    await expect.poll(() => replica.sink.rows('public.accounts').length, { timeout: 30_000 }).toBe(30_001)
    await follower.stop()
  })

  it('is read in few large deltas, and what is current in small ones', async () => {
    await replica.full()
    await a.query(`insert into accounts select i, 'v' from generate_series(2, 60000) i`)
    const engine = replica.engine()
    let checkpoints = 0
    engine.on('checkpoint', () => {
      checkpoints += 1
    })
    await engine.run({ phase: 'incremental' })
    expect(replica.sink.rows('public.accounts')).toHaveLength(60_000)
    expect(checkpoints).toBeLessThan(8)
  })
})

describe('a connection', () => {
  it('may be killed at any moment, also while idle: the run goes on and the process lives', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    for (let turn = 0; turn < 5; turn++) {
      await a.query('insert into accounts values ($1)', [100 + turn])
      await a.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'surreal-sync%'`)
      await expect.poll(() => isEqual('accounts'), { timeout: 20_000 }).toBe(true)
    }
    await follower.stop()
  })

  it('that goes dead without a word is given up', async () => {
    const target = new URL(database.url)
    await using hole = await BlackHole.open(Number(target.port), target.hostname)
    target.port = String(hole.port)
    const settings = parseConnection(`${target.href}?sslmode=disable`)
    const connections = new Connections(settings, () => {}, { silenceMsMax: 200 })
    const session = await connections.session()
    expect(await session.rows('looking', 'select 1')).toEqual([['1']])
    hole.swallow()
    await expect(session.rows('looking', 'select 1')).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
    session.destroy()
    await connections.close()
  })

  it('that is only slow is not', async () => {
    const connections = new Connections(parseConnection(url), () => {}, { silenceMsMax: 300 })
    const session = await connections.session()
    await session.rows('waiting', 'select pg_sleep(0.2)')
    const until = performance.now() + 700
    const rows = session.rows('waiting', 'select 1')
    while (performance.now() < until);
    expect(await rows).toEqual([['1']])
    session.release()
    await connections.close()
  })
})

describe('an idle reader', () => {
  it('asks one short question now and then, in no transaction and with no lock but the lease', async () => {
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    const calls = async () => {
      const { rows } = await a.query<{ count: string }>(
        'select xact_commit as count from pg_stat_database where datname = current_database()',
      )
      return Number(rows[0]?.count)
    }
    const before = await calls()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect((await calls()) - before).toBeLessThan(150)
    const locks = async () => {
      const { rows } = await a.query(`select l.locktype from pg_locks l join pg_stat_activity s using (pid)
        where s.application_name like 'surreal-sync%' and s.datname = current_database() and s.state <> 'active'`)
      return rows
    }
    // Now and then it looks at the structure of the tables, in a transaction as short as that.
    await expect.poll(locks, { interval: 20 }).toEqual([{ locktype: 'advisory' }])
    await follower.stop()
  })
})

/** Passes bytes on until told to swallow them. */
class BlackHole implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets: Socket[] = []
  #open = true

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(port: number, host: string): Promise<BlackHole> {
    const server = createServer()
    const hole = new BlackHole(server)
    server.on('connection', (client) => {
      const upstream = connect(port, host)
      hole.#sockets.push(client, upstream)
      for (const socket of [client, upstream]) socket.on('error', () => {})
      client.on('data', (bytes) => hole.#open && upstream.write(bytes))
      upstream.on('data', (bytes) => hole.#open && client.write(bytes))
      client.on('close', () => upstream.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return hole
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  swallow(): void {
    this.#open = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}
