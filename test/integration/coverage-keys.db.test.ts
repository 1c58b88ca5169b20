/** Keys of every type, written by sessions whose settings would spell them in other ways. */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'

interface KeyType {
  readonly type: string
  /** SQL literals. The first is updated, the second deleted, the third becomes the fourth, the rest stay. */
  readonly values: readonly [string, string, string, string, ...string[]]
  /** Literals equal to the first by the type's equality, spelled in another way. */
  readonly spellings?: readonly string[]
}

const text = `'a', 'A', '', ' x ', 'ä', '"q"', '\\', '%s', '[1]', E'line\\nbreak'`.split(', ') as [
  string,
  string,
  string,
  string,
]

const keyTypes: Readonly<Record<string, KeyType>> = {
  smallint: { type: 'smallint', values: ['1', '-32768', '32767', '0'] },
  integer: { type: 'int', values: ['1', '-2147483648', '2147483647', '0'] },
  bigint: {
    type: 'bigint',
    values: ['9007199254740993', '-9223372036854775808', '9223372036854775807', '0', '9007199254740992'],
  },
  real: { type: 'real', values: ['0.1', '1e-30', '16777217', "'NaN'", "'Infinity'", '0.3333333'], spellings: ['0.1'] },
  double: {
    type: 'double precision',
    values: ['0.30000000000000004', '0.3', '5e-324', "'-Infinity'", "'NaN'", '1e300'],
  },
  numeric: {
    type: 'numeric',
    values: ['1.0', '12345678901234567890.123', '-0.5', "'NaN'", '1e20'],
    spellings: ['1.00', '1'],
  },
  'numeric with a scale': { type: 'numeric(12,2)', values: ['1.5', '1.55', '-1', '99999'] },
  money: { type: 'money', values: ["'12.34'", "'-1'", "'99999.99'", "'0'"] },
  boolean: { type: 'boolean', values: ['true', 'false', 'true', 'false'] },
  text: { type: 'text', values: text },
  varchar: { type: 'varchar(30)', values: text },
  'char(5)': { type: 'char(5)', values: ["'a'", "'b  '", "'abcde'", "''"], spellings: ["'a    '"] },
  name: { type: 'name', values: ["'a'", "'b'", "'C c'", "'d'"] },
  'one-byte char': { type: '"char"', values: ["'a'", "'b'", "'c'", "'d'"] },
  'text by an ICU collation that ignores case': {
    type: 'text collate types.nocase',
    values: ["'abc'", "'xyz'", "'Ä'", "'ö'"],
    spellings: ["'ABC'", "'aBc'"],
  },
  citext: { type: 'types.citext', values: ["'abc'", "'xyz'", "'Ä'", "'ö'"], spellings: ["'ABC'", "'aBc'"] },
  bytea: { type: 'bytea', values: ["'\\x00ff'", "'\\x'", "'\\x5c27'", "'\\x414243'"] },
  date: { type: 'date', values: ["'2024-02-03'", "'0044-03-15 BC'", "'infinity'", "'5874897-12-31'", "'-infinity'"] },
  time: { type: 'time', values: ["'12:34:56.789'", "'00:00'", "'24:00'", "'23:59:59.999999'"] },
  timetz: { type: 'timetz', values: ["'12:34:56+05:45'", "'12:34:56-03'", "'00:00+00'", "'23:59+14'"] },
  timestamp: {
    type: 'timestamp',
    values: [
      "'2024-02-03 04:05:06.789012'",
      "'0001-01-01 00:00:00 BC'",
      "'infinity'",
      "'294276-12-31 23:59:59.999999'",
    ],
  },
  timestamptz: {
    type: 'timestamptz',
    values: ["'2024-03-31 01:30:00+00'", "'2024-10-27 00:30:00.000001+00'", "'-infinity'", "'1900-01-01 00:00:00+00'"],
    spellings: ["'2024-03-31 07:15:00+05:45'"],
  },
  interval: {
    type: 'interval',
    values: ["'-1 day -02:03:04.5'", "'1 year 2 mons'", "'-1 mon +1 day'", "'0'", "'24:00:00.000001'"],
    spellings: ["'-26:03:04.5'"],
  },
  uuid: {
    type: 'uuid',
    values: [
      "'123E4567-e89b-12d3-a456-426614174000'",
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}'",
    ],
  },
  enum: { type: 'types.mood', values: ["'sad'", "'so so'", "'hap\"py'", "''"] },
  domain: { type: 'types.positive', values: ['1', '2', '3', '4'] },
  'domain over text': { type: 'types.word', values: ["'a'", "'b'", "'c c'", "'d'"] },
  inet: { type: 'inet', values: ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'fe80::1/64'"] },
  cidr: { type: 'cidr', values: ["'10.0.0.0/8'", "'10.0.0.0/16'", "'::/0'", "'fe80::/64'"] },
  macaddr: {
    type: 'macaddr',
    values: ["'08:00:2b:01:02:03'", "'00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff'", "'01:02:03:04:05:06'"],
  },
  macaddr8: {
    type: 'macaddr8',
    values: [
      "'08:00:2b:01:02:03:04:05'",
      "'00:00:00:00:00:00:00:00'",
      "'ff:ff:ff:ff:ff:ff:ff:ff'",
      "'01:02:03:04:05:06:07:08'",
    ],
  },
  'bit(4)': { type: 'bit(4)', values: ["'0000'", "'0001'", "'1000'", "'1111'"] },
  'bit varying': { type: 'bit varying', values: ["'0'", "'00'", "''", "'101010101'"] },
  oid: { type: 'oid', values: ['1', '4294967295', '2147483648', '0'] },
  xid8: { type: 'xid8', values: ["'1'", "'18446744073709551615'", "'7'", "'0'"] },
  pg_lsn: { type: 'pg_lsn', values: ["'0/1'", "'FFFFFFFF/FFFFFFFF'", "'16/B374D848'", "'0/0'"] },
  'integer array': { type: 'int[]', values: ["'{1,2}'", "'{}'", "'{{1,2},{3,4}}'", "'[2:3]={5,6}'", "'{NULL,1}'"] },
  'text array': { type: 'text[]', values: [`'{a,"b c"}'`, `'{"\\"",NULL}'`, `'{"NULL",""}'`, `'{ä}'`] },
  'float array': { type: 'float8[]', values: ["'{0.30000000000000004}'", "'{0.3}'", "'{NaN,Infinity}'", "'{1e300}'"] },
  'timestamptz array': {
    type: 'timestamptz[]',
    values: ["'{2024-03-31 01:30:00+00}'", "'{}'", "'{infinity}'", "'{1900-01-01 00:00:00+00,NULL}'"],
  },
  composite: { type: 'types.pair', values: [`'(1,a)'`, `'(2,"b c")'`, `'(,)'`, `'(3,"")'`] },
  'integer range': { type: 'int4range', values: ["'[1,5)'", "'empty'", "'(,)'", "'[7,7]'"], spellings: ["'[1,4]'"] },
  'timestamptz range': {
    type: 'tstzrange',
    values: ["'[2024-03-31 01:30:00+00,)'", "'empty'", "'(,2024-01-01 00:00:00+00]'", "'(,)'"],
  },
  multirange: { type: 'int4multirange', values: ["'{[1,5),[7,9)}'", "'{}'", "'{(,)}'", "'{[20,30)}'"] },
  jsonb: { type: 'jsonb', values: [`'{"a": 1.10}'`, `'[1, "x"]'`, `'9007199254740993'`, `'null'`, `'"text"'`] },
  tsvector: { type: 'tsvector', values: ["'a:1 b:2'", "''", "'c'", "'d:3A'"] },
}

