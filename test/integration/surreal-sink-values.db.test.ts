/** What SurrealDB makes of the sink's bytes: types, record ids, names. */
import { createNodeEngines } from '@surrealdb/node'
import fc from 'fast-check'
import { RecordId, Surreal, Table as SurrealTable } from 'surrealdb'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { deletes, type Key, type Row, upserts } from '../../src/core/batch.js'
import { canonicalKeyText } from '../../src/core/key.js'
import type { Column, Table } from '../../src/core/schema.js'
import { Decimal, type LogicalType, type Value } from '../../src/core/value.js'
import { quoteIdentifier } from '../../src/sinks/surreal/quote.js'
import { SurrealSink, type SurrealSinkSettings } from '../../src/sinks/surreal/surreal-sink.js'

let db: Surreal
let sink: SurrealSink | undefined

beforeEach(async () => {
  db = new Surreal({ engines: createNodeEngines() })
  await db.connect('mem://', { namespace: 'n', database: 'd' })
})
afterEach(async () => {
  await sink?.close()
  await db.close()
})

async function prepared(tables: readonly Table[], settings: SurrealSinkSettings = {}): Promise<SurrealSink> {
  sink = await SurrealSink.connect({ connect: async () => db, disconnect: async () => {}, ...settings })
  await sink.open({ syncId: 'p1', warn: () => {} })
  await sink.prepare(tables, { phase: 'full' })
  return sink
}

function tableOf(name: string, columns: readonly (readonly [string, LogicalType])[], key: readonly string[]): Table {
  const all = columns.map(([column, type]): Column => ({ name: column, type, sourceType: type.kind, nullable: true }))
  const keyColumns = key.flatMap((wanted) => all.filter((column) => column.name === wanted))
  return { schema: 'public', name, label: `public.${name}`, columns: all, key: keyColumns }
}

const int: LogicalType = { kind: 'integer' }
const text: LogicalType = { kind: 'text' }
const bytes = Uint8Array.of(1, 2, 255)
const uuid = '0189e0a5-b07c-7d4e-8f8a-6b9c0d1e2f3a'

