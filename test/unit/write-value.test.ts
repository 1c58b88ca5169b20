import { describe, expect, it } from 'vitest'
import { bareObject } from '../../src/core/bare-object.js'
import { canonicalKeyText, sameKey } from '../../src/core/key.js'
import { Decimal, type LogicalType, type Value } from '../../src/core/value.js'
import { writeValue } from '../../src/core/write-value.js'
import { RecordingWriter } from '../support/recording-writer.js'

function written(value: unknown, type: LogicalType): string[] {
  const writer = new RecordingWriter()
  writeValue(value as Value, type, writer)
  return writer.calls
}

const text: LogicalType = { kind: 'text' }
const kinds = [
  'boolean',
  'integer',
  'float',
  'decimal',
  'text',
  'bytes',
  'uuid',
  'date',
  'time',
  'timestamp',
  'interval',
  'json',
  'geometry',
] as const

describe('writing a value of its column', () => {
  it.each([
    [true, { kind: 'boolean' }, ['boolean true']],
    [5, { kind: 'integer' }, ['integer number 5']],
    [-0, { kind: 'integer' }, ['integer number 0']],
    [5n, { kind: 'integer' }, ['integer bigint 5']],
    [5, { kind: 'float' }, ['float 5']],
    [-0, { kind: 'float' }, ['float -0']],
    ['12.50', { kind: 'decimal' }, ['decimal 12.50']],
    ['1e3', { kind: 'decimal' }, ['decimal 1000']],
    [new Decimal('1e-7'), { kind: 'decimal' }, ['decimal 0.0000001']],
    [12.5, { kind: 'decimal' }, ['decimal 12.5']],
    [1e21, { kind: 'decimal' }, ['decimal 1000000000000000000000']],
    [7n, { kind: 'decimal' }, ['decimal 7']],
    ['FFEEDDCC-bbaa-9988-7766-554433221100', { kind: 'uuid' }, ['uuid ffeeddccbbaa99887766554433221100']],
    ['-004712-01-01', { kind: 'date' }, ['date -2440550']],
    ['-infinity', { kind: 'date' }, ['infinity true']],
    ['1969-12-31T23:59:59.999999999Z', { kind: 'timestamp' }, ['timestamp -1 999999999']],
    ['infinity', { kind: 'timestamp' }, ['infinity false']],
    ['P1Y-2DT0.5S', { kind: 'interval' }, ['interval 12 -2 500000']],
    ['infinity', { kind: 'interval' }, ['infinity false']],
    ['10:00:00+02', { kind: 'time' }, ['text "10:00:00+02"']],
    [{ a: [1, null, 'x', 10n, new Decimal('1e400')] }, { kind: 'json' }, ['json {"a":[1,null,"x",10,1e400]}']],
    ['x', { kind: 'json' }, ['json "x"']],
    [null, { kind: 'json' }, ['null']],
    [new Uint8Array([1, 255]), { kind: 'bytes' }, ['bytes 01ff']],
    [{ kind: 'point', coordinates: [1, 2] }, { kind: 'geometry' }, ['geometry {"kind":"point","coordinates":[1,2]}']],
    [['a', null], { kind: 'array', element: text }, ['array 2', 'text "a"', 'null']],
    [
      [['1'], ['2']],
      { kind: 'array', element: { kind: 'decimal' } },
      ['array 2', 'array 1', 'decimal 1', 'array 1', 'decimal 2'],
    ],
    [
      { lower: 1, lowerBound: 'inclusive', upper: null, upperBound: 'unbounded' },
      { kind: 'range', element: { kind: 'integer' } },
      ['range inclusive unbounded', 'integer number 1'],
    ],
    ['empty', { kind: 'range', element: text }, ['emptyRange']],
    [
      { a: '1', b: '2' },
      {
        kind: 'object',
        fields: [
          { name: 'b', type: { kind: 'decimal' } },
          { name: 'c', type: text },
        ],
      },
      ['object 2', 'name "a"', 'text "1"', 'name "b"', 'decimal 2'],
    ],
    [{ a: 'x', b: null }, { kind: 'dictionary' }, ['object 2', 'name "a"', 'text "x"', 'name "b"', 'null']],
  ] as [unknown, LogicalType, string[]][])('%o', (value, type, expected) => {
    expect(written(value, type)).toEqual(expected)
  })
})

