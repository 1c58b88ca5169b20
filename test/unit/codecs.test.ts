import { describe, expect, it } from 'vitest'
import { dateText, parseDate, parseTimestamp, timestampText } from '../../src/core/calendar.js'
import { canonicalDecimal, plainDecimal } from '../../src/core/decimal.js'
import { durationText, parseDuration } from '../../src/core/duration.js'
import { Decimal, type Json } from '../../src/core/value.js'
import { arrayCodec } from '../../src/sources/postgres/codecs/array.js'
import { builtinTypes, extensionTypes } from '../../src/sources/postgres/codecs/builtin.js'
import { type Codec, wireOf } from '../../src/sources/postgres/codecs/codec.js'
import { compositeCodec } from '../../src/sources/postgres/codecs/composite.js'
import { shortestFloat4 } from '../../src/sources/postgres/codecs/float4.js'
import { int4Codec } from '../../src/sources/postgres/codecs/number.js'
import { moneyCodec } from '../../src/sources/postgres/codecs/numeric.js'
import { parseJson } from '../../src/sources/postgres/codecs/parse-json.js'
import { multirangeCodec, rangeCodec } from '../../src/sources/postgres/codecs/range.js'
import { RecordingWriter } from '../support/recording-writer.js'

describe('real', () => {
  it.each([
    [3.14, 3.14],
    [0.1, 0.1],
    [1 / 3, 0.33333334],
    [3.4028234663852886e38, 3.4028235e38],
    [1.401298464324817e-45, 1e-45],
    [6470.03125, 6470.0312],
    [16777216, 16777216],
    [33554448, 33554448],
    [-0, -0],
    [Number.NaN, Number.NaN],
    [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ])('%d is %d', (value, expected) => {
    expect(shortestFloat4(Math.fround(value))).toBe(expected)
  })

  it('reads back as the same float4, whatever its bits', () => {
    const view = new DataView(new ArrayBuffer(4))
    for (let bits = 0; bits < 0x7f80_0000; bits += 104_729) {
      view.setUint32(0, bits)
      const value = view.getFloat32(0)
      expect(Math.fround(shortestFloat4(value))).toBe(value)
    }
  })
})

describe('a damaged cell', () => {
  const fixed = [
    'boolsend',
    'int2send',
    'int4send',
    'int8send',
    'oidsend',
    'float4send',
    'float8send',
    'uuid_send',
    'date_send',
    'time_send',
    'timetz_send',
    'timestamp_send',
    'interval_send',
    'inet_send',
    'macaddr_send',
    'pg_lsn_send',
    'xidsend',
    'xid8send',
    'tidsend',
    'charsend',
    'point_send',
    'box_send',
    'circle_send',
    'line_send',
    'lseg_send',
    'numeric_send',
    'jsonb_send',
    'bit_send',
    'poly_send',
  ]
  const codecs: [string, Codec | undefined][] = [
    ...fixed.map((name): [string, Codec | undefined] => [name, builtinTypes.get(name)?.codec]),
    ['money', moneyCodec(2)],
    ['array', arrayCodec(int4Codec)],
    ['composite', compositeCodec([{ name: 'a', typeOid: 23, codec: int4Codec }])],
    ['range', rangeCodec(int4Codec)],
    ['multirange', multirangeCodec(rangeCodec(int4Codec))],
    ['hstore', extensionTypes.get('hstore_send hstore')?.codec],
    ['vector', extensionTypes.get('vector_send vector')?.codec],
    ['sparsevec', extensionTypes.get('sparsevec_send sparsevec')?.codec],
  ]

  it.each(codecs)('of %s is refused, not misread', (_, codec) => {
    const wire = wireOf(Buffer.alloc(40, 0x03))
    for (const length of [0, 3, 37]) {
      for (const act of [
        () => codec?.decode(wire, 1, 1 + length),
        () => codec?.transcode(wire, 1, 1 + length, new RecordingWriter()),
      ]) {
        expect(act).toThrowError(expect.objectContaining({ code: 'E_SOURCE_PROTOCOL' }))
      }
    }
  })
})

describe('pgvector', () => {
  const bytes = (hex: string) => wireOf(Buffer.from(hex, 'hex'))
  const read = (name: string, hex: string) => {
    const codec = extensionTypes.get(`${name}_send ${name}`)?.codec
    const wire = bytes(hex)
    return codec?.decode(wire, 0, wire.bytes.length)
  }

  it('is read from its binary formats', () => {
    expect(read('vector', '00030000 3f800000 4048f5c3 bf000000'.replaceAll(' ', ''))).toEqual([1, 3.14, -0.5])
    expect(read('halfvec', '00050000 3c00 c000 0001 7c00 2e66'.replaceAll(' ', ''))).toEqual([
      1,
      -2,
      shortestFloat4(2 ** -24),
      Number.POSITIVE_INFINITY,
      0.099975586,
    ])
    expect(
      read('sparsevec', '00000005 00000002 00000000 00000000 00000003 3f800000 40000000'.replaceAll(' ', '')),
    ).toEqual({ dimensions: 5, indices: [1, 4], values: [1, 2] })
  })
})

describe('JSON', () => {
  it.each([
    ['-0', -0],
    ['0.1', 0.1],
    ['-12.50', -12.5],
    ['123456789012345', 123456789012345],
    ['1234567890123456', 1234567890123456],
    ['9007199254740993', 9007199254740993n],
    ['1e3', 1000],
    ['0.1234567890123456', 0.1234567890123456],
    ['0.12345678901234567', 0.12345678901234568],
    ['1e400', new Decimal('1e400')],
    ['0.30000000000000001', new Decimal('0.30000000000000001')],
    ['1.00000000000000000000', 1],
    ['5e-324', 5e-324],
    ['1e-400', new Decimal('1e-400')],
    ['0e-400', 0],
  ] as [string, Json][])('keeps the number %s', (text, expected) => {
    const found = parseJson(text)
    if (text !== '0.12345678901234567') return expect(found).toEqual(expected)
    // A double prints as something else, so it is not the same number.
    expect(found).toEqual(new Decimal(text))
  })

  it.each(['', '{', '[1,', '{"a" 1}', '{"a":1,}', '"a', '-', 'tru', '1 2', '[1}', '{a:1}', "'a'", '"\\x"'])(
    'refuses %j',
    (text) => {
      expect(() => parseJson(text)).toThrow(SyntaxError)
    },
  )

  it('makes objects that inherit nothing', () => {
    const object = parseJson('{"__proto__": {"polluted": 1}, "a": 1, "a": 2}') as { [name: string]: Json }
    expect(Object.keys(object)).toEqual(['__proto__', 'a'])
    expect(object.a).toBe(2)
    expect(object.toString).toBeUndefined()
    expect(object.polluted).toBeUndefined()
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  it('gives up on documents that are nested too deep', () => {
    expect(parseJson('['.repeat(1_001) + ']'.repeat(1_001))).toBeUndefined()
    expect(parseJson('{"a":'.repeat(100_000))).toBeUndefined()
  })
})

describe('dates as text', () => {
  it('go there and back for every day of 1,000 years around each era', () => {
    for (const start of [-2_500_000, -720_000, -1000, 0, 2_930_000, 2_147_000_000]) {
      let before = ''
      for (let days = start; days < start + 400_000; days += 401) {
        const text = dateText(days)
        expect(parseDate(text)).toBe(days)
        expect(text).not.toBe(before)
        before = text
      }
    }
    for (let days = -141_428; days < 2_932_896; days += 997)
      expect(dateText(days)).toBe(new Date(days * 86_400_000).toISOString().replace(/T.*/, ''))
  })

  it.each([
    [0, 0, '1970-01-01T00:00:00Z'],
    [-1, 999_999_999, '1969-12-31T23:59:59.999999999Z'],
    [-62_167_219_200, 0, '0000-01-01T00:00:00Z'],
    [-62_167_219_201, 0, '-000001-12-31T23:59:59Z'],
    [253_402_300_800, 0, '+010000-01-01T00:00:00Z'],
    [9_224_318_015_999, 999_999_000, '+294276-12-31T23:59:59.999999Z'],
  ])('%d s and %d ns are %s', (seconds, nanos, text) => {
    expect(timestampText(seconds, nanos)).toBe(text)
    expect(parseTimestamp(text)).toEqual({ seconds, nanos })
  })

  it('are read in other forms, too', () => {
    expect(parseTimestamp('2024-01-31')).toEqual({ seconds: 1_706_659_200, nanos: 0 })
    expect(parseTimestamp('2024-01-31 01:00+01')).toEqual({ seconds: 1_706_659_200, nanos: 0 })
    expect(parseTimestamp('2024-01-30T18:30:00.5-05:30')).toEqual({ seconds: 1_706_659_200, nanos: 500_000_000 })
    for (const wrong of [
      '',
      '2024-02-30',
      '2024-13-01',
      '2024-01-31T25:00',
      '2024-01-31T00:00:00.1234567890',
      'infinity',
      '24-01-01',
    ]) {
      expect(parseTimestamp(wrong)).toBeUndefined()
    }
  })
})

describe('durations as text', () => {
  it.each([
    [0, 0, 0n, 'PT0S'],
    [14, -3, 3_723_000_001n, 'P1Y2M-3DT1H2M3.000001S'],
    [-14, 0, -1n, 'P-1Y-2MT-0.000001S'],
    [0, 1, 0n, 'P1D'],
    [2_147_483_647, -2_147_483_648, 9_223_372_036_854_775_807n, 'P178956970Y7M-2147483648DT2562047788H54.775807S'],
  ])('%d months, %d days and %d microseconds are %s', (months, days, micros, text) => {
    expect(durationText(months, days, micros)).toBe(text)
    expect(parseDuration(text)).toEqual({ months, days, micros })
  })

  it('are nothing else', () => {
    expect(parseDuration('P2W')).toEqual({ months: 0, days: 14, micros: 0n })
    for (const wrong of ['', 'P', 'PT', 'P1', '1D', 'P1DT', 'PT1.1234567S', 'infinity'])
      expect(parseDuration(wrong)).toBeUndefined()
  })
})

describe('decimals as text', () => {
  it.each([
    ['12.50', '12.50', '12.5'],
    ['1e3', '1000', '1000'],
    ['-1.5E-3', '-0.0015', '-0.0015'],
    ['1.500e2', '150.0', '150'],
    ['-0.00', '-0.00', '0'],
    ['007', '7', '7'],
    ['+1', '1', '1'],
    ['NaN', 'NaN', 'NaN'],
    ['-Infinity', '-Infinity', '-Infinity'],
    ['1e999999', undefined, undefined],
    ['', undefined, undefined],
    ['0x10', undefined, undefined],
    ['1 ', undefined, undefined],
  ])('%s is %s, in short %s', (text, plain, canonical) => {
    expect(plainDecimal(text)).toBe(plain)
    expect(canonicalDecimal(text)).toBe(canonical)
  })
})
