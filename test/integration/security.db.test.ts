/** What the owner of a replicated table, or any other user of the source, could try. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'
import { createRole, type TestRole } from '../support/roles.js'

let database: TestDatabase
let admin: pg.Client
let app: TestRole
let user: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  admin = await database.client()
  app = await createRole(database)
  await admin.query(`create schema app authorization ${app.name}`)
  user = await app.client()
  await user.query(`create table app.t (id int primary key, v text); insert into app.t values (1, 'secret')`)
})

afterEach(async () => {
  await app[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

/**
 * Notes that somebody else ran it. The application makes it, hoping that somebody mightier runs it. A sequence moves also
 * in a transaction that is rolled back later; in one that is read only, trying shows as an error.
 */
const trapOf = (role: string) => `
create sequence app.trapped; grant usage on app.trapped to public; grant usage on schema app to public;
create function app.trap() returns boolean language plpgsql as
  $$ begin if current_user <> '${role}' then perform nextval('app.trapped'); end if; return true; end $$;
create function app.note(int) returns boolean language plpgsql as $$ begin return app.trap(); end $$;`

async function captureFunctionOf(table: string): Promise<string> {
  const { rows } = await admin.query<{ name: string }>(
    `select p.oid::regprocedure::text as name from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = $1::regclass and p.proname like 'surreal_sync_capture_%' limit 1`,
    [table],
  )
  return (rows[0]?.name ?? '').replace('()', '')
}

describe('the audit table', () => {
  it.each([
    ['be read', 'select row_id from public.surreal_sync_changes'],
    [
      'be forged',
      `insert into public.surreal_sync_changes (table_id, table_name, operation) values (1, 'app.t', 'TRUNCATE')`,
    ],
    ['be changed', 'update public.surreal_sync_changes set row_id = null'],
    ['be emptied by DELETE', 'delete from public.surreal_sync_changes'],
    ['be emptied by TRUNCATE', 'truncate public.surreal_sync_changes'],
    ['be locked', 'begin; lock table public.surreal_sync_changes in row exclusive mode'],
    ['be referenced', 'create table app.r (id bigint references public.surreal_sync_changes)'],
    [
      'be given a trigger',
      'create trigger x after insert on public.surreal_sync_changes for each row execute function suppress_redundant_updates_trigger()',
    ],
    ['have its sequence read', 'select last_value from public.surreal_sync_changes_sequence_id_seq'],
    ['have its sequence moved', `select setval('public.surreal_sync_changes_sequence_id_seq', 1000000)`],
    ['have its sequence used', `select nextval('public.surreal_sync_changes_sequence_id_seq')`],
    ['have its consumers changed', 'update public.surreal_sync_consumers set position = 1000000'],
    ['have its consumers read', 'select * from public.surreal_sync_consumers'],
    ['have its incarnation changed', 'delete from public.surreal_sync_meta'],
    ['be dropped', 'drop table public.surreal_sync_changes'],
  ])('cannot %s by the application, not even if default privileges are generous', async (_, sql) => {
    await admin.query(`alter default privileges grant all on tables to public; alter default privileges grant all on sequences to public;
      alter default privileges grant all on functions to public; alter default privileges in schema public grant all on tables to ${app.name};
      alter default privileges in schema public grant all on sequences to ${app.name}; alter default privileges in schema public grant all on functions to ${app.name}`)
    try {
      await new Replica({ url: database.url, tables: ['app.t'] }).full()
      await expect(user.query(sql)).rejects.toMatchObject({ code: '42501' })
    } finally {
      await admin.query(`alter default privileges revoke all on tables from public; alter default privileges revoke all on sequences from public;
        alter default privileges revoke all on functions from public; alter default privileges grant execute on functions to public`)
    }
  })

  it('cannot be forged by attaching our functions to another table', async () => {
    await new Replica({ url: database.url, tables: ['app.t'] }).full()
    const capture = await captureFunctionOf('app.t')
    await user.query('create table app.fake (id int primary key)')
    for (const name of [capture, 'public.surreal_sync_guard']) {
      const attach = `create trigger x after insert on app.fake for each row execute function ${name}()`
      await expect(user.query(attach), name).rejects.toMatchObject({ code: '42501' })
      await expect(user.query(`select ${name}()`), name).rejects.toMatchObject({ code: '42501' })
    }
  })

  it('is written by a role that can do nothing else', async () => {
    await new Replica({ url: database.url, tables: ['app.t'] }).full()
    const { rows } = await admin.query(
      `select r.rolcanlogin, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls,
         has_table_privilege(r.oid, 'public.surreal_sync_changes', 'select, update, delete, truncate') as audit,
         has_table_privilege(r.oid, 'public.surreal_sync_changes', 'insert') as insert,
         has_schema_privilege(r.oid, 'public', 'create') as creates, has_table_privilege(r.oid, 'app.t', 'select, insert, update, delete') as data
       from pg_proc p join pg_roles r on r.oid = p.proowner where p.oid = $1::regproc`,
      [await captureFunctionOf('app.t')],
    )
    expect(rows).toEqual([
      {
        ...{ rolcanlogin: false, rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolbypassrls: false },
        ...{ audit: false, insert: true, creates: false, data: false },
      },
    ])
  })
})

