/** Rows that the target refuses: named by default, kept aside on request, in both phases. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PostgresTriggerSource, retryQuarantine, SurrealSink, SyncEngine, verify } from '../../src/index.js'
import { readPage } from '../docs/markdown.js'
import { surrealSyncHere, temporaryDirectory } from '../e2e/command.js'
import { connectionFlags } from '../e2e/flags.js'
import { namespace, openTarget, database as targetDatabase } from '../e2e/target.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { SurrealReplica, type SurrealReplicaOptions } from '../support/surreal-replica.js'
import { startSurreal } from '../support/surreal-server.js'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query('create table users (id int primary key, name text, doc text)')
})
afterEach(() => database[Symbol.asyncDispose]())

/** What makes row 7 one that cannot be written, and what is said of it. */
const refusals = {
  'an assertion': {
    definition: `define field name on users assert $value != 'secret 7'`,
    reason: /definitions of the target table \(field name\)$/,
    code: 'E_POISON_ROW',
  },
  'an event that throws': {
    definition: `define event guard on users when $after.name = 'secret 7' then { throw 'secret 7' }`,
    reason: /^an event of the target table refuses a row$/,
    code: 'E_POISON_ROW',
  },
  'a unique index': {
    definition: `define index one on users fields name unique; create users:999 set name = 'secret 7'`,
    reason: /unique index/,
    code: 'E_POISON_ROW',
    others: 1,
  },
  'its size': {
    definition: 'return 1',
    reason: /takes \d+ bytes, more than 20000$/,
    code: 'E_ROW_TOO_LARGE',
    large: true,
  },
} as const

const insertSql = (large: boolean) => `
  insert into users select i, 'secret ' || i, ${large ? `repeat('x', case when i = 7 then 30000 else 1 end)` : `'x'`}
  from generate_series(1, 300) i`

interface Entry {
  readonly record: string
  readonly table: string
  readonly code: string
  readonly reason: string
  readonly op: string
}

async function entries({ db }: SurrealReplica): Promise<readonly Entry[]> {
  const [found] = await db.query<[Entry[]]>('select record, table, code, reason, op from surreal_sync_quarantine')
  return found
}

const countOf = async ({ db }: SurrealReplica) => (await db.query<[number]>('return count(select id from users)'))[0]

async function consistent({ db }: SurrealReplica): Promise<boolean> {
  return (await db.query<[boolean]>(`return surreal_sync_state:['default', 0].consistent`))[0]
}

describe.each(Object.entries(refusals))('%s', (_, { definition, reason, code, ...more }) => {
  const large = 'large' in more
  const others = 'others' in more ? more.others : 0
  const open = (quarantine: boolean) =>
    SurrealReplica.open({
      url: database.url,
      sink: { quarantine, existing: 'keep', ...(large && { maxRowBytes: 20_000 }) },
    })

  it('stops both phases, and names the row but no value', async () => {
    await using replica = await open(false)
    await replica.full()
    await replica.db.query(definition)
    await client.query(insertSql(large))
    const failures = [await replica.catchUp().catch((error: unknown) => error)]
    await using fresh = await open(false)
    await fresh.db.query(definition)
    failures.push(await fresh.full().catch((error: unknown) => error))
    for (const failure of failures) {
      expect(failure).toMatchObject({ code, details: { table: 'public.users' } })
      if (!large) expect(String(failure)).toContain('users:7 of public.users')
      expect(`${failure} ${JSON.stringify((failure as { details?: unknown }).details)}`).not.toContain('secret')
    }
    // Nothing of the delta was applied.
    expect(await countOf(replica)).toBe(others)
  })

  it('is kept aside by the incremental phase, until a later version of the row can be written', async () => {
    await using replica = await open(true)
    await replica.full()
    await replica.db.query(definition)
    await client.query(insertSql(large))
    await replica.catchUp()
    expect(await countOf(replica)).toBe(299 + others)
    expect(await entries(replica)).toEqual([
      { record: 'users:7', table: 'public.users', code, reason: expect.stringMatching(reason), op: 'upsert' },
    ])
    expect(replica.warnings.filter(({ code }) => code === 'row_quarantined')).toHaveLength(1)
    expect(JSON.stringify(replica.warnings)).not.toContain('secret')
    expect(await consistent(replica)).toBe(false)
    // Other rows go on, and the entry stays.
    await client.query(`update users set doc = 'y' where id < 5`)
    await replica.catchUp()
    expect(await entries(replica)).toHaveLength(1)
    expect(await consistent(replica)).toBe(false)
    await client.query(`update users set name = 'fine', doc = '' where id = 7`)
    await replica.catchUp()
    expect(await entries(replica)).toEqual([])
    expect(await countOf(replica)).toBe(300 + others)
    expect(await consistent(replica)).toBe(true)
  })

  it('is kept aside by the full phase, and its entry goes with the row', async () => {
    await using replica = await open(true)
    await replica.db.query(definition)
    await client.query(insertSql(large))
    await replica.full()
    expect(await entries(replica)).toMatchObject([{ record: 'users:7', code }])
    expect(await countOf(replica)).toBe(299 + others)
    await replica.full()
    expect(await entries(replica)).toMatchObject([{ record: 'users:7', code }])
    await client.query('delete from users where id = 7')
    await replica.catchUp()
    expect(await entries(replica)).toEqual([])
  })
})