/** Type, value, and how SurrealDB prints it. */
const values: readonly (readonly [LogicalType, Value, string])[] = [
  [{ kind: 'boolean' }, true, 'true'],
  [int, -5, '-5'],
  [int, 2n ** 63n - 1n, '9223372036854775807'],
  [int, -(2n ** 63n), '-9223372036854775808'],
  [int, 2n ** 63n, '9223372036854775808dec'],
  [{ kind: 'float' }, 3, '3f'],
  [{ kind: 'float' }, -0, '-0f'],
  [{ kind: 'float' }, Number.NaN, 'NaN'],
  [{ kind: 'float' }, 1e300, `1${'0'.repeat(300)}f`],
  [{ kind: 'decimal' }, '12.50', '12.5dec'],
  [{ kind: 'decimal' }, '79228162514264337593543950335', '79228162514264337593543950335dec'],
  [{ kind: 'decimal' }, '79228162514264337593543950336', "'79228162514264337593543950336'"],
  [{ kind: 'decimal' }, '-0.0000000000000000000000000001', '-0.0000000000000000000000000001dec'],
  [{ kind: 'decimal' }, 'NaN', 'NaN'],
  [text, "it's", '"it\'s"'],
  [text, 'a\0b', "'a\\0b'"],
  [{ kind: 'bytes' }, bytes, 'b"0102FF"'],
  [{ kind: 'bytes' }, new Uint8Array(0), 'b""'],
  [{ kind: 'uuid' }, uuid, `u'${uuid}'`],
  [{ kind: 'date' }, '2024-02-29', "d'2024-02-29T00:00:00Z'"],
  [{ kind: 'date' }, 'infinity', "'infinity'"],
  [{ kind: 'time' }, '12:30:00', "'12:30:00'"],
  [{ kind: 'timestamp' }, '2024-01-31T12:00:00.123456Z', "d'2024-01-31T12:00:00.123456Z'"],
  [{ kind: 'timestamp' }, '1969-12-31T23:59:59.5Z', "d'1969-12-31T23:59:59.500Z'"],
  [{ kind: 'timestamp' }, '-004712-01-01T00:00:00Z', "d'-4712-01-01T00:00:00Z'"],
  [{ kind: 'interval' }, 'P1DT2H', '1d2h'],
  [{ kind: 'interval' }, 'PT0S', '0ns'],
  [{ kind: 'interval' }, 'P1M', "'P1M'"],
  [
    { kind: 'json' },
    { a: [1, 1.5, new Decimal('1e400'), null], '': { __proto__x: true } },
    '{ "": { __proto__x: true }, a: [1, 1.5dec, \'1e400\', NULL] }',
  ],
  [{ kind: 'array', element: int }, [1, null, [2]], '[1, NULL, [2]]'],
  [{ kind: 'range', element: int }, { lower: 1, lowerBound: 'inclusive', upper: 5, upperBound: 'exclusive' }, '1..5'],
  [
    { kind: 'range', element: int },
    { lower: null, lowerBound: 'unbounded', upper: 5, upperBound: 'inclusive' },
    '..=5',
  ],
  [{ kind: 'range', element: int }, 'empty', "'empty'"],
  [{ kind: 'geometry' }, { kind: 'point', coordinates: [1, 2] }, '(1, 2)'],
  [{ kind: 'geometry' }, { kind: 'point', coordinates: [1, Number.NaN] }, '{ x: 1f, y: NaN }'],
  [
    { kind: 'geometry' },
    { kind: 'line', coordinates: [1, 2, 3, 4] },
    "{ type: 'LineString', coordinates: [[1, 2], [3, 4]] }",
  ],
  [
    { kind: 'geometry' },
    { kind: 'polygon', coordinates: [0, 0, 0, 1, 1, 1] },
    "{ type: 'Polygon', coordinates: [[[0, 0], [0, 1], [1, 1], [0, 0]]] }",
  ],
  [{ kind: 'object', fields: [{ name: 'x', type: { kind: 'float' } }] }, { x: 1 }, '{ x: 1f }'],
  [{ kind: 'dictionary' }, { a: '1', b: null }, "{ a: '1', b: NULL }"],
]

it('stores every type as the type that SurrealDB has for it', async () => {
  const table = tableOf('t', [['id', int], ...values.map(([type], index) => [`c${index}`, type] as const)], ['id'])
  const target = await prepared([table])
  const row: Row = Object.fromEntries([['id', 1], ...values.map(([, value], index) => [`c${index}`, value])])
  await target.write(upserts(table, [row]), {})
  for (const [index, [, , printed]] of values.entries()) {
    const [kind] = await db.query<[string]>(`RETURN <string>[t:1.c${index}]`)
    expect(kind, `c${index}`).toBe(`[${printed}]`)
  }
})