const types = `
create schema types;
create extension citext schema types;
create collation types.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create type types.mood as enum ('sad', 'so so', 'hap"py', '');
create type types.pair as (n int, v text);
create domain types.positive as int check (value > 0);
create domain types.word as text check (length(value) < 10);`

/** What a session could have set, each spelling values in another way. */
const settings = [
  `set DateStyle = 'SQL, DMY'; set IntervalStyle = 'sql_standard'; set TimeZone = 'Asia/Kathmandu'; set bytea_output = 'escape';
   set extra_float_digits = -15; set lc_monetary = 'C'`,
  `set DateStyle = 'German, DMY'; set IntervalStyle = 'postgres_verbose'; set TimeZone = 'America/St_Johns'; set extra_float_digits = 0`,
  `set DateStyle = 'Postgres, MDY'; set IntervalStyle = 'iso_8601'; set TimeZone = 'Europe/Berlin'; set quote_all_identifiers = on`,
]

const names = Object.keys(keyTypes)
const tableOf = (name: string) => `k_${names.indexOf(name)}`

let database: TestDatabase
let writers: readonly pg.Client[]
let replica: Replica

beforeAll(async () => {
  database = await createDatabase()
  const client = await database.client()
  await client.query(types)
  for (const [name, { type }] of Object.entries(keyTypes)) {
    await client.query(`create table ${tableOf(name)} (k ${type} primary key, v text)`)
    await client.query(`create table ${tableOf(name)}_pair (n int, k ${type}, v text, primary key (n, k))`)
  }
  replica = new Replica({ url: database.url })
  await replica.full()
  writers = await Promise.all(
    settings.map(async (setting) => {
      const writer = await database.client()
      await writer.query(`set search_path = public, types; ${setting}`)
      return writer
    }),
  )
}, 120_000)

afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

/** Rotates through the sessions, so that no two statements in a row spell alike. */
let turn = 0
async function write(sql: string): Promise<void> {
  turn += 1
  await writers[turn % writers.length]?.query(sql)
}

describe('a key of type', () => {
  it.each(names)('%s', async (name) => {
    const { type, values, spellings: spelled = [] } = keyTypes[name] ?? { type: '', values: [] as const }
    const cast = (literal: string) => `(${literal})::${type}`
    const spellings = spelled.map(cast)
    const [updated, deleted, moved, target, ...rest] = values.map(cast)
    const table = tableOf(name)
    const initial = [...new Set([updated, deleted, moved, ...rest].filter((value) => value !== target))]
    for (const value of initial) {
      await write(`insert into ${table} values (${value}, 'one')`)
      await write(`insert into ${table}_pair values (1, ${value}, 'one'), (2, ${value}, 'one')`)
    }
    const options = { url: database.url, tables: [table, `${table}_pair`] }
    await replica.catchUp()
    await expectFresh(replica, options)

    for (const t of [table, `${table}_pair`]) {
      await write(`update ${t} set v = 'two' where k = ${updated}`)
      await write(`delete from ${t} where k = ${deleted}`)
      await write(`update ${t} set k = ${target} where k = ${moved}`)
    }
    await replica.catchUp()
    const copy = await expectFresh(replica, options)
    expect(copy.get(`public.${table}`)?.length).toBeGreaterThan(0)

    for (const spelling of spellings) {
      await write(`update ${table} set k = ${spelling}, v = 'respelled' where k = ${updated}`)
      await write(`update ${table}_pair set k = ${spelling} where k = ${updated} and n = 1`)
      await replica.catchUp()
      await expectFresh(replica, options)
    }
    // Deleted in one spelling and back in another, between two polls.
    await write(`delete from ${table} where k = ${updated}`)
    await write(`insert into ${table} values (${spellings.at(-1) ?? updated}, 'three')`)
    await replica.catchUp()
    await expectFresh(replica, options)
  })
})