describe('code of a table’s owner never runs as somebody else:', () => {
  const castFrom = (type: string, target: string, context: string) => `
    create function app.to_${target}(${type}) returns ${target} language plpgsql as $$ begin perform app.trap(); return '"x"'; end $$;
    create cast (${type} as ${target}) with function app.to_${target}(${type}) ${context};`
  const castTo = (type: string, value: string) => `
    create function app.from_text_${type.replaceAll(/\W/g, '_')}(text) returns ${type} language plpgsql as $$ begin perform app.trap(); return ${value}; end $$;
    create cast (text as ${type}) with function app.from_text_${type.replaceAll(/\W/g, '_')}(text);`
  /** To everything that a careless trigger or reader would convert to. */
  const castsFrom = (type: string) =>
    ['text', 'json', 'jsonb', 'varchar'].map((target) => castFrom(type, target, 'as assignment')).join('')

  const attacks: readonly (readonly [name: string, setup: string, first: string, second: string])[] = [
    [
      'casts of an enum',
      `create type app.e as enum ('a', 'b', 'c'); ${castsFrom('app.e')} create table app.x (k app.e primary key, v app.e)`,
      `'a'`,
      `'b'`,
    ],
    [
      'an implicit cast of an enum to text',
      `create type app.e as enum ('a', 'b', 'c'); ${castFrom('app.e', 'text', 'as implicit')} create table app.x (k app.e primary key, v app.e)`,
      `'a'`,
      `'b'`,
    ],
    [
      'an implicit cast of a domain’s enum to text, in a composite key',
      `create type app.e as enum ('a', 'b', 'c'); create domain app.d as app.e; ${castFrom('app.e', 'text', 'as implicit')}
       create table app.x (k app.d, v app.e, n int default 1, primary key (n, k))`,
      `'a'`,
      `'b'`,
    ],
    [
      'casts of a composite type',
      `create type app.c as (n int); ${castsFrom('app.c')} create table app.x (k app.c primary key, v app.c)`,
      'row(1)::app.c',
      'row(2)::app.c',
    ],
    [
      'casts from text to an enum, an array and a composite type',
      `create type app.e as enum ('a', 'b', 'c'); ${castTo('app.e', "'c'")} ${castTo('app.e[]', "'{c}'")}
       create type app.c as (n int); ${castTo('app.c', 'row(9)')}
       create table app.x (k app.e, v text, l app.e[] default '{a}', m app.c default '(1)', primary key (k, l, m))`,
      `'a'`,
      `'b'`,
    ],
    ['casts of the row type', `create table app.x (k int primary key, v text); ${castsFrom('app.x')}`, '1', '2'],
    [
      'the check of a domain',
      `create domain app.d as int check (app.note(value)); create table app.x (k app.d primary key, v app.d)`,
      '1',
      '2',
    ],
    [
      'the check of a domain in an array',
      `create domain app.d as int check (app.note(value)); create table app.x (k app.d[] primary key, v app.d[])`,
      `'{1}'`,
      `'{2}'`,
    ],
    [
      'the check of a domain in a composite type',
      `create domain app.d as int check (app.note(value)); create type app.c as (n app.d); create table app.x (k app.c primary key, v app.c)`,
      `'(1)'::app.c`,
      `'(2)'::app.c`,
    ],
    [
      'the check of a domain in a range',
      `create domain app.d as int check (app.note(value)); create type app.r as range (subtype = app.d); create table app.x (k app.r primary key, v app.r)`,
      `'[1,5)'`,
      `'[2,6)'`,
    ],
    [
      'operators and functions in front of ours in the search_path',
      `create function app.eq(text, text) returns boolean language plpgsql as $$ begin perform app.trap(); return true; end $$;
       create operator app.= (leftarg = text, rightarg = text, function = app.eq);
       create function app.format(text, anyelement) returns text language plpgsql as $$ begin perform app.trap(); return 'x'; end $$;
       create function app.jsonb_build_array(anyelement) returns jsonb language plpgsql as $$ begin perform app.trap(); return '[]'; end $$;
       create function app.record_image_eq(record, record) returns boolean language plpgsql as $$ begin perform app.trap(); return true; end $$;
       create function app.now() returns timestamptz language plpgsql as $$ begin perform app.trap(); return null; end $$;
       create table app.x (k text primary key, v text)`,
      `'1'`,
      `'2'`,
    ],
  ]

  /** Without running somebody's code there is no way to look rows up by these. */
  const refused = new Set([
    'an implicit cast of an enum to text',
    'an implicit cast of a domain’s enum to text, in a composite key',
    'the check of a domain in an array',
    'the check of a domain in a composite type',
    'the check of a domain in a range',
  ])

  const attack = async (_: string, setup: string, first: string, second: string) => {
    await user.query(`${trapOf(app.name)}
      ${setup}`)
    const options = { url: database.url, tables: ['app.x'] }
    const replica = new Replica(options)
    await user.query(`set search_path = app, pg_catalog; insert into app.x values (${first}, null)`)
    await replica.full()
    await user.query(
      `insert into app.x values (${second}, null); update app.x set v = null where true; delete from app.x where k = ${first}`,
    )
    await replica.catchUp()
    await expectFresh(replica, options)
    const { rows } = await admin.query<{ is_called: boolean }>('select is_called from app.trapped')
    expect(rows[0]?.is_called).toBe(false)
  }

  it.each(attacks.filter(([name]) => !refused.has(name)))('%s', attack)

  it.each(attacks.filter(([name]) => refused.has(name)))('%s: refused by name', async (_, setup) => {
    await user.query(`${trapOf(app.name)}
      ${setup}`)
    const replica = new Replica({ url: database.url, tables: ['app.x'] })
    await expect(replica.full()).rejects.toMatchObject({
      code: 'E_TABLE_WITHOUT_KEY',
      message: expect.stringContaining('is of type'),
      details: { table: 'app.x' },
    })
  })

  it('a temporary table with the name of the audit table diverts nothing', async () => {
    const replica = new Replica({ url: database.url, tables: ['app.t'] })
    await replica.full()
    await user.query(
      `create temporary table surreal_sync_changes (sequence_id bigint, table_id oid, table_name text, operation text, row_id jsonb, changed_at timestamptz)`,
    )
    await user.query(
      `create temporary table surreal_sync_meta (key text, value jsonb); create temporary table surreal_sync_consumers (id text, position bigint)`,
    )
    await user.query(`set search_path = pg_temp, app, public; update t set v = 'changed'`)
    expect((await user.query('select from surreal_sync_changes')).rowCount).toBe(0)
    await replica.catchUp()
    expect(replica.column('app.t', 'v')).toEqual({ 1: 'changed' })
  })
})

