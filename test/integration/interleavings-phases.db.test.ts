/** Writes at each moment of a full sync, and transactions that outlive servers or belong to other databases. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RowBatch } from '../../src/core/batch.js'
import type { Chunk, ReadOptions, Snapshot } from '../../src/core/source.js'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query(
    `create table accounts (id int primary key, v text); insert into accounts values (1, 'one'), (2, 'two')`,
  )
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

const moments = [
  'before the triggers',
  'before the snapshot',
  'before the chunks',
  'before a chunk',
  'within a chunk',
  'after a chunk',
  'after the snapshot',
] as const
type Moment = (typeof moments)[number]

/** The product's source, which tells when it comes to each moment of a full sync. */
class TellingSource extends PostgresTriggerSource {
  readonly #tell: (moment: Moment) => Promise<void>

  constructor(url: string, tell: (moment: Moment) => Promise<void>) {
    super({ url })
    this.#tell = tell
  }

  override async prepare(...args: Parameters<PostgresTriggerSource['prepare']>): Promise<void> {
    await this.#tell('before the triggers')
    await super.prepare(...args)
    await this.#tell('before the snapshot')
  }

  override async openSnapshot(...args: Parameters<PostgresTriggerSource['openSnapshot']>): Promise<Snapshot> {
    const snapshot = await super.openSnapshot(...args)
    const tell = this.#tell
    await tell('before the chunks')
    return {
      position: snapshot.position,
      chunks: (...rest) => snapshot.chunks(...rest),
      absent: snapshot.absent?.bind(snapshot),
      async *read(chunk: Chunk, options: ReadOptions): AsyncGenerator<RowBatch> {
        await tell('before a chunk')
        for await (const batch of snapshot.read(chunk, options)) {
          yield batch
          await tell('within a chunk')
        }
        await tell('after a chunk')
      },
      async [Symbol.asyncDispose]() {
        await snapshot[Symbol.asyncDispose]()
        await tell('after the snapshot')
      },
    }
  }
}

describe('a row that is written in a full sync', () => {
  const writes: Readonly<Record<string, (turn: number) => string>> = {
    inserted: (turn) => `insert into accounts values (${100 + turn}, 'new')`,
    updated: (turn) => `update accounts set v = 'turn ${turn}' where id = 1`,
    deleted: () => 'delete from accounts where id = 2',
    'deleted and inserted again': (turn) =>
      `delete from accounts where id = 1; insert into accounts values (1, 'again ${turn}')`,
    moved: () => 'update accounts set id = id + 1000 where id in (1, 2)',
    truncated: (turn) => `truncate accounts; insert into accounts values (${turn}, 'first')`,
  }
  const cells = moments
    .flatMap((moment) => Object.keys(writes).map((write) => [write, moment] as const))
    // TRUNCATE waits for the chunk, which here would wait for TRUNCATE.
    .filter(([write, moment]) => !(write === 'truncated' && moment === 'within a chunk'))

  it.each(cells)('%s %s is right once the changes are applied', async (write, moment) => {
    const sink = new MemorySink()
    let turn = 0
    const source = new TellingSource(database.url, async (now) => {
      if (now !== moment) return
      turn += 1
      await client.query(writes[write]?.(turn) ?? '')
    })
    await new SyncEngine({ source, sink, checkpoints: sink }).run()
    expect(turn).toBeGreaterThan(0)
    const { rows } = await client.query<{ id: number; v: string }>('select id, v from accounts order by id')
    expect([...sink.rows('public.accounts')].sort((a, b) => Number(a.id) - Number(b.id))).toEqual(rows)
  })

  it('updated before and after its chunk was copied, is applied once with its last state', async () => {
    const sink = new MemorySink()
    const source = new TellingSource(database.url, async (now) => {
      if (now === 'before a chunk' || now === 'after a chunk')
        await client.query(`update accounts set v = v || '.' where id = 1`)
    })
    await new SyncEngine({ source, sink, checkpoints: sink }).run()
    expect(sink.rows('public.accounts')).toContainEqual({ id: 1, v: 'one..' })
  })

  it('by a transaction that is open while the triggers are installed is waited for', async () => {
    const replica = new Replica({ url: database.url })
    const writer = await database.client()
    await writer.query(`begin; insert into accounts values (50, 'open')`)
    const full = replica.full()
    // The installer waits for the table's lock, or has given way for a moment.
    await writer.query(`insert into accounts values (51, 'still open'); commit`)
    await full
    await replica.catchUp()
    await expectFresh(replica, { url: database.url })
  })
})

describe('a transaction', () => {
  it('that writes in another database of the cluster holds up nothing', async () => {
    await using other = await createDatabase()
    const stranger = await other.client()
    await stranger.query('create table t (id int); begin; insert into t values (1)')
    const replica = new Replica({ url: database.url })
    await replica.full()
    await client.query(`begin; insert into accounts values (9, 'undone'); rollback`)
    await client.query(`insert into accounts values (10, 'kept')`)
    await replica.catchUp()
    await replica.catchUp()
    expect((await replica.catchUp()).position).toBe('postgresql:sequence:2')
    await expectFresh(replica, { url: database.url })
    await stranger.query('rollback')
  })

  it('that was prepared before a crash of the server is applied when it commits', async () => {
    await using server = await startPostgres({ durable: true })
    const url = await server.createDatabase('crash')
    const { default: driver } = await import('pg')
    const connect = async () => {
      const session = new driver.Client({ connectionString: url })
      session.on('error', () => undefined)
      await session.connect()
      return session
    }
    let session = await connect()
    await session.query('create table accounts (id int primary key, v text)')
    const replica = new Replica({ url })
    await replica.full()
    await session.query(`begin; insert into accounts values (1, 'prepared'); prepare transaction 'p'`)
    await session.query(`insert into accounts values (2, 'other')`)
    expect((await replica.catchUp()).position).toBe('postgresql:sequence:0')
    await server.restart('immediate')
    session = await connect()
    await session.query(`insert into accounts values (3, 'after')`)
    for (let turn = 0; turn < 3; turn++) {
      expect((await replica.catchUp()).position).toBe('postgresql:sequence:0')
    }
    await session.query(`commit prepared 'p'`)
    await session.end()
    await replica.catchUp()
    await expectFresh(replica, { url })
    expect(replica.column('public.accounts', 'v')).toEqual({ 1: 'prepared', 2: 'other', 3: 'after' })
  })
})
