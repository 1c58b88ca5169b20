/** The source's users: nothing of ours may make their statements fail, or wait for long. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Follower, Replica } from '../support/replica.js'
import { createRole, type TestRole } from '../support/roles.js'

/** The documented default, and what a statement may take for other reasons. */
const lockTimeoutMs = 2_000
const slackMs = 1_500

let database: TestDatabase
let admin: pg.Client
let app: TestRole
let user: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  admin = await database.client()
  app = await createRole(database)
  await admin.query(`create schema app authorization ${app.name}; revoke all on schema public from public`)
  user = await app.client()
  await user.query(
    `create table app.t (id int primary key, v text); insert into app.t select i, 'v' from generate_series(1, 9) i`,
  )
})

afterEach(async () => {
  await app[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

async function auditCount(): Promise<number> {
  const { rows } = await admin.query<{ count: string }>('select count(*) from public.surreal_sync_changes')
  return Number(rows[0]?.count)
}

let number = 100
/** Every kind of statement on the application's table, in one session. */
async function writeAll(client: pg.Client): Promise<void> {
  number += 1
  await client.query('insert into app.t values ($1, $2)', [number, 'new'])
  await client.query('update app.t set v = $2 where id = $1', [number, 'changed'])
  await client.query('update app.t set id = -id where id = $1', [number])
  await client.query('delete from app.t where id = $1', [-number])
  await client.query(`begin; truncate app.t; insert into app.t values (1, 'after'); commit`)
}

/** Sessions that look at the world in odd ways. */
const oddSessions: Readonly<Record<string, string>> = {
  'an ordinary session': '',
  'an empty search_path': `set search_path = ''`,
  'a search_path of schemas that do not exist': 'set search_path = nowhere, "no one"',
  'pg_catalog last in the search_path': 'set search_path = app, public, pg_catalog',
  'a temporary table with the name of the audit table': `
    create temporary table surreal_sync_changes (table_id oid, table_name text, operation text, row_id jsonb);
    set search_path = pg_temp, app`,
  'settings that change texts and planning': `set DateStyle = 'German'; set extra_float_digits = -15; set bytea_output = 'escape';
    set plpgsql.extra_errors = 'all'; set jit = off; set enable_seqscan = off; set statement_timeout = '60s'; set row_security = off`,
  'serializable isolation': 'set default_transaction_isolation = serializable',
  'the simple protocol with standard_conforming_strings off': 'set standard_conforming_strings = off',
}

describe.each([
  ['a superuser', async () => database.url],
  [
    'a role that is a member of the owner and may create in the audit schema',
    async () => {
      installer = await createRole(database, `in role ${app.name}`)
      await admin.query(`grant usage, create on schema public to ${installer.name}`)
      return installer.url
    },
  ],
])('an application with rights on its own tables only, captured by %s,', (_, installerUrl) => {
  afterEach(async () => {
    await installer?.[Symbol.asyncDispose]()
    installer = undefined
  })

  it('writes during and after every phase', async () => {
    const options = { url: await installerUrl(), tables: ['app.t'] }
    const replica = new Replica(options)
    let full = true
    const during = (async () => {
      while (full) await writeAll(user)
    })()
    await replica.full()
    full = false
    await during
    await writeAll(user)
    const follower = new Follower(replica)
    await follower.reaches(0)
    await writeAll(user)
    await follower.stop()
    await writeAll(user)
    await replica.catchUp()
    await expectFresh(replica, options)

    // Killed in the middle, and stopped for long: nobody reads, everybody writes.
    const dying = new Follower(replica)
    await dying.reaches(0)
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'surreal-sync%'`,
    )
    await dying.stop().catch(() => undefined)
    for (let turn = 0; turn < 20; turn++) await writeAll(user)
    await replica.catchUp()
    await expectFresh(replica, options)
  })

  it.each(Object.keys(oddSessions))('writes in %s, and is captured', async (name) => {
    const options = { url: await installerUrl(), tables: ['app.t'] }
    const replica = new Replica(options)
    await replica.full()
    const odd = await app.client()
    await odd.query(oddSessions[name] ?? '')
    const before = await auditCount()
    await writeAll(odd)
    expect((await auditCount()) - before).toBe(7)
    await replica.catchUp()
    await expectFresh(replica, options)
  })
})

let installer: TestRole | undefined

describe('no statement waits longer for us than lock_timeout', () => {
  /** Writers whose statements fail if they wait for a lock much longer than we do. */
  async function load(signal: AbortSignal, count: number): Promise<number> {
    const write = async (index: number) => {
      const client = await app.client()
      await client.query(`set lock_timeout = '${lockTimeoutMs + slackMs}ms'`)
      let longest = 0
      for (let turn = 0; !signal.aborted; turn++) {
        const startedAt = performance.now()
        await client.query('insert into app.t values ($1, $2) on conflict (id) do update set v = excluded.v', [
          index * 1_000 + (turn % 50),
          'load',
        ])
        longest = Math.max(longest, performance.now() - startedAt)
      }
      return longest
    }
    return Math.max(...(await Promise.all(Array.from({ length: count }, (_, index) => write(index + 1)))))
  }

  it('at install and upgrade, behind a transaction that writes for longer than that', async () => {
    const replica = new Replica({ url: database.url, tables: ['app.t'] })
    const stop = new AbortController()
    const longest = load(stop.signal, 4)
    longest.catch(() => undefined)
    try {
      const slow = await app.client()
      await slow.query(`begin; insert into app.t values (0, 'open')`)
      const installing = replica.full()
      await eventually(
        async () => replica.warnings.some(({ code }) => code === 'waiting_for_lock'),
        'the installer gave way',
      )
      await slow.query('commit')
      await installing

      // An upgrade: the function is there, and is another one.
      await slow.query(`begin; insert into app.t values (-1, 'open')`)
      await admin.query(`do $$ declare f text; begin select oid::regprocedure into f from pg_proc where proname like 'surreal_sync_capture_%';
        execute 'alter function ' || f || ' set work_mem = 1000'; end $$`)
      const upgrading = replica.full()
      await slow.query(`insert into app.t values (-2, 'open'); commit`)
      await upgrading
    } finally {
      stop.abort()
      console.log(`longest statement of the application: ${Math.round(await longest)} ms`)
    }
    await replica.catchUp()
    await expectFresh(replica, { url: database.url, tables: ['app.t'] })
  })

  it('at an upgrade by several installers at once, and at teardown', async () => {
    const options = { url: database.url, tables: ['app.t'] }
    const replicas = Array.from({ length: 3 }, (_, index) => new Replica(options, `p${index}`))
    await replicas[0]?.full()
    const stop = new AbortController()
    const longest = load(stop.signal, 4)
    longest.catch(() => undefined)
    const isWaiting = (codes: readonly string[]) => codes.includes('waiting_for_lock')
    try {
      // Another text, and a trigger of another name: functions are written anew, triggers created and dropped.
      await admin.query(`do $$ declare f oid; t name; begin
        select oid into f from pg_proc where proname like 'surreal_sync_capture_%';
        execute replace(pg_get_functiondef(f), 'begin', 'begin -- older');
        select tgname into t from pg_trigger where tgrelid = 'app.t'::regclass and tgname like 'surreal_sync_capture_%';
        execute format('alter trigger %I on app.t rename to surreal_sync_older', t); end $$`)
      const slow = await app.client()
      await slow.query(`begin; insert into app.t values (0, 'open')`)
      const upgrading = Promise.all(replicas.map((replica) => replica.full()))
      await eventually(
        async () => replicas.some(({ warnings }) => isWaiting(warnings.map(({ code }) => code))),
        'an installer gave way',
      )
      await slow.query('commit')
      await upgrading
      const { rows } = await admin.query<{ name: string }>(
        `select regexp_replace(tgname, '_\\d+$', '') as name from pg_trigger where tgrelid = 'app.t'::regclass order by 1`,
      )
      expect(rows.map(({ name }) => name)).toEqual(['surreal_sync_capture', 'surreal_sync_truncate'])
      for (const replica of replicas) await replica.catchUp()

      await slow.query(`begin; insert into app.t values (-1, 'open')`)
      const source = new PostgresTriggerSource(options)
      const codes: string[] = []
      const removing = source.teardown({ warn: ({ code }) => codes.push(code) })
      await eventually(async () => isWaiting(codes), 'teardown gave way')
      await slow.query('commit')
      await removing
      expect(await source.teardownSql()).toBe('')
    } finally {
      stop.abort()
      console.log(`longest statement of the application: ${Math.round(await longest)} ms`)
    }
  })

  it('while changes are read and tables are replaced', async () => {
    const options = { url: database.url, tables: ['app.t'] }
    const replica = new Replica(options)
    await replica.full()
    const stop = new AbortController()
    const longest = load(stop.signal, 4)
    longest.catch(() => undefined)
    const follower = new Follower(replica)
    try {
      await follower.reaches(50)
      await user.query(`alter table app.t add column extra int default 1`)
      await user.query('alter table app.t alter column extra type bigint using extra + 1')
      await follower.reaches(200)
    } finally {
      stop.abort()
      console.log(`longest statement of the application: ${Math.round(await longest)} ms`)
      await follower.stop()
    }
    await replica.catchUp()
    await expectFresh(replica, options)
  })
})

describe.each(['row', 'statement'] as const)('%s triggers never fail', (triggerLevel) => {
  const capture = () => new Replica({ url: database.url, schemas: ['app'], triggerLevel }).full()

  it('a statement on a row of 140 MB', async () => {
    await user.query('create table app.big (id int primary key, n int, b bytea)')
    await capture()
    await user.query(`insert into app.big values (1, 1, repeat('x', 140 * 1024 * 1024)::bytea)`)
    await user.query('update app.big set n = n + 1')
    await user.query('update app.big set id = 2')
    await user.query('delete from app.big')
    expect(await auditCount()).toBe(5)
  })

  it('a statement on a table of 1,600 columns, or with a key of 32', async () => {
    const columns = Array.from({ length: 1_599 }, (_, index) => `c${index} int`)
    const keys = Array.from({ length: 32 }, (_, index) => `k${index}`)
    await user.query(`create table app.wide (id int primary key, ${columns.join(', ')})`)
    await user.query(
      `create table app.long (${keys.map((key) => `${key} text`).join(', ')}, v int, primary key (${keys.join(', ')}))`,
    )
    await capture()
    await user.query('insert into app.wide (id, c0) values (1, 1); update app.wide set c1598 = 1; delete from app.wide')
    await user.query(
      `insert into app.long values (${keys.map(() => `'k'`).join(', ')}, 1); update app.long set v = 2, k31 = 'x'`,
    )
    expect(await auditCount()).toBe(6)
  })

  it('a statement on a key of a megabyte', async () => {
    await user.query('create table app.k (k text primary key)')
    await capture()
    // It compresses to less than an index entry may have.
    await user.query(`insert into app.k values (repeat('a', 100000)); update app.k set k = k || 'b'; delete from app.k`)
    expect(await auditCount()).toBe(4)
  })

  it('a transaction that is prepared, defers its constraints, or caught an error', async () => {
    await user.query('create table app.d (id int primary key, p int references app.d deferrable initially deferred)')
    await capture()
    await user.query(
      'begin; insert into app.d values (1, 2); insert into app.d values (2, 1); update app.d set id = id + 2; update app.d set id = id - 2; update app.d set p = 3 - p; commit',
    )
    await user.query(`begin; update app.d set p = id; prepare transaction '${database.name}'`)
    await user.query(`commit prepared '${database.name}'`)
    await user.query(`begin; savepoint s; insert into app.d values (4, 4)`)
    await expect(user.query('select 1 / 0')).rejects.toThrow(/division/)
    await user.query('rollback to s; insert into app.d values (5, 5); commit')
    expect(await auditCount()).toBeGreaterThan(6)
  })

  it('a statement of a session with a cached plan, once a follower has seen that the key was retyped or renamed', async () => {
    const options = { url: database.url, tables: ['app.t'], triggerLevel }
    const replica = new Replica(options)
    await replica.full()
    await user.query({ name: 'cached', text: 'insert into app.t (v, id) values ($1, $2)', values: ['x', 500] })
    const follower = new Follower(replica)
    await follower.reaches(0)
    await user.query('alter table app.t alter column id type bigint')
    const works = async () =>
      (await user.query(`update app.t set v = v || '.' where id = 1`).catch(() => undefined)) !== undefined
    await eventually(works, 'writes work after the key was retyped')
    await user.query('alter table app.t rename column id to number')
    const worksAgain = async () =>
      (await user.query(`update app.t set v = v || '.' where number = 1`).catch(() => undefined)) !== undefined
    await eventually(worksAgain, 'writes work after the key was renamed')
    await follower.stop()
    await replica.catchUp()
    await expectFresh(replica, options)
  })
})