/** Type, value, key as SurrealDB prints it. */
const keys: readonly (readonly [LogicalType, Value, string])[] = [
  [int, 7, 't:7'],
  [int, -7, 't:-7'],
  [int, 2n ** 63n, 't:⟨9223372036854775808⟩'],
  [text, 'a b', 't:⟨a b⟩'],
  [text, '7', 't:⟨7⟩'],
  [{ kind: 'uuid' }, uuid, `t:u'${uuid}'`],
  [{ kind: 'boolean' }, true, 't:[true]'],
  [{ kind: 'float' }, 3, "t:['3']"],
  [{ kind: 'float' }, -0, "t:['0']"],
  [{ kind: 'float' }, 0.0007, "t:['0.0007']"],
  [{ kind: 'float' }, 1e300, "t:['1e+300']"],
  [{ kind: 'float' }, Number.NaN, "t:['NaN']"],
  [{ kind: 'decimal' }, '-0.0000010', 't:[-0.000001dec]'],
  [{ kind: 'decimal' }, '0.00000099', "t:['0.00000099']"],
  [{ kind: 'decimal' }, 'NaN', 't:[NaN]'],
  [{ kind: 'timestamp' }, '9999-12-31T23:59:59.5Z', "t:[d'9999-12-31T23:59:59.500Z']"],
  [{ kind: 'timestamp' }, '0000-01-01T00:00:00Z', "t:[d'0000-01-01T00:00:00Z']"],
  [{ kind: 'timestamp' }, '+010000-01-01T00:00:00Z', "t:['+010000-01-01T00:00:00Z']"],
  [{ kind: 'date' }, '-004712-01-01', "t:['-004712-01-01']"],
  [{ kind: 'decimal' }, '1.500', 't:[1.5dec]'],
  [{ kind: 'decimal' }, `${'9'.repeat(40)}.10`, `t:['${'9'.repeat(40)}.1']`],
  [{ kind: 'bytes' }, bytes, 't:[b"0102FF"]'],
  [{ kind: 'date' }, '2024-01-31', "t:[d'2024-01-31T00:00:00Z']"],
  [{ kind: 'date' }, '-infinity', "t:['-infinity']"],
  [{ kind: 'timestamp' }, '2024-01-31T12:00:00.000001Z', "t:[d'2024-01-31T12:00:00.000001Z']"],
  [{ kind: 'time' }, '12:00:00', 't:⟨12:00:00⟩'],
  [{ kind: 'interval' }, 'PT26H', 't:[1d2h]'],
  [{ kind: 'interval' }, 'P1M', "t:['P1M']"],
  [{ kind: 'json' }, { a: [1, 'x', 2.5] }, "t:[{ a: [1, 'x', 2.5dec] }]"],
  [{ kind: 'array', element: text }, ['a', 'b'], "t:[['a', 'b']]"],
  [
    { kind: 'range', element: int },
    { lower: 1, lowerBound: 'inclusive', upper: null, upperBound: 'unbounded' },
    't:[1..]',
  ],
  [{ kind: 'object', fields: [{ name: 'x', type: { kind: 'decimal' } }] }, { x: '1.0' }, 't:[{ x: 1dec }]'],
]

it.each(keys.map(([type, value, id]) => ({ type, value, id })))(
  'a $type.kind key is the record id $id and can be read back, overwritten and deleted',
  async ({ type, value, id }) => {
    const table = tableOf(
      't',
      [
        ['k', type],
        ['v', int],
      ],
      ['k'],
    )
    const target = await prepared([table])
    const row = { k: value, v: 1 }
    await target.write(upserts(table, [row]), {})
    await target.write(upserts(table, [{ ...row, v: 2 }]), {})
    const [ids] = await db.query<[string[]]>('SELECT VALUE <string>id FROM t WHERE v = 2')
    expect(ids.map((text) => text.replaceAll('`', '⟨').replace(/⟨$/, '⟩'))).toEqual([id])
    const seen: Key[] = []
    const absent = async (asked: readonly Key[]) => {
      seen.push(...asked)
      return asked.map(() => false)
    }
    await target.write({ op: 'replace', table, absent }, {})
    expect(seen.map((key) => canonicalKeyText(key, [type]))).toEqual([canonicalKeyText([value], [type])])
    await target.write(deletes(table, [row]), {})
    const [left] = await db.query('SELECT VALUE id FROM t')
    expect(left).toEqual([])
  },
)

