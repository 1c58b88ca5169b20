/** `verify`: what it finds, what it leaves alone, and that it is right about tables that change under its eyes. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type Difference,
  PostgresTriggerSource,
  SurrealSink,
  SyncEngine,
  type VerifyOptions,
  verify,
} from '../../src/index.js'
import { openServer } from '../e2e/target.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'
import { startSurreal } from '../support/surreal-server.js'
import { pipelineId, place, plantAndVerify, root } from '../verify/planted.js'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
})
afterEach(() => database[Symbol.asyncDispose]())

const found = (differences: readonly Difference[]) =>
  differences.map(({ table, kind, key, fields }) => [table, kind, key, ...fields].join(' ')).sort()

describe('at rest', () => {
  it('names the keys of rows that differ, and the fields, but no value', async () => {
    await client.query(`
      create table users (id int primary key, name text, note text);
      insert into users select i, 'user ' || i, 'secret ' || i from generate_series(1, 3000) i;
      create schema shop;
      create table shop.orders (customer int, number text, total numeric, primary key (customer, number));
      insert into shop.orders select i, 'A-' || i, i from generate_series(1, 500) i`)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    expect(await replica.verify()).toMatchObject({ equal: true, rows: 3_500, differences: 0, listed: [] })
    await replica.db.query(`
      delete users:1700;
      create users:9000 set name = 'nobody';
      update users:5 set name = 'somebody', note = none;
      update orders:[7, 'A-7'] set total = 8dec`)
    const result = await replica.verify()
    expect(found(result.listed)).toEqual([
      'public.users different 5 name note',
      'public.users extra 9000',
      'public.users missing 1700',
      'shop.orders different [7, "A-7"] total',
    ])
    expect(result).toMatchObject({ equal: false, rows: 3_500, differences: 4 })
    expect(JSON.stringify(result)).not.toMatch(/secret|body/)
    expect(result.tables).toMatchObject([
      { table: 'public.users', rows: 3_000, records: 3_000, missing: 1, extra: 1, different: 1 },
      { table: 'shop.orders', rows: 500, records: 500, missing: 0, extra: 0, different: 1 },
    ])
  })

  it('takes selected columns, filters and other names into account, and says what it cannot compare', async () => {
    await client.query(`
      create table users (id int primary key, name text, note text, active bool);
      insert into users select i, 'user ' || i, 'secret', i % 2 = 0 from generate_series(1, 1000) i;
      create table masked (id int primary key, v text); insert into masked values (1, 'a')`)
    const shaping = {
      users: { as: 'people', where: 'active', excludeColumns: ['note'], rename: { name: 'id_', id: 'number' } },
    }
    await using replica = await SurrealReplica.open({ url: database.url, source: { shaping } })
    await replica.full()
    expect(await replica.verify()).toMatchObject({ equal: true, rows: 501 })
    await client.query('update users set active = not active where id in (1, 2); delete from users where id = 4')
    await replica.catchUp()
    expect(await replica.verify()).toMatchObject({ equal: true, rows: 500 })
    await replica.db.query('DELETE people:6; CREATE people:3 SET id_ = 1; UPDATE people:8 SET id_ = 2')
    expect(found((await replica.verify()).listed)).toEqual([
      'public.users different 8 id_',
      'public.users extra 3',
      'public.users missing 6',
    ])
    await replica.db.query('DELETE people:3')
    replica.configure({ source: { shaping: { masked: { mask: { v: 'null' } } } } })
    const result = await replica.verify({ tables: ['public.masked'], exclusive: false })
    expect(result).toMatchObject({ equal: false, tables: [{ skipped: 'it has masks' }] })
  })

  it('reads intervals of every sign, in every form', async () => {
    const intervals = [
      '0',
      '1 day',
      '-1.5 s',
      '1 year 2 mons -3 days 4:05:06.789',
      '-1 mon',
      '-2 days 01:00',
      '36:00:00.000001',
    ]
    const values = intervals.map((text, index) => `(${index}, ${Array(3).fill(`'${text}'`).join(', ')})`)
    await client.query(
      `create table t (id int primary key, a interval, b interval, c interval); insert into t values ${values}`,
    )
    const columns = { 'public.t.b': { interval: 'string' }, 'public.t.c': { interval: 'object' } } as const
    await using replica = await SurrealReplica.open({ url: database.url, sink: { values: { columns } } })
    await replica.full()
    expect(await replica.verify()).toMatchObject({ equal: true, rows: intervals.length, differences: 0 })
    await replica.db.query(`UPDATE t:2 SET b = 'PT1.5S'; UPDATE t:3 SET c.days = 3`)
    expect(found((await replica.verify()).listed)).toEqual(['public.t different 2 b', 'public.t different 3 c'])
  })

  it('lists as many as asked for, and gives all of them to the listener', async () => {
    await client.query('create table t (id int primary key); insert into t select generate_series(1, 1200)')
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await replica.db.query('delete t where id > t:200')
    const given: Difference[] = []
    const result = await replica.verify({ listMax: 5, onDifference: (difference) => given.push(difference) })
    expect(result).toMatchObject({ differences: 1_000 })
    expect(result.listed).toHaveLength(5)
    expect(new Set(given.map(({ key }) => key)).size).toBe(1_000)
  })

  it('knows tables that are missing, empty, without a key, or not its own', async () => {
    await client.query(`
      create table gone (id int primary key); insert into gone values (1), (2);
      create table vacant (id int primary key);
      create table keyless (n int); insert into keyless values (1)`)
    await using replica = await SurrealReplica.open({ url: database.url, source: { keyless: 'copy' } })
    await replica.full()
    await replica.db.query('remove table gone; create others:1')
    const result = await replica.verify({ exclusive: false })
    expect(found(result.listed)).toEqual(['public.gone missing 1', 'public.gone missing 2'])
    expect(result.others).toEqual(['others'])
    expect(result.tables).toMatchObject([
      { table: 'public.gone', rows: 2, records: 0, missing: 2 },
      { table: 'public.keyless', skipped: expect.stringMatching(/no key/) },
      { table: 'public.vacant', rows: 0, records: 0, missing: 0 },
    ])
    const strict = await replica.verify({ exclusive: true })
    expect(found(strict.listed)).toContain('others extra 1')
    expect(strict.others).toEqual([])
    // What was left out is not called equal.
    expect(await replica.verify({ exclusive: false, tables: ['public.keyless'] })).toMatchObject({ equal: false })
    expect(await replica.verify({ exclusive: false, tables: ['public.vacant'] })).toMatchObject({ equal: true })
    await expect(replica.verify({ tables: ['public.none'] })).rejects.toMatchObject({ code: 'E_UNKNOWN_TABLE' })
  })

  it('leaves alone what others have in a table that is shared', async () => {
    await client.query('create table t (id int primary key); insert into t values (1), (2)')
    await using replica = await SurrealReplica.open({ url: database.url, sink: { existing: 'keep' } })
    await replica.db.query('create t:100')
    await replica.full()
    expect(await replica.verify()).toMatchObject({ equal: true, tables: [{ rows: 2, records: 3, extra: 0 }] })
    await replica.db.query('delete t:2')
    expect(found((await replica.verify()).listed)).toEqual(['public.t missing 2'])
  })

  it('looks for keys of every type, also where PostgreSQL cannot be asked by them', async () => {
    const types = ['int8', 'text', 'uuid', 'numeric', 'timestamptz', 'bytea', 'bool', 'interval', 'int4range', 'float8']
    const cells = [
      ...["'9007199254740993'", "'it''s'", 'gen_random_uuid()', "'1.50'", "'2024-01-01 12:00:00.000001+00'"],
      ...["'\\xff00'", "'true'", "'1 month'", "'[1,5)'", "'0.1'"],
    ]
    for (const [index, type] of types.entries()) {
      await client.query(
        `create table t${index} (k ${type} primary key, v int); insert into t${index} values (${cells[index]}, 1)`,
      )
    }
    await client.query(
      `create table pair (a text, b int, v int, primary key (b, a)); insert into pair values ('x', 2, 1)`,
    )
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    for (const index of types.keys()) await replica.db.query(`update t${index} set v = 2; create t${index}:wrong`)
    await replica.db.query('update pair set v = 2')
    const { listed } = await replica.verify()
    expect(listed.filter(({ kind }) => kind === 'different').map(({ table }) => table)).toHaveLength(types.length + 1)
    expect(listed.filter(({ kind }) => kind === 'extra').map(({ key }) => key)).toEqual(types.map(() => '"wrong"'))
    expect(listed.filter(({ kind }) => kind === 'missing')).toEqual([])
  })

  it('does not run a cast that somebody made', async () => {
    await client.query(`
      create type mood as enum ('sad');
      create function spy(mood) returns json language plpgsql as $$ begin raise exception 'ran'; end $$;
      create cast (mood as json) with function spy(mood);
      create table t (id int primary key, m mood); insert into t values (1, 'sad')`)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    expect((await replica.verify()).tables).toMatchObject([{ skipped: expect.stringMatching(/column m .* cast/) }])
  })
})

it('finds an error of every kind in a large table, and nothing else', async () => {
  await using server = await startSurreal()
  const report = await plantAndVerify({
    ...{ source: database.url, target: server.ws, rows: 20_000 },
    copy: async () => {
      const source = new PostgresTriggerSource({ url: database.url })
      const sink = new SurrealSink({ url: server.ws, ...place, ...root })
      await new SyncEngine({ source, sink, id: pipelineId }).run({ phase: 'full' })
    },
  })
  expect(report.found).toEqual(report.expected)
  expect(report.expected.length).toBeGreaterThan(15)
})

describe('while both sides change', () => {
  const id = 'live'
  const target = { namespace: 'test', database: 'test', ...root }

  it('finds what was planted, and nothing that only moves', async () => {
    await client.query(`
      create table accounts (id int primary key, balance int not null, seen timestamptz);
      insert into accounts select i, 100 from generate_series(1, 4000) i;
      create table moves (id bigint generated always as identity primary key, who int)`)
    await using server = await startSurreal()
    const sides = () => ({
      source: new PostgresTriggerSource({ url: database.url }),
      sink: new SurrealSink({ url: server.ws, ...target }),
    })
    const engine = new SyncEngine({ ...sides(), id })
    const stop = new AbortController()
    const run = engine.run({ follow: true, signal: stop.signal })
    await Promise.race([new Promise<void>((resolve) => engine.once('caughtUp', () => resolve())), run])
    let writing = true
    const writer = (async () => {
      const application = await database.client()
      for (let n = 1; writing; n += 1) {
        const [from, to] = [(n * 7) % 3_000, (n * 13) % 3_000]
        await application.query('update accounts set balance = balance - 1, seen = now() where id = $1', [from])
        await application.query('update accounts set balance = balance + 1, seen = now() where id = $1', [to])
        await application.query('insert into moves (who) values ($1)', [from])
        if (n % 5 === 0) await application.query('delete from moves where id = $1', [n - 3])
        if (n % 50 === 0) await application.query('begin; insert into moves (who) values (0); rollback')
      }
    })()
    const check = (options: Partial<VerifyOptions> = {}) => {
      const { source, sink } = sides()
      return verify({ source, target: sink, id, ...options })
    }
    const before = await check()
    expect(found(before.listed)).toEqual([])
    expect(before.equal).toBe(true)
    await using opened = await openServer(server.ws, { namespace: 'test', database: 'test' })
    await opened.db.query('delete accounts:3500; update accounts:3600 set balance = 99; create accounts:9999')
    expect(found((await check()).listed)).toEqual([
      'public.accounts different 3600 balance',
      'public.accounts extra 9999',
      'public.accounts missing 3500',
    ])
    writing = false
    await writer
    stop.abort()
    await run
    // Nobody applies this any more.
    await client.query('update accounts set balance = 0 where id = 1')
    await expect(check({ waitMsMax: 200 })).rejects.toMatchObject({ code: 'E_BUSY' })
    await expect(check({ id: 'nobody' })).rejects.toMatchObject({ code: 'E_STATE_MISSING' })
    expect((await check({ atRest: true })).differences).toBeGreaterThanOrEqual(4)
  })
})
