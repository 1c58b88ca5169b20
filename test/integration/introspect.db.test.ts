import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CopyBatch, selectList } from '../../src/sources/postgres/copy-batch.js'
import { copyRows } from '../../src/sources/postgres/copy-stream.js'
import { type Introspection, introspect, introspectTables } from '../../src/sources/postgres/introspect.js'
import type { PostgresTable } from '../../src/sources/postgres/postgres-table.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let database: TestDatabase
let client: Client
let version: number

beforeAll(async () => {
  database = await createDatabase()
  client = await database.client()
  version = Number((await client.query('show server_version_num')).rows[0].server_version_num)
  await client.query(`
    create extension citext;
    create schema sales;
    create schema "Odd.Schema";
    create schema hidden;
    create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create domain short as varchar(10) check (value <> 'forbidden');
    create type mood as enum ('sad', 'ok');

    create table plain (id bigint generated always as identity primary key, gone text, name text, total numeric(12,2),
      double numeric generated always as (total * 2) stored);
    alter table plain drop column gone;
    insert into plain (name, total) select 'x', 1 from generate_series(1, 1000);
    create table sales.orders (region text, number integer, note text, primary key (number, region));
    create table "Odd.Schema"."A ""table"".x" ("a.b" integer primary key, "select" text, "__proto__" text, "é" text);
    insert into "Odd.Schema"."A ""table"".x" values (1, 's', 'p', 'e');

    create table keyless (a integer);
    create table keyed_by_unique (a integer not null, b integer not null, c integer, unique (a, b), unique (c));
    create unique index z_smallest on keyed_by_unique (b);
    create unique index a_partial on keyed_by_unique (a) where a > 0;
    create unique index a_expression on keyed_by_unique ((a + 1));
    create table keyed_by_identity (a integer not null, b integer not null unique);
    create unique index the_identity on keyed_by_identity (a) include (b);
    alter table keyed_by_identity replica identity using index the_identity;
    create table deferred (a integer not null unique deferrable);
    create table deferred_primary (a integer primary key deferrable initially deferred);
    create table loose_index (a text collate nocase not null);
    create unique index on loose_index (a collate "C");

    create table types_of_keys (i integer, t text, c text collate nocase, ci citext, n numeric, f float8, b bytea, u uuid,
      s short, m mood, ts timestamptz, bp char(5), bq bpchar, arr integer[], j jsonb, iv interval, r int4range, sv varchar(3),
      primary key (i, t, c, ci, n, f, b, u, s, m, ts, bp, bq, arr, j, iv, r, sv));

    create table measured (at date, value integer, primary key (at, value)) partition by range (at);
    create table measured_2024 partition of measured for values from ('2024-01-01') to ('2025-01-01') partition by list (value);
    create table measured_2024_1 partition of measured_2024 for values in (1);
    insert into measured values ('2024-05-05', 1);
    create table parent (id integer primary key, a text);
    create table child (b text, primary key (id)) inherits (parent);
    insert into parent values (1, 'parent');
    insert into child values (2, 'child', 'b');

    create view a_view as select * from plain;
    create materialized view a_summary as select count(*) from plain;
    create unlogged table fast (id integer primary key);
    create extension file_fdw;
    create server files foreign data wrapper file_fdw;
    create foreign table elsewhere (a text) server files options (program 'true');
    create table surreal_sync_changes (sequence_id bigint primary key);
    create table hidden.surreal_sync_meta (id integer primary key);
    analyze;
  `)
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

async function table(name: string): Promise<PostgresTable> {
  const { tables } = await introspect(client, { tables: [name] })
  if (tables[0] === undefined) throw new Error(`${name} was not found`)
  return tables[0]
}

const labels = ({ tables }: Introspection) => tables.map(({ label }) => label)
const keyOf = async (name: string) => (await table(name)).key.map((column) => column.name)

describe('the selection of tables', () => {
  it('is everything that can be replicated by default, never our own tables', async () => {
    const found = await introspect(client)
    expect(labels(found)).toEqual([
      'Odd.Schema.A "table".x',
      'public.child',
      'public.deferred_primary',
      'public.keyed_by_identity',
      'public.keyed_by_unique',
      'public.measured',
      'public.parent',
      'public.plain',
      'public.types_of_keys',
      'sales.orders',
    ])
    expect(found.skipped.map(({ label, reason, code, named }) => [label, reason, code, named])).toEqual([
      ['public.a_summary', 'materialized_view', 'E_UNSUPPORTED_TABLE', false],
      ['public.a_view', 'view', 'E_UNSUPPORTED_TABLE', false],
      ['public.elsewhere', 'foreign', 'E_UNSUPPORTED_TABLE', false],
      ['public.fast', 'unlogged', 'E_UNSUPPORTED_TABLE', false],
      ['public.deferred', 'no_key', 'E_TABLE_WITHOUT_KEY', false],
      ['public.keyless', 'no_key', 'E_TABLE_WITHOUT_KEY', false],
      ['public.loose_index', 'no_key', 'E_TABLE_WITHOUT_KEY', false],
    ])
    expect(found.skipped.find(({ label }) => label === 'public.keyless')?.table?.columns).toHaveLength(1)
  })

  it.each([
    [{ schemas: ['sales'] }, ['sales.orders']],
    [{ schemas: ['S*', 'sale?'] }, ['sales.orders']],
    [{ schemas: ['"Odd.Schema"'] }, ['Odd.Schema.A "table".x']],
    [{ tables: ['orders'] }, ['sales.orders']],
    [{ tables: ['orders'], schemas: ['public'] }, []],
    [{ tables: ['sales.orders'], schemas: ['public'] }, ['sales.orders']],
    [{ tables: ['public.p*'] }, ['public.parent', 'public.plain']],
    [{ tables: ['*'], excludeTables: ['public.*', '"A ""table"".x"'] }, ['sales.orders']],
    [{ tables: ['"Odd.Schema"."A ""table"".x"'] }, ['Odd.Schema.A "table".x']],
    [{ excludeTables: ['?????*'], schemas: ['public'] }, []],
    [{ tables: ['surreal_sync_changes', '*.surreal_sync_*'] }, []],
    [{ tables: ['pg_catalog.pg_class', 'information_schema.tables'] }, []],
  ])('%j', async (selection, expected) => {
    expect(labels(await introspect(client, selection))).toEqual(expected)
  })

  it('says what is named and cannot be had, and which patterns match nothing', async () => {
    const found = await introspect(client, {
      tables: ['keyless', 'a_view', 'measured_2024', 'nothing', 'no.*', 'Plain', 'a.b.c'],
    })
    expect(found.tables).toEqual([])
    expect(found.skipped.map(({ label, reason, named }) => [label, reason, named])).toEqual([
      ['public.a_view', 'view', true],
      ['public.measured_2024', 'partition', true],
      ['public.keyless', 'no_key', true],
    ])
    expect(found.unknown).toEqual([
      { pattern: 'nothing' },
      { pattern: 'no.*', unknownSchema: 'no' },
      { pattern: 'Plain' },
      { pattern: 'a.b.c' },
    ])
  })

  it('says which patterns match no schema', async () => {
    const found = await introspect(client, { schemas: ['public', 'nowhere', 'no*'] })
    expect(found.unknownSchemas).toEqual(['nowhere', 'no*'])
  })

  it('finds tables by oid again', async () => {
    const { oid, fingerprint } = await table('plain')
    const keyless = Number((await client.query(`select 'keyless'::regclass::oid as oid`)).rows[0].oid)
    expect((await introspectTables(client, [oid, keyless, 1])).map((it) => [it.label, it.fingerprint])).toEqual([
      ['public.plain', fingerprint],
    ])
  })
})

describe('a table', () => {
  it('has its columns in order, generated ones included and dropped ones not', async () => {
    const plain = await table('plain')
    expect(
      plain.columns.map(({ name, attnum, type, sourceType, nullable, select }) => [
        name,
        attnum,
        type.kind,
        sourceType,
        nullable,
        select,
      ]),
    ).toEqual([
      ['id', 1, 'integer', 'bigint', false, '"id"'],
      ['name', 3, 'text', 'text', true, '"name"'],
      ['total', 4, 'decimal', 'numeric(12,2)', true, '"total"'],
      ['double', 5, 'decimal', 'numeric', true, '"double"'],
    ])
    expect(plain).toMatchObject({
      relation: '"public"."plain"',
      partitioned: false,
      only: true,
      rowCountEstimate: 1000,
      owned: true,
      canSelect: true,
      canTrigger: true,
      rowSecurity: false,
    })
    expect(plain.pages).toBeGreaterThan(1)
    expect(selectList(plain.columns)).toBe('"id", "name", "total", "double"')
  })

  it('may have virtual generated columns', async () => {
    if (version < 180_000) return
    await client.query(
      'create table computed (id integer primary key, twice integer generated always as (id * 2) virtual); insert into computed values (4)',
    )
    expect((await rowsOf(await table('computed')))[0]).toEqual({ id: 4, twice: 8 })
    await client.query('drop table computed')
  })

  it('can be read whatever its names', async () => {
    expect(await rowsOf(await table('"A ""table"".x"'))).toEqual([
      { 'a.b': 1, select: 's', ['__proto__']: 'p', é: 'e' },
    ])
  })

  it('is read with its partitions, but without its children by inheritance', async () => {
    const measured = await table('measured')
    expect(measured).toMatchObject({ partitioned: true, only: false, rowCountEstimate: 1, pages: 1 })
    expect(await rowsOf(measured)).toEqual([{ at: '2024-05-05', value: 1 }])
    expect(await rowsOf(await table('parent'))).toEqual([{ id: 1, a: 'parent' }])
    expect(await rowsOf(await table('child'))).toEqual([{ id: 2, a: 'child', b: 'b' }])
  })

  it('is described the same whatever the session has in its search path', async () => {
    const before = (await table('types_of_keys')).fingerprint
    await client.query(
      `set search_path = hidden, public; create function hidden.eq(text, text) returns boolean language sql as 'select false'; create operator hidden.= (leftarg = text, rightarg = text, function = hidden.eq); create temp table pg_class (oid oid)`,
    )
    expect((await table('types_of_keys')).fingerprint).toBe(before)
    await client.query('reset search_path; drop operator hidden.= (text, text); drop table pg_temp.pg_class')
  })
})

describe('the key of a table', () => {
  it.each([
    ['sales.orders', ['number', 'region']],
    ['keyed_by_unique', ['b']],
    ['keyed_by_identity', ['a']],
    ['deferred_primary', ['a']],
    ['measured', ['at', 'value']],
  ])('%s', async (name, expected) => {
    expect(await keyOf(name)).toEqual(expected)
  })

  it('points into the columns', async () => {
    expect((await table('sales.orders')).keyIndex).toEqual([1, 0])
  })

  it('says how to cast and compare, and whether equal means the same text', async () => {
    const key = (await table('types_of_keys')).key.map(({ name, castType, equality, exactText }) => [
      name,
      castType,
      equality,
      exactText,
    ])
    expect(key).toEqual([
      ['i', 'pg_catalog."int4"', 'OPERATOR(pg_catalog.=)', true],
      ['t', 'pg_catalog."text"', 'OPERATOR(pg_catalog.=)', true],
      ['c', 'pg_catalog."text"', 'OPERATOR(pg_catalog.=)', false],
      ['ci', '"public"."citext"', 'OPERATOR("public".=)', false],
      ['n', 'pg_catalog."numeric"', 'OPERATOR(pg_catalog.=)', false],
      ['f', 'pg_catalog."float8"', 'OPERATOR(pg_catalog.=)', false],
      ['b', 'pg_catalog."bytea"', 'OPERATOR(pg_catalog.=)', true],
      ['u', 'pg_catalog."uuid"', 'OPERATOR(pg_catalog.=)', true],
      ['s', 'pg_catalog."varchar"', 'OPERATOR(pg_catalog.=)', true],
      ['m', '"public"."mood"', 'OPERATOR(pg_catalog.=)', true],
      ['ts', 'pg_catalog."timestamptz"', 'OPERATOR(pg_catalog.=)', true],
      ['bp', 'pg_catalog."bpchar"', 'OPERATOR(pg_catalog.=)', true],
      ['bq', 'pg_catalog."bpchar"', 'OPERATOR(pg_catalog.=)', false],
      ['arr', 'pg_catalog."_int4"', 'OPERATOR(pg_catalog.=)', true],
      ['j', 'pg_catalog."jsonb"', 'OPERATOR(pg_catalog.=)', false],
      ['iv', 'pg_catalog."interval"', 'OPERATOR(pg_catalog.=)', false],
      ['r', 'pg_catalog."int4range"', 'OPERATOR(pg_catalog.=)', true],
      ['sv', 'pg_catalog."varchar"', 'OPERATOR(pg_catalog.=)', true],
    ])
  })

  it('finds a row by the text of its key, with an empty search path', async () => {
    const { key, relation } = await table('types_of_keys')
    await client.query(
      `insert into types_of_keys values (1, 't', 'Case', 'CI', 1.50, 0.1, '\\x00', '00000000-0000-0000-0000-000000000001', 's', 'sad', '2024-01-01', 'bp', 'bq', '{1,2}', '{"a": 1}', '1 day', '[1,5)', 'sv')`,
    )
    await client.query(`set search_path = ''`)
    const texts = await client.query(
      `select array[${key.map(({ quoted }) => `pg_catalog.format('%s', ${quoted})`).join(', ')}] as texts from ${relation}`,
    )
    const matches = key.map(({ quoted, equality, castType }, index) =>
      `${quoted} ${equality} $1::pg_catalog.text[][${index + 1}]::${castType}`.replace(
        '$1::pg_catalog.text[][',
        '($1::pg_catalog.text[])[',
      ),
    )
    expect(
      (await client.query(`select from ${relation} where ${matches.join(' and ')}`, [texts.rows[0].texts])).rowCount,
    ).toBe(1)
    await client.query('reset search_path')
  })

  it('may be one without overlaps', async () => {
    if (version < 180_000) return
    await client.query(
      'create extension btree_gist; create table booked (room integer, during tstzrange, primary key (room, during without overlaps))',
    )
    expect((await table('booked')).key.map(({ name, equality }) => [name, equality])).toEqual([
      ['room', 'OPERATOR(pg_catalog.=)'],
      ['during', 'OPERATOR(pg_catalog.=)'],
    ])
    await client.query('drop table booked')
  })
})

describe('what a role may do', () => {
  it('is asked for the role itself', async () => {
    const role = `reader_${database.name}`
    await client.query(`create role ${role}; grant usage on schema sales to ${role}; grant select (id, a) on parent to ${role};
      grant select on child, plain, sales.orders to ${role}; grant trigger on child to ${role}; grant select (at) on measured to ${role};
      alter table plain enable row level security; revoke usage on schema "Odd.Schema" from public; grant select on all tables in schema "Odd.Schema" to ${role}`)
    await client.query(`set role ${role}`)
    const found = await introspect(client, {
      tables: ['parent', 'child', 'plain', 'orders', 'measured', '"Odd.Schema".*'],
    })
    await client.query('reset role')
    expect(found.tables.map((it) => [it.label, it.owned, it.canTrigger, it.rowSecurity])).toEqual([
      ['public.child', false, true, false],
      ['public.parent', false, false, false],
      ['public.plain', false, false, true],
      ['sales.orders', false, false, false],
    ])
    expect(found.skipped.map(({ label, reason, code }) => [label, reason, code])).toEqual([
      ['Odd.Schema.A "table".x', 'no_privilege', 'E_RIGHTS'],
      ['public.measured', 'no_privilege', 'E_RIGHTS'],
    ])
    await client.query(`alter table plain disable row level security; drop owned by ${role}; drop role ${role}`)
  })
})

describe('the fingerprint of a table', () => {
  it.each([
    ['alter table watched add column c integer', true, true],
    ['alter table watched add column c integer default 5', true, true],
    ['alter table watched rename column b to c', true, true],
    ['alter table watched drop column b', true, true],
    ['alter table watched alter column b type varchar(10)', true, true],
    ['alter table watched alter column a type integer using a + 1', false, true],
    ['alter table watched drop constraint watched_pkey, add primary key (a, b)', true, true],
    ['truncate watched', false, true],
    ['vacuum full watched', false, true],
    ['insert into watched values (2, null)', false, false],
    ['vacuum analyze watched', false, false],
    ['create index on watched (b)', false, false],
    ['alter table watched alter column b set default 1', false, false],
    ['alter table watched rename to watched_too; alter table watched_too rename to watched', false, false],
  ])('after: %s', async (change, structure, fingerprint) => {
    await client.query(
      'drop table if exists watched; create table watched (a integer, b text, constraint watched_pkey primary key (a)); insert into watched values (1, 1)',
    )
    const before = await table('watched')
    for (const statement of change.split(';')) await client.query(statement)
    const after = await table('watched')
    expect(after.structure !== before.structure).toBe(structure)
    expect(after.fingerprint !== before.fingerprint).toBe(fingerprint)
  })

  it('changes with an attribute of a composite type, and with partitions', async () => {
    await client.query(
      'create type pair as (a integer, b integer); create table pairs (id integer primary key, p pair[])',
    )
    const pairs = await table('pairs')
    await client.query('alter type pair rename attribute b to c')
    expect((await table('pairs')).structure).not.toBe(pairs.structure)
    const measured = await table('measured')
    await client.query('create table measured_2024_2 partition of measured_2024 for values in (2)')
    expect((await table('measured')).structure).not.toBe(measured.structure)
  })
})

async function rowsOf(it: PostgresTable): Promise<unknown[]> {
  const rows: unknown[] = []
  const sql = `copy (select ${selectList(it.columns)} from ${it.only ? 'only ' : ''}${it.relation}) to stdout (format binary)`
  for await (const chunk of copyRows(client, sql, { rowsMax: 1000, bytesMax: 100_000 })) {
    rows.push(...new CopyBatch('upsert', it, it.columns, chunk).rows())
  }
  return rows
}