describe('a copy of the database in another cluster', () => {
  it('is not taken for the source, whether by the exact position or by the bare number', async () => {
    const replica = new Replica({ url: database.url, tables: ['app.t'] })
    await replica.full()
    await user.query(`insert into app.t values (2, 'x'), (3, 'y')`)
    await replica.catchUp()
    await using server = await startPostgres()
    const url = await server.createDatabase('copy')
    await restoreInto(url)

    const restored = new Replica({ url, tables: ['app.t'] })
    const checkpoint = await replica.store.load('default')
    if (checkpoint === undefined) throw new Error('There is no checkpoint')
    await restored.store.save('default', checkpoint)
    await expect(restored.catchUp()).rejects.toMatchObject({ code: 'E_SOURCE_IDENTITY' })
    for (const from of ['0', '2', '3']) {
      await expect(restored.run({ phase: 'incremental', from, replay: true }), `from ${from}`).rejects.toMatchObject({
        code: expect.stringMatching(/^E_(SOURCE_IDENTITY|SOURCE_REWOUND|AUDIT_HOLE)$/),
      })
    }
    expect(restored.sink.operations).toEqual([])

    // A full sync makes it a source of its own.
    const own = new Replica({ url, tables: ['app.t'] })
    await own.full()
    const { default: driver } = await import('pg')
    const client = new driver.Client({ connectionString: url })
    await client.connect()
    await client.query(`insert into app.t values (9, 'own')`)
    await client.end()
    await own.catchUp()
    await expectFresh(own, { url, tables: ['app.t'] })
  })

  /** What pg_dump would have written: all objects of ours, with their rows, triggers and the sequence's value. */
  async function restoreInto(url: string): Promise<void> {
    const { default: driver } = await import('pg')
    const copy = new driver.Client({ connectionString: url })
    await copy.connect()
    try {
      await copy.query('create schema app; create table app.t (id int primary key, v text)')
      const installed = new Replica({ url, tables: ['app.t'] })
      await installed.full()
      await copy.query(`set session_replication_role = replica; alter table public.surreal_sync_changes disable trigger all;
        alter table app.t disable trigger all; delete from public.surreal_sync_meta; delete from public.surreal_sync_consumers; delete from public.surreal_sync_changes`)
      for (const table of [
        'app.t',
        'public.surreal_sync_changes',
        'public.surreal_sync_meta',
        'public.surreal_sync_consumers',
      ]) {
        const { rows } = await admin.query<{ row: string }>(`select to_jsonb(t)::text as row from ${table} t`)
        for (const { row } of rows) {
          await copy.query(
            `insert into ${table} overriding system value select * from jsonb_populate_record(null::${table}, $1)`.replace(
              table.endsWith('changes') ? '' : 'overriding system value ',
              '',
            ),
            [row],
          )
        }
      }
      await copy.query(`select setval('public.surreal_sync_changes_sequence_id_seq', (select max(sequence_id) from public.surreal_sync_changes));
        alter table public.surreal_sync_changes enable always trigger surreal_sync_guard_delete, enable always trigger surreal_sync_guard_truncate;
        do $$ declare n name; begin for n in select tgname from pg_trigger where tgrelid = 'app.t'::regclass and tgname like 'surreal_sync%' loop
          execute format('alter table app.t enable always trigger %I', n); end loop; end $$`)
    } finally {
      await copy.end()
    }
  }
})
