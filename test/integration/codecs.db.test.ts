// PostgreSQL is the oracle: what the codecs read is compared with what it prints, by small converters of the test's own.
import fc from 'fast-check'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogicalType, Value } from '../../src/core/value.js'
import { writeValue } from '../../src/core/write-value.js'
import { CopyBatch, selectList } from '../../src/sources/postgres/copy-batch.js'
import { copyRows } from '../../src/sources/postgres/copy-stream.js'
import { introspect } from '../../src/sources/postgres/introspect.js'
import type { PostgresTable } from '../../src/sources/postgres/postgres-table.js'
import { readerSettings } from '../../src/sources/postgres/reader-settings.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { jsonText, RecordingWriter } from '../support/recording-writer.js'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
const note = `TEST_SEED=${seed}`

let database: TestDatabase
let client: Client
let version: number
let tableCount = 0

beforeAll(async () => {
  database = await createDatabase()
  client = await database.client()
  for (const [name, value] of readerSettings) await client.query('select set_config($1, $2, false)', [name, value])
  version = Number((await client.query('show server_version_num')).rows[0].server_version_num)
  await client.query(`
    create schema types;
    create extension citext schema types;
    create extension hstore schema types;
    create extension ltree schema types;
    create type types.mood as enum ('sad', 'ok', 'très "ok"');
    create domain types.positive as integer check (value > 0);
    create domain types.positives as types.positive[];
    create type types.inner_row as (a integer, "B b" text[]);
    create type types.outer_row as (i types.inner_row, m types.mood, p types.positive, gone integer, n numeric);
    alter type types.outer_row drop attribute gone;
    create type types.rights as (who text, acl aclitem);
    create type types.floats as range (subtype = float8);
    create cast (types.rights as text) with inout;
  `)
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

/** By the type's output function: its cast to text may say something else, as for inet and char(n). */
const printed = `case when value is distinct from null then format('%s', value) end`

interface Read {
  readonly type: LogicalType
  readonly values: readonly Value[]
  /** What PostgreSQL prints for the same cells. */
  readonly texts: readonly (string | null)[]
  readonly table: PostgresTable
}

/** Stores the literals in a column of the type and reads them back by both paths. */
async function read(type: string, literals: readonly (string | null)[], text = printed): Promise<Read> {
  tableCount += 1
  const name = `t${tableCount}`
  await client.query(`create table types.${name} (id integer primary key, value ${type})`)
  await client.query(
    `insert into types.${name} select ordinality, literal::${type} from unnest($1::text[]) with ordinality as u(literal, ordinality)`,
    [literals],
  )
  const table = (await introspect(client, { tables: [`types.${name}`] })).tables[0]
  const column = table?.columns[1]
  if (table === undefined || column === undefined) throw new Error('The table was not found')
  const values: Value[] = []
  const sql = `copy (select ${selectList(table.columns)} from only ${table.relation} order by id) to stdout (format binary)`
  for await (const rows of copyRows(client, sql, { rowsMax: 1000, bytesMax: 100_000 })) {
    const batch = new CopyBatch('upsert', table, table.columns, rows)
    const cursor = batch.cursor()
    for (const row of batch.rows()) {
      expect(cursor.next()).toBe(true)
      const value = row.value ?? null
      const direct = new RecordingWriter()
      const indirect = new RecordingWriter()
      cursor.write(1, direct)
      writeValue(value, column.type, indirect)
      expect(indirect.calls, `${type}, ${note}`).toEqual(direct.calls)
      expect(cursor.get(1)).toEqual(value)
      values.push(value)
    }
  }
  const output = await client.query(`select ${text} as text from types.${name} order by id`)
  return { type: column.type, values, texts: output.rows.map((row) => row.text), table }
}

/** Checks cell by cell that a converter of the test gives what PostgreSQL prints. */
function compare({ values, texts }: Read, textOf: (value: never) => string | null): void {
  expect(values.length).toBe(texts.length)
  for (const [index, value] of values.entries()) {
    const text = value === null ? null : textOf(value as never)
    expect(text, `cell ${index}, ${note}`).toBe(texts[index])
  }
}

/** `2024-01-31T12:00:00.5Z` as PostgreSQL prints it. */
function stampText(value: string, zone: string): string {
  if (value.endsWith('infinity')) return value
  const [date = '', time = ''] = value.replace('Z', '').split('T')
  const match = /^([+-]?\d+)-(\d\d-\d\d)$/.exec(date)
  const year = Number(match?.[1])
  const shown = String(year <= 0 ? 1 - year : year).padStart(4, '0')
  return `${shown}-${match?.[2]}${time === '' ? '' : ` ${time}${zone}`}${year <= 0 ? ' BC' : ''}`
}

/** Microseconds as `-12:34:56.789012`. */
function clockText(micros: bigint): string {
  const size = micros < 0n ? -micros : micros
  const seconds = size / 1_000_000n
  const fraction = String(size % 1_000_000n).padStart(6, '0')
  return `${micros < 0n ? '-' : ''}${seconds / 3600n}:${(seconds / 60n) % 60n}:${seconds % 60n}.${fraction}`
}

const same = (value: string): string => value

describe('the codecs of scalars', () => {
  it.each([
    ['boolean', ['true', 'false', null], (value: boolean) => (value ? 't' : 'f')],
    ['smallint', ['-32768', '32767', '0'], String],
    ['integer', ['-2147483648', '2147483647', '0', '-1'], String],
    ['oid', ['0', '4294967295'], String],
    [
      'bigint',
      [
        '-9223372036854775808',
        '9223372036854775807',
        '9007199254740991',
        '9007199254740992',
        '9007199254740993',
        '-9007199254740991',
        '-9007199254740992',
        '-9007199254740993',
        '0',
        '-1',
        '4294967296',
        '-4294967296',
        '-4294967297',
      ],
      String,
    ],
    ['text', ['', 'a', 'Ünïcödé 🎉', '\'"\\\n', 'x'.repeat(100_000)], same],
    ['varchar(5)', ['', 'abc', 'é🎉'], same],
    [
      'char(5)',
      ['', 'abc', 'é', 'abcde', ' a '],
      (value: string) => value.padEnd(5 + value.length - [...value].length),
    ],
    ['name', ['a', 'b c'], same],
    ['"char"', ['', 'a', '~'], same],
    ['types.citext', ['AbC', ''], same],
    ['types.mood', ['sad', 'très "ok"', null], same],
    ['types.positive', ['1', null], String],
    ['xml', ['<a b="1">é</a>', '<?xml version="1.0" encoding="UTF-8"?><a/>'], same],
    ['uuid', ['00000000-0000-0000-0000-000000000000', 'ffeeddcc-bbaa-9988-7766-554433221100'], same],
    ['bytea', ['', '\\x00ff10'], (value: Uint8Array) => `\\x${Buffer.from(value).toString('hex')}`],
    [
      'date',
      [
        '2024-02-29',
        '0001-01-01',
        '0001-12-31 BC',
        '4713-01-01 BC',
        '5874897-12-31',
        'infinity',
        '-infinity',
        '1970-01-01',
        '2000-03-01',
        '10000-01-01',
      ],
      (value: string) => stampText(value, ''),
    ],
    [
      'timestamp',
      [
        '2024-02-29 12:34:56.789',
        '1969-12-31 23:59:59.999999',
        '4713-01-01 00:00:00 BC',
        '294276-12-31 23:59:59.999999',
        '0044-03-15 12:00:00 BC',
        'infinity',
        '-infinity',
        '2000-01-01 00:00:00',
        '1999-12-31 23:59:59.000001',
        '10000-01-01 00:00:00',
      ],
      (value: string) => stampText(value, ''),
    ],
    [
      'timestamptz',
      ['2024-02-29 12:34:56.1+05:30', '-infinity', '0001-01-01 00:00:00+00'],
      (value: string) => stampText(value, '+00'),
    ],
    ['time', ['00:00', '24:00', '23:59:59.999999', '12:00:00.5'], same],
    ['timetz', ['12:00+00', '12:00:00.25-07', '23:59:59+05:30', '01:02:03-00:00:01', '24:00+15:59:59'], same],
    [
      'inet',
      [
        '10.0.0.1',
        '10.0.0.0/8',
        '::1',
        '::',
        '1::',
        '::ffff:1.2.3.4',
        '::1.2.3.4',
        '2001:db8::1/64',
        '1:0:0:2:0:0:0:3',
        '1:0:0:2:2:0:0:3',
        '1:2:3:4:5:6:7:8',
        '0:0:1::',
        '1:0:2:3:4:5:6:7',
        '::1:0:0',
        '::ffff:0:0',
        '::2',
        '0:0:0:0:0:0:1:1',
      ],
      same,
    ],
    ['cidr', ['10.0.0.0/8', '10.1.2.3/32', '::/0', '2001:db8::/32', '::1/128'], same],
    ['macaddr', ['08:00:2b:01:02:03'], same],
    ['macaddr8', ['08:00:2b:01:02:03:04:05'], same],
    ['bit(3)', ['101', '000'], same],
    ['varbit', ['', '1', '10101010', '101010101', '1'.repeat(1000)], same],
    ['pg_lsn', ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF'], same],
    ['xid', ['0', '4294967295'], same],
    ['xid8', ['18446744073709551615'], same],
    ['tid', ['(0,1)', '(4294967295,65535)'], same],
    ['types.ltree', ['a.b.c', ''], same],
    ['types.lquery', ['*.b.*'], same],
    ['types.ltxtquery', ['a & b'], same],
    ['jsonpath', ['$.a[*] ? (@ > 1)'], same],
    ['tsvector', ["'a':1A,2 'b''c'"], same],
    ['tsquery', ["'a' & !'b'"], same],
    ['regclass', ['pg_class'], same],
    ['regtype', ['integer'], same],
    ['pg_snapshot', ['10:20:10,14'], same],
    ['aclitem', ['postgres=r/postgres', null], same],
    ['types.rights', ['(a,)', '(,)', '(x,postgres=r/postgres)', null], same],
  ] as [string, (string | null)[], (value: never) => string][])(
    'read %s as PostgreSQL prints it',
    async (type, literals, textOf) => {
      compare(await read(type, literals), textOf)
    },
  )

  it('read numeric as PostgreSQL prints it', async () => {
    const literals = [
      '0',
      '-0.00',
      '1',
      '-1',
      '0.1',
      '0.0001',
      '0.00001',
      '-0.000000012',
      '10000',
      '9999.9999',
      '100000000',
      '12.50',
      '1e20',
      '1e-20',
      '123456789012345678901234567890.123456789',
      '1e1000',
      '1.5e-1000',
      'NaN',
      'Infinity',
      '-Infinity',
      '0.00000000',
      '10000.0000',
      '99990000',
      '0.00010000',
    ]
    compare(await read('numeric', literals), same)
    compare(await read('numeric(12,2)', ['0', '-99.999', '1234567890.12']), same)
  })

  it('read floats exactly', async () => {
    const literals = [
      '0',
      '-0',
      '3.14',
      '0.1',
      '1e-45',
      '3.4028235e38',
      '1.17549435e-38',
      'NaN',
      'Infinity',
      '-Infinity',
      '16777216',
      '33554448',
      '8388608.5',
      '1e10',
      '123456.79',
      '9.999999e-5',
      '1.5e-40',
      '7.038531e-26',
      '5e20',
    ]
    const float4 = await read('real', literals)
    expect(float4.values).toEqual(float4.texts.map(Number))
    const float8 = await read('double precision', [
      ...literals.filter((it) => it !== '-0'),
      '-0',
      '0.30000000000000004',
      '5e-324',
      '1.7976931348623157e308',
    ])
    expect(float8.values).toEqual(float8.texts.map(Number))
    expect(float4.values[1]).toBe(-0)
  })

  it('read "char" beyond ASCII in octal', async () => {
    if (version < 160_000) return // has no way to write it in UTF-8
    expect((await read('"char"', ['\\351'])).values).toEqual(['\\351'])
  })

  it('read intervals as PostgreSQL prints them in ISO 8601', async () => {
    await client.query(`set intervalstyle = iso_8601`)
    const literals = [
      '0',
      '1 year 2 mons 3 days 04:05:06.789',
      '-1 year',
      '1 mon -1 day',
      '-00:00:00.000001',
      '1 day -01:00',
      '-13 mons',
      '300:00:00',
      '178000000 years',
      '-178000000 years -2147483648 days',
      '2147483647:59:59.999999',
    ]
    // Before that a part of an interval's text had 32 bits.
    if (version >= 150_000) literals.push('2562047788:00:54.775807')
    if (version >= 170_000) literals.push('infinity', '-infinity')
    compare(await read('interval', literals), same)
    await client.query(`set intervalstyle = postgres`)
  })

  it('read money by the digits of its currency', async () => {
    compare(
      await read(
        'money',
        ['0', '12.34', '-0.05', '92233720368547758.07', '-92233720368547758.08'],
        'value::numeric::text',
      ),
      same,
    )
    expect((await read('money[]', ['{1.5,NULL}'])).values).toEqual([['1.50', null]])
  })
})

describe('the codecs of JSON', () => {
  const documents = [
    'null',
    'true',
    '1',
    '-1.50',
    '"a\\u00e9\\n\\"\\\\"',
    '[]',
    '{}',
    '[1,[2,[3,{"a":[null,false]}]]]',
    '{"a":{"b":{"c":1}}, "":2, "__proto__":{"x":1}, "constructor":3}',
    '9007199254740991',
    '9007199254740992',
    '-9007199254740993',
    '12345678901234567890123456789012345678901234567890',
    '0.1',
    '1.10',
    '3.141592653589793',
    '3.14159265358979323846',
    '1e400',
    '1e-400',
    '1.7976931348623157e308',
    '1E5',
    '123456789.123456789',
    '0.30000000000000004',
    '100000000000000000000000',
    '"🎉"',
    ' [ 1 , 2 ] ',
  ]

  it.each(['json', 'jsonb'])('read %s without losing a digit', async (type) => {
    const found = await read(type, documents)
    // What was read is sent back as text; PostgreSQL says whether it is the same document.
    const same = await client.query(
      'select bool_and(a.t::jsonb = b.t::jsonb) as same from unnest($1::text[]) with ordinality a(t, n) join unnest($2::text[]) with ordinality b(t, n) using (n)',
      [found.values.map((value) => jsonText(value as never)), documents],
    )
    expect(same.rows[0].same).toBe(true)
    expect(found.values[8]).toEqual({ a: { b: { c: 1 } }, '': 2, ['__proto__']: { x: 1 }, constructor: 3 })
    expect(({} as { x?: number }).x).toBeUndefined()
    expect(found.values.slice(9, 12)).toEqual([9007199254740991, 9007199254740992n, -9007199254740993n])
    expect(found.values[0]).toBeNull()
  })

  it('keep text what is nested too deep', async () => {
    const deep = '['.repeat(1_200) + ']'.repeat(1_200)
    const near = '['.repeat(1_000) + ']'.repeat(1_000)
    const { values } = await read('json', [deep, near])
    expect(values[0]).toBe(deep)
    expect(JSON.stringify(values[1])).toBe(near)
  })

  it('take the last of equal names, and lone surrogates as they are', async () => {
    expect((await read('json', ['{"a":1,"a":2}', '"\\ud800"', '"\\u0000"'])).values).toEqual([{ a: 2 }, '\ud800', '\0'])
  })
})

describe('the codecs of types made of others', () => {
  it.each([
    [
      'integer[]',
      ['{}', '{1,NULL,3}', '{{1,2},{3,4}}', '[5:6]={7,8}', null],
      [
        [],
        [1, null, 3],
        [
          [1, 2],
          [3, 4],
        ],
        [7, 8],
        null,
      ],
    ],
    ['text[]', ['{a,"b,c",NULL,""}', '{{{a}}}'], [['a', 'b,c', null, ''], [[['a']]]]],
    ['types.citext[]', ['{A}'], [['A']]],
    ['types.mood[]', ['{sad,NULL}'], [['sad', null]]],
    ['uuid[]', ['{ffeeddcc-bbaa-9988-7766-554433221100}'], [['ffeeddcc-bbaa-9988-7766-554433221100']]],
    ['numeric[]', ['{1.50,NaN}'], [['1.50', 'NaN']]],
    ['timestamptz[]', ['{infinity,"2024-01-01 00:00:00+00"}'], [['infinity', '2024-01-01T00:00:00Z']]],
    ['jsonb[]', ['{"{\\"a\\":[1]}","[1,2]",NULL}'], [[{ a: [1] }, [1, 2], null]]],
    ['bytea[]', ['{"\\\\x0102"}'], [[new Uint8Array([1, 2])]]],
    ['types.positives', ['{1,2}'], [[1, 2]]],
    ['types.positive[]', ['{1,NULL}'], [[1, null]]],
    ['tsvector[]', ['{"\'a\':1",NULL}', '{{"\'a\':1"}}'], [["'a':1", null], [["'a':1"]]]],
    ['aclitem[]', ['{postgres=r/postgres}', '{}'], [['postgres=r/postgres'], []]],
    ['types.ltree[]', ['{a.b,c}'], [['a.b', 'c']]],
    ['types.rights[]', ['{"(a,)"}'], ['{"(a,)"}']],
    ['int2vector', ['1 2 3'], [[1, 2, 3]]],
    ['oidvector', ['1 4294967295'], [[1, 4294967295]]],
    [
      'types.outer_row',
      ['("(1,""{a,NULL}"")",sad,5,1.0)', '(,,,)', '("(,)",,,)', null],
      [
        { i: { a: 1, 'B b': ['a', null] }, m: 'sad', p: 5, n: '1.0' },
        { i: null, m: null, p: null, n: null },
        { i: { a: null, 'B b': null }, m: null, p: null, n: null },
        null,
      ],
    ],
    ['types.outer_row[]', ['{"(,,5,)"}'], [[{ i: null, m: null, p: 5, n: null }]]],
    [
      'types.hstore',
      ['a=>1, b=>NULL, "c d"=>""', '', '__proto__=>x'],
      [{ a: '1', b: null, 'c d': '' }, {}, { ['__proto__']: 'x' }],
    ],
    ['types.hstore[]', ['{"a=>1"}'], [[{ a: '1' }]]],
    [
      'int4range',
      ['[1,5)', 'empty', '(,5)', '[1,)', '(,)', null],
      [
        { lower: 1, lowerBound: 'inclusive', upper: 5, upperBound: 'exclusive' },
        'empty',
        { lower: null, lowerBound: 'unbounded', upper: 5, upperBound: 'exclusive' },
        { lower: 1, lowerBound: 'inclusive', upper: null, upperBound: 'unbounded' },
        { lower: null, lowerBound: 'unbounded', upper: null, upperBound: 'unbounded' },
        null,
      ],
    ],
    [
      'tstzrange',
      ['[2024-01-01 00:00+00,infinity]'],
      [{ lower: '2024-01-01T00:00:00Z', lowerBound: 'inclusive', upper: 'infinity', upperBound: 'inclusive' }],
    ],
    ['types.floats', ['(1.5,2.5]'], [{ lower: 1.5, lowerBound: 'exclusive', upper: 2.5, upperBound: 'inclusive' }]],
    [
      'numrange[]',
      ['{"[1.0,2.00)",empty}'],
      [[{ lower: '1.0', lowerBound: 'inclusive', upper: '2.00', upperBound: 'exclusive' }, 'empty']],
    ],
    [
      'int4multirange',
      ['{}', '{[1,2),[5,)}'],
      [
        [],
        [
          { lower: 1, lowerBound: 'inclusive', upper: 2, upperBound: 'exclusive' },
          { lower: 5, lowerBound: 'inclusive', upper: null, upperBound: 'unbounded' },
        ],
      ],
    ],
    ['point', ['(1,-2.5)'], [{ kind: 'point', coordinates: [1, -2.5] }]],
    ['point[]', ['{"(1,2)"}'], [[{ kind: 'point', coordinates: [1, 2] }]]],
    ['lseg', ['[(1,2),(3,4)]'], [{ kind: 'line', coordinates: [1, 2, 3, 4] }]],
    [
      'path',
      ['[(1,2),(3,4)]', '((1,2),(3,4),(5,6))'],
      [
        { kind: 'line', coordinates: [1, 2, 3, 4] },
        { kind: 'polygon', coordinates: [1, 2, 3, 4, 5, 6] },
      ],
    ],
    ['box', ['(3,4),(1,2)'], [{ kind: 'polygon', coordinates: [1, 2, 3, 2, 3, 4, 1, 4] }]],
    [
      'box[]',
      ['{(3,4),(1,2);(1,1),(0,0)}'],
      [
        [
          { kind: 'polygon', coordinates: [1, 2, 3, 2, 3, 4, 1, 4] },
          { kind: 'polygon', coordinates: [0, 0, 1, 0, 1, 1, 0, 1] },
        ],
      ],
    ],
    ['polygon', ['((1,2),(3,4),(5,6))'], [{ kind: 'polygon', coordinates: [1, 2, 3, 4, 5, 6] }]],
    ['line', ['{1,2,3}'], [{ kind: 'other', value: { a: 1, b: 2, c: 3 } }]],
    ['circle', ['<(1,2),3>'], [{ kind: 'other', value: { center: { x: 1, y: 2 }, radius: 3 } }]],
  ] as [string, (string | null)[], Value[]][])('read %s', async (type, literals, expected) => {
    expect((await read(type, literals)).values).toEqual(expected)
  })

  it('give a cast of the owner of a type no chance to run', async () => {
    const { table } = await read('types.rights', ['(a,)'])
    expect(table.columns[1]?.select).toContain('pg_catalog.format')
  })
})

describe('the codecs on random values', () => {
  const sample = <T>(arbitrary: fc.Arbitrary<T>, count = 2_000): T[] => fc.sample(arbitrary, { seed, numRuns: count })
  const digits = (max: number) =>
    fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: max }).map((it) => it.join(''))

  it('agree with PostgreSQL on numeric', async () => {
    const number = fc.tuple(
      fc.constantFrom('', '-'),
      digits(40),
      fc.option(digits(40)),
      fc.integer({ min: -30, max: 30 }),
    )
    const literals = sample(number).map(
      ([sign, whole, part, exponent]) => `${sign}${whole}${part === null ? '' : `.${part}`}e${exponent}`,
    )
    compare(await read('numeric', literals), same)
  })

  it('agree with PostgreSQL on real and double precision', async () => {
    const view = new DataView(new ArrayBuffer(8))
    const bits = sample(fc.tuple(fc.integer(), fc.integer()), 20_000)
    const floats = bits.map(([high]) => {
      view.setInt32(0, high)
      return String(view.getFloat32(0))
    })
    const powers = Array.from({ length: 277 }, (_, index) => String(2 ** (index - 149)))
    const float4 = await read('real', [...floats, ...powers])
    for (const [index, value] of float4.values.entries())
      expect(value, `${float4.texts[index]}, ${note}`).toBe(Number(float4.texts[index]))
    const doubles = bits.slice(0, 2_000).map(([high, low]) => {
      view.setInt32(0, high)
      view.setInt32(4, low)
      return String(view.getFloat64(0))
    })
    const float8 = await read('double precision', doubles)
    expect(float8.values, note).toEqual(float8.texts.map(Number))
  })

  it('agree with PostgreSQL on bigint, dates and timestamps', async () => {
    compare(await read('bigint', sample(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })).map(String)), String)
    const day = (days: number) => `('2000-01-01'::date + ${days})::text`
    const days = sample(
      fc.oneof(fc.integer({ min: -2_451_545, max: 2_145_031_948 }), fc.integer({ min: -800_000, max: 800_000 })),
    )
    const dates = await client.query(
      `select ${day(0)} as zero, array_agg(('2000-01-01'::date + d)::text) as dates from unnest($1::int[]) d`,
      [days],
    )
    compare(await read('date', dates.rows[0].dates), (value: string) => stampText(value, ''))
    const micros = sample(
      fc.oneof(
        fc.bigInt({ min: -211_813_488_000_000_000n, max: 9_223_371_331_199_999_999n }),
        fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }),
      ),
    )
    const stamps = await client.query(
      `select array_agg(('2000-01-01'::timestamp + make_interval(days => (m / 86400000000)::int) + make_interval(secs => 0) + (m % 86400000000) * interval '1 microsecond')::text) as stamps from unnest($1::bigint[]) m`,
      [micros.map(String)],
    )
    compare(await read('timestamp', stamps.rows[0].stamps), (value: string) => stampText(value, ''))
    compare(await read('timestamptz', stamps.rows[0].stamps), (value: string) => stampText(value, '+00'))
  })

  it('agree with PostgreSQL on intervals and times', async () => {
    await client.query(`set intervalstyle = iso_8601`)
    const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const intervals = sample(fc.tuple(int32, int32, fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })))
    compare(
      await read(
        'interval',
        intervals.map(([months, days, micros]) => `${months} mons ${days} days ${clockText(micros)}`),
      ),
      same,
    )
    await client.query(`set intervalstyle = postgres`)
    const zone = fc.integer({ min: -57_599, max: 57_599 })
    const times = sample(fc.tuple(fc.integer({ min: 0, max: 86_399_999_999 }), zone))
    const printed = await client.query(
      `select array_agg((('00:00'::time + (t[1] * interval '1 microsecond'))::text || (case when t[2] < 0 then '-' else '+' end) || (abs(t[2]) * interval '1 second')::text)) as texts from (select array[a, b] as t from unnest($1::bigint[], $2::bigint[]) u(a, b)) x`,
      [times.map(([time]) => time), times.map(([, offset]) => offset)],
    )
    compare(await read('timetz', printed.rows[0].texts), same)
  })

  it('agree with PostgreSQL on text, bytes, bits and addresses', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 50 }).map((it) => it.replaceAll('\0', '').toWellFormed())
    compare(await read('text', sample(text)), same)
    const bytes = sample(fc.uint8Array({ maxLength: 50 })).map((it) => `\\x${Buffer.from(it).toString('hex')}`)
    compare(await read('bytea', bytes), (value: Uint8Array) => `\\x${Buffer.from(value).toString('hex')}`)
    compare(
      await read('varbit', sample(fc.array(fc.constantFrom('0', '1'), { maxLength: 40 }).map((it) => it.join('')))),
      same,
    )
    const word = fc.oneof(fc.constant(0), fc.constantFrom(1, 0xffff), fc.integer({ min: 0, max: 0xffff }))
    const address6 = fc
      .array(word, { minLength: 8, maxLength: 8 })
      .map((it) => it.map((part) => part.toString(16)).join(':'))
    const address4 = fc
      .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(32))
      .map(([a, b, c, d, prefix]) => `${a}.${b}.${c}.${d}/${prefix}`)
    compare(await read('inet', sample(fc.oneof(address6, address4))), same)
  })

  it('agree with PostgreSQL on JSON', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 10 }).map((it) => it.replaceAll('\0', '').toWellFormed())
    const number = fc.tuple(
      fc.constantFrom('', '-'),
      fc.integer({ min: 1, max: 9 }),
      digits(30),
      fc.option(digits(20)),
      fc.option(fc.integer({ min: -40, max: 40 })),
    )
    const numberText = number.map(
      ([sign, first, rest, part, exponent]) =>
        `${sign}${first}${rest}${part === null ? '' : `.${part}`}${exponent === null ? '' : `e${exponent}`}`,
    )
    const { document } = fc.letrec<{ document: string }>((tie) => ({
      document: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        numberText,
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((it) => JSON.stringify(it)),
        fc.constantFrom('null', 'true', 'false', '0', '1.0'),
        text.map((it) => JSON.stringify(it)),
        fc.array(tie('document'), { maxLength: 4 }).map((parts) => `[${parts.join(' , ')}]`),
        fc
          .array(fc.tuple(text, tie('document')), { maxLength: 4 })
          .map((parts) => `{${parts.map(([name, part]) => `${JSON.stringify(name)} : ${part}`).join(',')}}`),
      ),
    }))
    const documents = sample(document)
    for (const type of ['json', 'jsonb']) {
      const { values } = await read(type, documents)
      const wrong = await client.query(
        `select a.t as found, b.t as expected from unnest($1::text[]) with ordinality a(t, n) join unnest($2::text[]) with ordinality b(t, n) using (n) where a.t::jsonb <> b.t::jsonb`,
        [values.map((value) => jsonText(value as never)), documents],
      )
      expect(wrong.rows, note).toEqual([])
    }
  })

  it('agree with PostgreSQL on arrays', async () => {
    const leaf = fc.option(fc.string({ unit: 'grapheme', maxLength: 8 }))
    const matrix = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
      .chain(([height, width]) =>
        fc.array(fc.array(leaf, { minLength: width, maxLength: width }), { minLength: height, maxLength: height }),
      )
    const arrays = sample(fc.oneof(fc.array(leaf, { maxLength: 6 }), matrix), 500)
    const found = await read('text[]', arrays.map(arrayLiteral), 'to_json(value)::text')
    expect(found.values, note).toEqual(found.texts.map((text) => JSON.parse(text ?? 'null')))
  })
})

function arrayLiteral(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(arrayLiteral).join(',')}}`
  return value === null ? 'NULL' : `"${String(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