it('keys by several columns of any type, and reads all keys back', async () => {
  const types: LogicalType[] = [
    int,
    text,
    { kind: 'decimal' },
    { kind: 'float' },
    { kind: 'timestamp' },
    { kind: 'uuid' },
  ]
  const columns = types.map((type, index) => [`k${index}`, type] as const)
  const names = columns.map(([name]) => name)
  const table = tableOf('t', columns, names)
  const target = await prepared([table])
  const key = fc.tuple(
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map((digits) => `${digits}.250`),
    fc.double({ noNaN: true }),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.uuid(),
  )
  const rows = fc.sample(key, { numRuns: 1500, seed: 42 }).map((cells): Row => {
    return Object.fromEntries(cells.map((cell, index) => [`k${index}`, cell]))
  })
  await target.write(upserts(table, rows), {})
  const seen = new Set<string>()
  const absent = async (asked: readonly Key[]) => {
    for (const each of asked) seen.add(canonicalKeyText(each, types))
    return asked.map(() => false)
  }
  await target.write({ op: 'replace', table, absent }, {})
  expect(seen).toEqual(
    new Set(
      rows.map((row) =>
        canonicalKeyText(
          names.map((name) => row[name] ?? null),
          types,
        ),
      ),
    ),
  )
})

it('omits nulls on request, at the top only', async () => {
  const table = tableOf(
    't',
    [
      ['id', int],
      ['a', text],
      ['b', { kind: 'array', element: int }],
    ],
    ['id'],
  )
  const target = await prepared([table], { nulls: 'none' })
  await target.write(
    upserts(table, [
      { id: 1, a: null, b: [null] },
      { id: 2, a: '', b: null },
    ]),
    {},
  )
  const [rows] = await db.query('SELECT * FROM t')
  expect(rows).toEqual([
    { id: new RecordId('t', 1), b: [null] },
    { id: new RecordId('t', 2), a: '' },
  ])
})

const hostile = [
  'x\\⟩; REMOVE TABLE victim; --',
  'x`; REMOVE TABLE victim; --',
  'x\\`; REMOVE TABLE victim; --',
  '`',
  '\\',
  '⟨⟩',
  'select',
  'NONE',
  '1abc',
  'a.b:c',
  'emoji 😀',
  'quote \' " $x /* -- */',
  '__proto__',
  'constructor',
  'line\nbreak\ttab',
  '*',
]

it('writes tables and columns of any name and touches no other table', async () => {
  await db.query('CREATE victim:1')
  const tables = hostile.map((name) =>
    tableOf(name, [['id', int], ...hostile.map((column) => [column, int] as const)], ['id']),
  )
  const target = await prepared(tables)
  const row: Row = Object.fromEntries([['id', 1], ...hostile.map((name, index) => [name, index])])
  for (const table of tables) {
    await target.write(upserts(table, [row]), {})
    const [fields] = await db.query<[string[][]]>('SELECT VALUE object::keys($this) FROM $t', {
      t: new SurrealTable(table.name),
    })
    expect(fields[0]?.sort()).toEqual([...hostile, 'id'].sort())
  }
  const [info] = await db.query<[{ tables: object }]>('INFO FOR DB')
  expect(Object.keys(info.tables).filter((name) => name !== '__proto__')).toHaveLength(hostile.length + 1)
  const [victim] = await db.query('SELECT * FROM victim')
  expect(victim).toHaveLength(1)
})

it('quotes thousands of random identifiers so that each means itself', async () => {
  const parts = [
    '`',
    '\\',
    '⟩',
    '⟨',
    ';',
    "'",
    '"',
    '\n',
    '/*',
    '--',
    '$',
    '{',
    '}',
    'REMOVE TABLE victim',
    'a',
    ' ',
    'é',
    '\\u{41}',
    '\\n',
  ]
  const name = fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 8 }).map((chosen) => chosen.join(''))
  const names = fc.sample(name, { numRuns: 3000, seed: 7 })
  for (let start = 0; start < names.length; start += 100) {
    const page = names.slice(start, start + 100)
    const [keys] = await db.query<[string[][]]>(
      `RETURN [${page.map((each) => `object::keys({ a: 1 }.{ ${quoteIdentifier(each)} })`).join(', ')}]`,
    )
    expect(keys).toEqual(page.map((each) => [each]))
  }
})
