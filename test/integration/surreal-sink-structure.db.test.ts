/** What the sink does when rows have other columns than their table, or their table has changed. */
import { describe, expect, it } from 'vitest'
import { PostgresTriggerSource, type Row, SurrealSink, SyncEngine, type Transform } from '../../src/index.js'
import { openServer } from '../e2e/target.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'
import { startSurreal } from '../support/surreal-server.js'

const mapping =
  (reshape: (row: Row) => Row | null): Transform =>
  (rows) =>
    rows.map(reshape)

describe('transforms', () => {
  it('drop, add, rename and change fields and remove rows, in both phases alike', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(
      'create table people (code text primary key, id int, name text, secret text, price numeric, vip bool)',
    )
    const insert = (from: number, to: number) =>
      client.query(
        `insert into people select 'c' || i, i, 'n' || i, 's', i + 0.5, i % 2 = 0 from generate_series($1::int, $2::int) i`,
        [from, to],
      )
    await insert(1, 40)
    const transform = mapping(({ secret: _, name, ...row }) => {
      if (row.id === 3 || row.id === 53) return null
      const badge: Row = row.vip === true ? { badge: 'gold' } : {}
      return {
        ...row,
        ...badge,
        full_name: `Mx ${name}`,
        half: Number(row.price) / 2,
        price: Number(row.price) * 2,
        id_: 'x',
      }
    })
    await using replica = await SurrealReplica.open({ url: database.url, engine: { transforms: [transform] } })
    await replica.full()
    await insert(41, 60)
    await client.query(`update people set name = 'new' where id in (1, 2, 3); delete from people where id = 4`)
    await replica.catchUp()
    expect(await replica.printed('SELECT * FROM people:c1')).toBe(
      `[{ code: 'c1', full_name: 'Mx new', half: 0.75f, id: people:c1, id_: 1, id__: 'x', price: 3dec, vip: false }]`,
    )
    expect(await replica.printed('SELECT * FROM people:c52')).toBe(
      `[{ badge: 'gold', code: 'c52', full_name: 'Mx n52', half: 26.25f, id: people:c52, id_: 52, id__: 'x', price: 105dec, vip: true }]`,
    )
    // A row has its own fields, whichever rows it travelled with.
    expect(await replica.printed('SELECT VALUE id FROM people WHERE (badge = NONE) = vip')).toBe('[]')
    expect(await replica.printed('(SELECT count() FROM people GROUP ALL)[0].count')).toBe('57')
  })

  it('that begin to remove a row remove it at its next change', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`create table t (id int primary key, v text); insert into t values (1, 'a'), (2, 'b')`)
    const transform = mapping((row) => (row.v === 'gone' ? null : row))
    await using replica = await SurrealReplica.open({ url: database.url, engine: { transforms: [transform] } })
    await replica.full()
    await client.query(`update t set v = 'gone' where id = 1`)
    await replica.catchUp()
    expect(await replica.printed('SELECT * FROM t')).toBe(`[{ id: t:2, v: 'b' }]`)
  })
})

describe('a replaced table', () => {
  const changes = [
    ['int to double precision', 'int', '1', 'alter table t alter column v type double precision', '1f'],
    ['int to numeric', 'int', '1', 'alter table t alter column v type numeric', '1dec'],
    ['double precision to int', 'double precision', '0', 'alter table t alter column v type int', '0'],
    ['int[] to float[]', 'int[]', '{1,2}', 'alter table t alter column v type float[]', '[1f, 2f]'],
    [
      'the sign of zero',
      'double precision',
      '0',
      `alter table t alter column v type double precision using '-0'`,
      '-0f',
    ],
  ] as const

  it.each(changes)('gets the new kind of an equal value: %s', async (_, type, value, ddl, expected) => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`create table t (id int primary key, v ${type})`)
    await client.query('insert into t values (1, $1)', [value])
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await replica.db.query('CREATE person:1; RELATE person:1->likes->t:1; CREATE t:9 CONTENT { v: 9 }')
    await client.query(ddl)
    await replica.catchUp()
    expect(await replica.printed('SELECT * FROM t')).toBe(`[{ id: t:1, v: ${expected} }]`)
    expect(await replica.printed('person:1->likes->t')).toBe('[t:1]')
    await replica.expectEqual({ tables: ['public.t'] })
  })

  it('also gets it by another full sync, and keeps its graph edges', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(
      'create table t (id int primary key, v int); insert into t select i, i from generate_series(1, 9) i',
    )
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await replica.db.query('CREATE person:1; RELATE person:1->likes->t:1')
    await client.query('alter table t alter column v type float')
    await replica.full()
    expect(await replica.printed('SELECT VALUE v FROM t')).toBe('[1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f, 9f]')
    expect(await replica.printed('person:1->likes->t')).toBe('[t:1]')
  })

  it('sends no event for rows that are the same, and obeys the types of the target', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(
      `create table t (id int primary key, v int, w text); insert into t values (1, 1, 'a'), (2, 2, 'b')`,
    )
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.db.query(`
      DEFINE TABLE t SCHEMAFULL; DEFINE FIELD v ON t TYPE float; DEFINE FIELD w ON t TYPE string;
      DEFINE TABLE log; DEFINE EVENT e ON t WHEN true THEN (CREATE log CONTENT { event: $event })`)
    await replica.full()
    await replica.full()
    expect(await replica.printed('SELECT VALUE event FROM log')).toBe(`['CREATE', 'CREATE']`)
    expect(await replica.printed('SELECT * FROM t')).toBe(`[{ id: t:1, v: 1f, w: 'a' }, { id: t:2, v: 2f, w: 'b' }]`)
  })
})