it('finds many of them among many rows of several tables', async () => {
  await client.query('create table orders (a int, b text, v int, primary key (a, b))')
  await using replica = await SurrealReplica.open({ url: database.url, sink: { quarantine: true } })
  await replica.full()
  await replica.db.query(`define field v on orders assert $value % 20 != 3;
    define event keep on users when $event = 'DELETE' and $before.id = users:2 then { throw 'no' }`)
  await client.query(`insert into orders select i, 'k' || i, i from generate_series(1, 200) i;
    insert into users select i, 'x' from generate_series(1, 10) i`)
  await replica.catchUp()
  await client.query('delete from users where id < 4')
  await replica.catchUp()
  const found = await entries(replica)
  expect(found.filter(({ table }) => table === 'public.orders')).toHaveLength(10)
  expect(found.filter(({ op }) => op === 'delete')).toMatchObject([{ record: 'users:2', table: 'public.users' }])
  expect(await countOf(replica)).toBe(8)
})

it.each(['before', 'after'] as const)(
  'I10: a cut %s the transaction that keeps a row aside leaves all of it or nothing',
  async (when) => {
    await using server = await startSurreal()
    const sides = () => ({
      source: new PostgresTriggerSource({ url: database.url }),
      sink: new SurrealSink({
        ...{ url: server.ws, namespace, database: targetDatabase, username: 'root', password: 'root' },
        quarantine: true,
      }),
    })
    await new SyncEngine(sides()).run()
    await using target = await openTarget(server.ws)
    await target.db.query(`define field name on users assert $value != 'secret 7'`)
    await client.query(insertSql(false))
    const { triggered } = await server.fault({ when, action: 'cut', matching: 'FOR $entry IN $kept' })
    await new SyncEngine(sides()).run()
    await triggered
    const [count, kept, state] = await target.db.query<[number, number, { readonly consistent: boolean }]>(
      `return count(select id from users); return count(select id from surreal_sync_quarantine);
     select consistent from only surreal_sync_state:['default', 0]`,
    )
    expect([count, kept, state.consistent]).toEqual([299, 1, false])
    await client.query(`update users set name = 'fine' where id = 7`)
    await new SyncEngine(sides()).run()
    const { source, sink } = sides()
    expect(await verify({ source, target: sink, atRest: true })).toMatchObject({ equal: true, rows: 300 })
  },
)

it('is forgotten when the row goes, also where records of rows that are gone stay', async () => {
  const source = { shaping: { users: { deletes: 'ignore' } } } as const
  await using replica = await SurrealReplica.open({ url: database.url, source, sink: { quarantine: true } })
  await client.query(insertSql(false))
  await replica.db.query(`define table users; ${refusals['an assertion'].definition}`)
  await replica.full()
  expect(await entries(replica)).toHaveLength(1)
  await client.query('delete from users where id in (7, 8)')
  await replica.catchUp()
  expect(await entries(replica)).toEqual([])
  expect(await replica.printed('(SELECT count() FROM users GROUP ALL)[0].count')).toBe('299')
})

it('is forgotten also in a transaction of which another row is kept aside', async () => {
  const source = { shaping: { users: { deletes: 'ignore' } } } as const
  await using replica = await SurrealReplica.open({ url: database.url, source, sink: { quarantine: true } })
  await client.query(insertSql(false))
  await replica.db.query(`define table users; ${refusals['an assertion'].definition}`)
  await replica.full()
  await client.query(`delete from users where id = 7; update users set name = 'secret 7' where id = 9`)
  await replica.catchUp()
  expect((await entries(replica)).map(({ record }) => record)).toEqual(['users:9'])
  await client.query(`update users set name = 'fine' where id = 9`)
  await replica.catchUp()
  expect(await consistent(replica)).toBe(true)
})

