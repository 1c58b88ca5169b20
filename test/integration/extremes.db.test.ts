/** Tables of extreme shapes, which users need not know about. */
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore, PostgresTriggerSource, SurrealSink, SyncEngine } from '../../src/index.js'
import { openServer } from '../e2e/target.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'
import { startSurreal } from '../support/surreal-server.js'

const short = Boolean(process.env.TEST_SHORT)
const columnsMax = 1_600
const tableCount = 300
const msPerTable = 200
const largeBytes = 30_000_000

describe('a table of 1,600 columns', () => {
  it('is copied and followed', { timeout: 180_000 }, async () => {
    await using database = await createDatabase()
    const client = await database.client()
    const kinds = ['int', 'bigint', 'boolean', 'smallint'] as const
    const values = ['i', 'i * 1000000000000', 'i % 2 = 0', 'i % 100'] as const
    const others = Array.from({ length: columnsMax - 1 }, (_, index) => index % kinds.length)
    await client.query(
      `create table wide (id int primary key, ${others.map((kind, n) => `c${n} ${kinds[kind]}`).join()})`,
    )
    const rows = `select i, ${others.map((kind) => values[kind]).join()} from generate_series($1::int, $2::int) i`
    await client.query(`insert into wide ${rows}`, [1, 20])
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    expect(await replica.expectEqual()).toMatchObject({ rows: 20 })
    await client.query(`insert into wide ${rows}`, [21, 25])
    await client.query('update wide set c0 = -c0, c1598 = null where id > 10; delete from wide where id < 3')
    await replica.catchUp()
    expect(await replica.expectEqual()).toMatchObject({ rows: 23 })
  })
})

describe('tables of the smallest kinds', () => {
  it('are copied and followed', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`
      create table nothing (id int primary key, name text);
      create table lonely (id int primary key);
      create table texts (id text primary key);
      create table pair (a int, b int, primary key (a, b));
      insert into lonely select generate_series(1, 3000);
      insert into texts values (''), (' '), ('x');
      insert into pair values (1, 2), (2, 1)`)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    expect(await replica.expectEqual()).toMatchObject({ rows: 3_005 })
    await client.query(`
      insert into nothing values (1, null);
      update lonely set id = -id where id <= 10;
      delete from texts;
      delete from pair where a = 1`)
    await replica.catchUp()
    expect(await replica.expectEqual()).toMatchObject({ rows: 3_002 })
    expect(await replica.printed('(SELECT VALUE name FROM nothing:1)')).toBe('[NULL]')
  })
})

describe(`${tableCount} tables`, () => {
  it.skipIf(short)('are copied and followed, most of them empty', { timeout: 180_000 }, async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`do $$ begin
      for i in 1..${tableCount} loop
        execute format('create table t%s (id int primary key, n int)', i);
        if i % 10 = 0 then execute format('insert into t%s select j, j from generate_series(1, %s) j', i, i); end if;
      end loop; end $$`)
    await using replica = await SurrealReplica.open({ url: database.url })
    const startedAt = performance.now()
    await replica.full()
    const ms = (performance.now() - startedAt) / tableCount
    console.log(`a full sync of ${tableCount} tables: ${ms.toFixed(1)} ms for each`)
    expect(ms).toBeLessThan(msPerTable)
    expect(await replica.expectEqual()).toMatchObject({ rows: 4_650 })
    await client.query(`do $$ begin
      for i in 1..${tableCount} loop execute format('insert into t%s values (0, 0)', i); end loop; end $$`)
    await replica.catchUp()
    expect(await replica.expectEqual()).toMatchObject({ rows: 4_950 })
  })
})

describe('a row of 30 MB', () => {
  const lengths = 'SELECT VALUE [n, string::len(body)] FROM large'

  /** Runs both phases, and says what the target must hold then. */
  async function run(client: pg.Client, phase: (phase: 'full' | 'incremental') => Promise<unknown>) {
    const body = `repeat('0123456789', ${largeBytes / 10})`
    await client.query(`
      create table large (id int primary key, body text, n int);
      insert into large values (1, 'a', 1), (2, ${body}, 2), (3, 'b', 3)`)
    await phase('full')
    await client.query(`update large set n = n * 10, body = body || 'x'`)
    await phase('incremental')
    return [10, 20, 30].map((n) => [n, n === 20 ? largeBytes + 1 : 2])
  }

  it.skipIf(short)('is copied and followed, embedded', { timeout: 180_000 }, async () => {
    await using database = await createDatabase()
    await using replica = await SurrealReplica.open({ url: database.url })
    const expected = await run(await database.client(), (phase) => replica.run({ phase }))
    expect(await replica.db.query(lengths)).toEqual([expected])
  })

  it.skipIf(short)('is copied and followed, over WebSocket', { timeout: 180_000 }, async () => {
    await using database = await createDatabase()
    await using server = await startSurreal()
    const use = { namespace: 'test', database: 'test' }
    const checkpoints = new MemoryCheckpointStore()
    const expected = await run(await database.client(), (phase) => {
      const sink = new SurrealSink({ url: server.ws, ...use, username: 'root', password: 'root' })
      const source = new PostgresTriggerSource({ url: database.url })
      return new SyncEngine({ source, sink, checkpoints }).run({ phase })
    })
    await using target = await openServer(server.ws, use)
    expect(await target.db.query(lengths)).toEqual([expected])
  })
})
