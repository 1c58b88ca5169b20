/** Tables without a key, where they are wanted: full syncs copy them, and nothing else does. */
import type pg from 'pg'
import { Surreal } from 'surrealdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { SurrealSink } from '../../src/sinks/surreal/surreal-sink.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query(`
    create table keyed (id int primary key, v text); insert into keyed values (1, 'one');
    create table log (at int, line text); insert into log values (1, 'same'), (1, 'same'), (2, null);
    create table parts (p int, v text) partition by list (p);
    create table parts_1 partition of parts for values in (1);
    create table parts_2 partition of parts for values in (2);
    insert into parts values (1, 'a'), (2, 'b'), (2, 'b')`)
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

/** Rows without the columns that PostgreSQL itself adds. */
function lines(replica: Replica, label: string): readonly string[] {
  return replica.sink
    .rows(label)
    .map(({ ctid: _, tableoid: __, ...row }) => JSON.stringify(row))
    .sort()
}

describe('a table without a key', () => {
  it('is copied as often as a full sync runs, duplicates and partitions included', async () => {
    const replica = new Replica({ url: database.url, keyless: 'copy' })
    await replica.full()
    expect(lines(replica, 'public.log')).toEqual([
      '{"at":1,"line":"same"}',
      '{"at":1,"line":"same"}',
      '{"at":2,"line":null}',
    ])
    expect(lines(replica, 'public.parts')).toEqual(['{"p":1,"v":"a"}', '{"p":2,"v":"b"}', '{"p":2,"v":"b"}'])
    await client.query(`update log set line = 'changed' where at = 2`)
    await client.query(`delete from parts where p = 1`)
    await client.query('vacuum full log')
    await replica.full()
    expect(lines(replica, 'public.log')).toEqual([
      '{"at":1,"line":"same"}',
      '{"at":1,"line":"same"}',
      '{"at":2,"line":"changed"}',
    ])
    expect(lines(replica, 'public.parts')).toEqual(['{"p":2,"v":"b"}', '{"p":2,"v":"b"}'])
  })

  it('is not followed, which is said, while the others are', async () => {
    const replica = new Replica({ url: database.url, tables: ['keyed', 'log'], keyless: 'copy' })
    await replica.full()
    await client.query(`insert into log values (3, 'later'); update keyed set v = 'later'; truncate parts`)
    await replica.catchUp()
    expect(replica.column('public.keyed', 'v')).toEqual({ 1: 'later' })
    expect(lines(replica, 'public.log')).toHaveLength(3)
    const warnings = replica.warnings.filter(({ table }) => table !== undefined)
    expect(warnings).toEqual([expect.objectContaining({ code: 'table_not_followed', table: 'public.log' })])
    const { rows } = await client.query(`select tgname from pg_trigger where tgrelid = 'log'::regclass`)
    expect(rows).toEqual([])
  })

  it('has the addresses of its rows as record ids', async () => {
    const { createNodeEngines } = await import('@surrealdb/node')
    const db = new Surreal({ engines: createNodeEngines() })
    await db.connect('mem://')
    await db.use({ namespace: 'test', database: 'test' })
    const source = new PostgresTriggerSource({ url: database.url, tables: ['log'], keyless: 'copy' })
    const sink = new SurrealSink({ connect: async () => db, disconnect: async () => {} })
    await new SyncEngine({ source, sink }).run({ phase: 'full' })
    const [rows] = await db.query<[unknown[]]>(
      'SELECT VALUE [record::id(id), ctid, line] FROM (SELECT * FROM log ORDER BY id)',
    )
    expect(rows).toEqual([
      ['(0,1)', '(0,1)', 'same'],
      ['(0,2)', '(0,2)', 'same'],
      ['(0,3)', '(0,3)', null],
    ])
    await db.close()
  })
})