describe('entries of a table that is not followed any more', () => {
  const kept = async (replica: SurrealReplica) => (await entries(replica)).map(({ record }) => record)

  async function withEntry(more: Partial<SurrealReplicaOptions> = {}) {
    await client.query('create table orders (id int primary key); insert into orders values (1)')
    const replica = await SurrealReplica.open({ url: database.url, sink: { quarantine: true }, ...more })
    await replica.full()
    await replica.db.query(refusals['an assertion'].definition)
    await client.query(insertSql(false))
    await replica.catchUp()
    expect(await kept(replica)).toEqual(['users:7'])
    return replica
  }
  const retry = (replica: SurrealReplica) => retryQuarantine(replica.ends())

  it.each([
    ['drop', 'drop table users'],
    ['rename', 'alter table users rename to members'],
  ])('do not keep the rest from being consistent, and go with a retry: %s', async (_, change) => {
    await using replica = await withEntry()
    await client.query(`${change}; insert into orders values (2)`)
    await replica.catchUp()
    await replica.catchUp()
    expect(await kept(replica)).toEqual(['users:7'])
    expect(await consistent(replica)).toBe(true)
    expect(await retry(replica)).toEqual({ tried: 0, forgotten: 1, left: [] })
    expect(await kept(replica)).toEqual([])
    expect(await consistent(replica)).toBe(true)
  })

  it('go with a full sync, which says what the pipeline is from then on', async () => {
    await using replica = await withEntry()
    replica.configure({ source: { tables: ['orders'] } })
    await replica.catchUp()
    // It is still there, and may be followed again.
    expect(await retry(replica)).toMatchObject({ forgotten: 0, left: [{ record: 'users:7' }] })
    await replica.full()
    expect(await kept(replica)).toEqual([])
  })

  it('go when the table that writes the same records now is copied', async () => {
    await using replica = await withEntry()
    await client.query('delete from users where id = 7; alter table users rename to members')
    replica.configure({ source: { tables: ['members', 'orders'], shaping: { members: { as: 'users' } } } })
    await replica.full()
    expect(await kept(replica)).toEqual([])
    await replica.catchUp()
    expect(await consistent(replica)).toBe(true)
    expect(await countOf(replica)).toBe(299)
  })
})

it('list and retry on the command line', async () => {
  await using server = await startSurreal()
  const flags = connectionFlags(database.url, server.ws)
  const run = (...args: readonly string[]) => surrealSyncHere([...args, ...flags])
  await using directory = await temporaryDirectory()
  await client.query(`insert into users select i, 'secret ' || i, 'x' from generate_series(1, 20) i`)
  expect(await run('full', 'postgresql', '--emit-checkpoints', '--checkpoint-dir', directory.path)).toMatchObject({
    code: 0,
  })
  expect(await run('quarantine', 'list')).toMatchObject({ code: 0, stdout: '0 rows\n' })
  await using target = await openTarget(server.ws)
  await target.db.query(`define field doc on users assert $value != 'bad'`)
  await client.query(`update users set doc = 'bad' where id in (3, 4)`)
  const apply = ['sync', 'postgresql', '--checkpoint-dir', directory.path, '--timeout', '3s']
  const stopped = await run(...apply)
  expect(stopped).toMatchObject({ code: 2, stderr: expect.stringMatching(/users:[34] of public\.users.*E_POISON_ROW/) })
  const names = (text: string) => text.replace(/users:\d/, 'users:0').replace(/field \w+/, 'field f')
  const [said] = readPage('docs/operations.md').blocks.filter(({ language }) => language === '')
  expect(names(stopped.stderr)).toContain(names(said?.text ?? '?').trim())
  expect(await run(...apply, '--quarantine')).toMatchObject({ code: 0 })
  const listed = await run('quarantine', 'list', '--json')
  expect(
    listed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { event: 'row', table: 'public.users', record: 'users:3', code: 'E_POISON_ROW' },
    { event: 'row', table: 'public.users', record: 'users:4', code: 'E_POISON_ROW' },
    { event: 'result', rows: 2 },
  ])
  const again = await run('quarantine', 'retry')
  expect(again).toMatchObject({ code: 3, stdout: expect.stringMatching(/^2 rows tried again, 2 left$/m) })
  expect(again.stderr).toMatch(/^WARN /)
  expect(await run('quarantine', 'retry', '--log-level', 'error')).toMatchObject({ code: 3, stderr: '' })
  await target.db.query('remove field doc on users')
  expect(await run('quarantine', 'retry')).toMatchObject({ code: 0, stdout: '2 rows tried again, 0 left\n' })
  expect(await run('verify', 'postgresql')).toMatchObject({ code: 0 })
  expect(again.stdout + again.stderr + stopped.stderr + listed.stdout).not.toMatch(/secret|bad/)
})