describe('forms of values', () => {
  it('are chosen for all, for a type and for a column, keys included', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`
      create table a (k interval primary key, took interval, d date, n numeric(5,2), u uuid);
      create table b (k date primary key, took interval, list date[], x text)`)
    const insert = async (n: number) => {
      await client.query(
        `insert into a values ('${n} days', '1 hour', '2024-01-01', null, '00000000-0000-0000-0000-000000000000')`,
      )
      await client.query(`insert into b values ('2024-01-0${n}', '1 hour', '{2024-01-01}', null)`)
    }
    await insert(1)
    const values = {
      interval: 'string',
      types: { date: { date: 'string' }, 'numeric(5,2)': { nulls: 'none' } },
      columns: { 'public.a.took': { interval: 'object' }, 'b.k': { date: 'datetime' } },
    } as const
    await using replica = await SurrealReplica.open({ url: database.url, sink: { uuid: 'string', values } })
    await replica.full()
    await insert(2)
    await client.query('delete from a where k = $1', ['1 day'])
    await client.query('delete from b where k = $1', ['2024-01-01'])
    await replica.catchUp()
    expect(await replica.printed('SELECT * FROM a')).toBe(
      `[{ d: '2024-01-01', id: a:P2D, k: 'P2D', took: { days: 0, microseconds: 3600000000, months: 0 }, u: '00000000-0000-0000-0000-000000000000' }]`,
    )
    expect(await replica.printed('SELECT * FROM b')).toBe(
      `[{ id: b:[d'2024-01-02T00:00:00Z'], k: d'2024-01-02T00:00:00Z', list: ['2024-01-01'], took: 'PT1H', x: NULL }]`,
    )
    expect(replica.warnings.filter(({ code }) => code.startsWith('value'))).toEqual([])
  })

  it('are chosen by the names of the source', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`create table t (id int primary key, took interval); insert into t values (1, '1 hour')`)
    const shaping = { t: { as: 'times', rename: { took: 'duration' } } }
    const values = { columns: { 't.took': { interval: 'string' } } } as const
    await using replica = await SurrealReplica.open({ url: database.url, source: { shaping }, sink: { values } })
    await replica.full()
    expect(await replica.printed('SELECT * FROM times')).toBe(`[{ duration: 'PT1H', id: times:1 }]`)
  })

  it('for a column that does not exist are refused before anything is written', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query('create table t (id int primary key, v interval)')
    const values = { columns: { 'public.t.w': { interval: 'object' } } } as const
    await using replica = await SurrealReplica.open({ url: database.url, sink: { values } })
    await expect(replica.full()).rejects.toThrow(
      'A form was chosen for the values of public.t.w, but no table has this column',
    )
    expect(await replica.printed('object::keys((INFO FOR DB).tables)')).toBe('[]')
  })
})

const long = `insert into docs
  select $1::int, jsonb_build_object('list', jsonb_agg(jsonb_build_object('n', i, 'text', repeat('x', 1000))))
  from generate_series(1, 29000) i`

describe('rows of every size', () => {
  it('a jsonb of 30 MB arrives over a WebSocket', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query('create table docs (id int primary key, doc jsonb)')
    await client.query(long, [1])
    await using server = await startSurreal()
    const target = { url: server.ws, namespace: 'test', database: 'test', username: 'root', password: 'root' }
    const engine = new SyncEngine({
      source: new PostgresTriggerSource({ url: database.url }),
      sink: new SurrealSink(target),
    })
    await engine.run({ phase: 'full' })
    await using opened = await openServer(server.ws, { namespace: 'test', database: 'test' })
    const [rows] = await opened.db.query('SELECT VALUE [array::len(doc.list), doc.list[28999].n] FROM docs')
    expect(rows).toEqual([[29_000, 29_000]])
  })

  it('a jsonb of 30 MB is replicated in both phases, and a larger row is refused by name', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(
      'create table docs (id int primary key, doc jsonb); create table texts (id int primary key, v text)',
    )
    await client.query(long, [1])
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await client.query(long, [2])
    await replica.catchUp()
    expect(await replica.printed('SELECT VALUE [array::len(doc.list), doc.list[28999].n] FROM docs')).toBe(
      '[[29000, 29000], [29000, 29000]]',
    )
    await client.query(`insert into texts select 1, repeat('x', 40000000)`)
    const refusal = {
      code: 'E_ROW_TOO_LARGE',
      message: 'A row of public.texts takes more than 33554432 bytes: column v alone has 40000000',
      details: { table: 'public.texts', column: 'v', hint: expect.stringContaining('maxRowBytes') },
    }
    await expect(replica.catchUp()).rejects.toMatchObject(refusal)
    await expect(replica.full()).rejects.toMatchObject(refusal)
  })
})