describe('writing a value that does not fit its column', () => {
  it.each(kinds.filter((kind) => kind !== 'json'))('writes it by what it is, in a column of %s', (kind) => {
    const type = { kind }
    expect(written('some text', type)).toEqual(['text "some text"'])
    expect(written(true, type)).toEqual(['boolean true'])
    expect(written(new Date(-1), type)).toEqual(['timestamp -1 999000000'])
    expect(written({ a: 1 }, type)).toEqual(['json {"a":1}'])
    expect(written([1, 'a'], type)).toEqual(['json [1,"a"]'])
    expect(written({ a: new Date(0) }, type)).toEqual(['object 1', 'name "a"', 'timestamp 0 0'])
    expect(written([new Uint8Array([1])], type)).toEqual(['array 1', 'bytes 01'])
  })

  it('writes numbers as integers only where they are', () => {
    expect(written(1.5, { kind: 'integer' })).toEqual(['float 1.5'])
    expect(written(2 ** 53, { kind: 'integer' })).toEqual(['float 9007199254740992'])
    expect(written(1, text)).toEqual(['integer number 1'])
  })

  it.each([
    undefined,
    Symbol('x'),
    () => 1,
    new Date(Number.NaN),
    Number.NaN,
    {
      toJSON: () => {
        throw new Error('no')
      },
    },
    new Map(),
    /x/,
    Object.create(null),
    new Array(3),
    [undefined],
    { a: undefined },
    { a: Symbol('x') },
  ])('never throws: %o', (value) => {
    for (const kind of kinds) expect(written(value, { kind }).length).toBeGreaterThan(0)
    for (const kind of ['array', 'range'] as const)
      expect(written(value, { kind, element: text }).length).toBeGreaterThan(0)
    expect(written(value, { kind: 'object', fields: [] }).length).toBeGreaterThan(0)
    expect(written(value, { kind: 'dictionary' }).length).toBeGreaterThan(0)
  })

  it('cuts off what contains itself', () => {
    const loop: { self?: unknown; at: Date } = { at: new Date(0) }
    loop.self = loop
    expect(written(loop, text).at(-1)).toBe('null')
  })

  it('uses toJSON', () => {
    expect(written({ toJSON: () => ({ a: 1 }) }, text)).toEqual(['json {"a":1}'])
  })
})

describe('keys', () => {
  const same = (a: Value, b: Value, type: LogicalType) => sameKey([a], [b], [type])

  it.each([
    ['1.0', '1.00', { kind: 'decimal' }, true],
    ['1e2', '100', { kind: 'decimal' }, true],
    ['-0.0', '0', { kind: 'decimal' }, true],
    ['1.0', '1.01', { kind: 'decimal' }, false],
    ['12.5', 12.5, { kind: 'decimal' }, true],
    [0, -0, { kind: 'float' }, true],
    [Number.NaN, Number.NaN, { kind: 'float' }, true],
    [1, '1', { kind: 'integer' }, false],
    [1, 1n, { kind: 'integer' }, true],
    [2 ** 53, 9007199254740992n, { kind: 'integer' }, true],
    ['a', 'A', text, false],
    ['1', '1.0', text, false],
    ['AA', 'aa', { kind: 'uuid' }, true],
    ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.000Z', { kind: 'timestamp' }, true],
    ['P1D', 'PT24H', { kind: 'interval' }, true],
    ['P1M', 'P30D', { kind: 'interval' }, false],
    [['1.0'], ['1'], { kind: 'array', element: { kind: 'decimal' } }, true],
    [[['1.0']], [['1']], { kind: 'array', element: { kind: 'decimal' } }, true],
    [['a,b'], ['a', 'b'], { kind: 'array', element: text }, false],
    [new Uint8Array([1]), new Uint8Array([1]), { kind: 'bytes' }, true],
    [new Uint8Array([1]), 'x01', { kind: 'bytes' }, false],
    [null, 'null', text, false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, { kind: 'json' }, true],
    [{ a: 1 }, { a: '1' }, { kind: 'json' }, false],
    [{ a: 1n }, { a: new Decimal('1') }, { kind: 'object', fields: [{ name: 'a', type: { kind: 'decimal' } }] }, true],
  ] as [Value, Value, LogicalType, boolean][])('%o and %o', (a, b, type, expected) => {
    expect(same(a, b, type)).toBe(expected)
  })

  it('of several columns do not run into each other', () => {
    expect(canonicalKeyText(['a', 'b'], [text, text])).not.toBe(canonicalKeyText(['a","b'], [text, text]))
  })
})

describe('a bare object', () => {
  it('inherits nothing and takes every name', () => {
    const object = bareObject()
    expect('toString' in object).toBe(false)
    expect(object.constructor).toBeUndefined()
    Reflect.set(object, '__proto__', 1)
    Reflect.set(object, 'constructor', 2)
    expect(Object.entries(object)).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
    ])
    expect(Object.entries(bareObject())).toEqual([])
  })
})
