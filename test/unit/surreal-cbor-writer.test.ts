import fc from 'fast-check'
import { CborCodec, DateTime, Duration, RecordId, Decimal as SurrealDecimal, Uuid } from 'surrealdb'
import { describe, expect, it } from 'vitest'
import { SyncError } from '../../src/core/errors.js'
import { Decimal, type Json, type Value } from '../../src/core/value.js'
import { CborWriter } from '../../src/sinks/surreal/cbor-writer.js'
import { CellSite, type ValueOptions, valueForms } from '../../src/sinks/surreal/types.js'

const codec = new CborCodec({})

/** The bytes of what is written, in hexadecimal, and the reasons that were counted. */
function written(write: (writer: CborWriter) => void, options: ValueOptions = {}, keyed = false) {
  const writer = new CborWriter(valueForms(options), 16)
  writer.site = new CellSite('public.t', 'c', valueForms(options))
  writer.keyed = keyed
  write(writer)
  const bytes = writer.slice(0, writer.position).slice()
  return { hex: Buffer.from(bytes).toString('hex'), bytes, reasons: [...writer.site.fallbacks.keys()] }
}

function decoded(write: (writer: CborWriter) => void, options: ValueOptions = {}): unknown {
  return codec.decode(written(write, options).bytes)
}

describe('integers', () => {
  it('takes the shortest form that the SDK reads back', () => {
    for (const value of [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      expect(decoded((writer) => writer.integer(value))).toBe(value)
      expect(decoded((writer) => writer.integer(-1 - value))).toBe(-1 - value)
    }
  })

  it('keeps 64 bits exactly and turns more into decimals or text, never into another number', () => {
    expect(written((writer) => writer.integer(2n ** 63n - 1n)).hex).toBe('1b7fffffffffffffff')
    expect(written((writer) => writer.integer(-(2n ** 63n))).hex).toBe('3b7fffffffffffffff')
    const decimal = written((writer) => writer.integer(2n ** 63n))
    expect(codec.decode<SurrealDecimal>(decimal.bytes).toString()).toBe('9223372036854775808')
    expect(decimal.reasons).toEqual(['integer'])
    expect(decoded((writer) => writer.integer(2n ** 96n))).toBe(String(2n ** 96n))
    expect(written((writer) => writer.integer(2n ** 63n), {}, true).hex).toMatch(/^73/)
  })

  it('refuses a fraction', () => {
    expect(() => decoded((writer) => writer.integer(1.5))).toThrow(SyncError)
  })
})

describe('floats', () => {
  it('always takes eight bytes, so that 3.0 does not become an integer and -0 keeps its sign', () => {
    expect(written((writer) => writer.float(3)).hex).toBe('fb4008000000000000')
    expect(written((writer) => writer.float(-0)).hex).toBe('fb8000000000000000')
    expect(decoded((writer) => writer.float(Number.NaN))).toBe(Number.NaN)
    expect(decoded((writer) => writer.float(-Infinity))).toBe(-Infinity)
    expect(decoded((writer) => writer.float(5e-324))).toBe(5e-324)
  })

  it('is text within a record id, with one zero', () => {
    expect(written((writer) => writer.float(-0), {}, true).hex).toBe('6130')
    expect(written((writer) => writer.float(0.0007), {}, true).bytes.subarray(1)).toEqual(
      Uint8Array.from(Buffer.from('0.0007')),
    )
  })
})

describe('decimals', () => {
  const largest = '79228162514264337593543950335'
  const next = '79228162514264337593543950336'

  it.each(['0', '12.50', '-0.0000000000000000000000000001', largest, `-${largest}`, '7.9228162514264337593543950335'])(
    'keeps %s as a decimal',
    (text) => {
      const { hex, reasons } = written((writer) => writer.decimal(text))
      expect(hex.slice(0, 2)).toBe('ca')
      expect(reasons).toEqual([])
    },
  )

  it.each([next, '0.00000000000000000000000000001', `${'9'.repeat(40)}.5`])('keeps %s as text', (text) => {
    const { bytes, reasons } = written((writer) => writer.decimal(text))
    expect(codec.decode(bytes)).toBe(text)
    expect(reasons).toEqual(['decimal'])
  })

  it('drops zeros that do not fit and change nothing', () => {
    const value = decoded((writer) => writer.decimal(`1.5${'0'.repeat(40)}`))
    expect(value).toBeInstanceOf(SurrealDecimal)
    expect(String(value)).toBe('1.5')
  })

  it('obeys numericOverflow', () => {
    expect(decoded((writer) => writer.decimal(next), { numericOverflow: 'float' })).toBe(Number(next))
    expect(() => decoded((writer) => writer.decimal(next), { numericOverflow: 'error' })).toThrow(
      /Column c of public\.t/,
    )
  })

  it('stores numbers that are not finite as floats', () => {
    expect(decoded((writer) => writer.decimal('NaN'))).toBe(Number.NaN)
    expect(decoded((writer) => writer.decimal('-Infinity'))).toBe(-Infinity)
  })

  it('has one spelling within a record id', () => {
    const one = written((writer) => writer.decimal('1'), {}, true).hex
    for (const text of ['1.0', '1.00', '01']) expect(written((writer) => writer.decimal(text), {}, true).hex).toBe(one)
    const zero = written((writer) => writer.decimal('0'), {}, true).hex
    for (const text of ['-0', '0.000', '-0.0'])
      expect(written((writer) => writer.decimal(text), {}, true).hex).toBe(zero)
  })

  it('never writes a decimal that SurrealDB would round or refuse', () => {
    const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 45 })
    const texts = fc
      .tuple(fc.boolean(), digits, fc.option(digits, { nil: undefined }))
      .map(
        ([minus, whole, part]) =>
          `${minus ? '-' : ''}${whole.join('')}${part === undefined ? '' : `.${part.join('')}`}`,
      )
    fc.assert(
      fc.property(texts, (text) => {
        const value = decoded((writer) => writer.decimal(text))
        if (typeof value === 'string') return value === text
        const [whole = '', fraction = ''] = String(value).replace('-', '').split('.')
        const coefficient = BigInt(whole + fraction)
        const [givenWhole = '', givenFraction = ''] = text.replace('-', '').split('.')
        const scale = Math.max(fraction.length, givenFraction.length)
        const given = BigInt(givenWhole + givenFraction.padEnd(scale, '0'))
        return coefficient < 2n ** 96n && fraction.length <= 28 && BigInt(whole + fraction.padEnd(scale, '0')) === given
      }),
      { numRuns: 2000 },
    )
  })
})

describe('text', () => {
  it('equals what was given, however long and whatever alphabet', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 200 })
    fc.assert(fc.property(text, (value) => decoded((writer) => writer.string(value)) === value))
    for (const length of [0, 23, 24, 48, 49, 255, 256, 21_844, 21_845, 21_846, 70_000]) {
      for (const unit of ['a', 'é', '漢', '😀']) {
        const value = unit.repeat(Math.ceil(length / unit.length))
        expect(decoded((writer) => writer.string(value)) === value).toBe(true)
      }
    }
  })

  it('replaces half a surrogate pair and counts it', () => {
    const { bytes, reasons } = written((writer) => writer.string('a\ud800b'))
    expect(codec.decode(bytes)).toBe('a\ufffdb')
    expect(reasons).toEqual(['text'])
  })

  it('copies UTF-8 and bytes of any length', () => {
    for (const length of [0, 1, 40, 41, 300, 70_000]) {
      const source = Buffer.alloc(length + 10, 'x')
      expect(decoded((writer) => writer.utf8(source, 5, 5 + length))).toBe('x'.repeat(length))
      const bytes = decoded((writer) => writer.bytes(source, 5, 5 + length))
      expect(bytes).toEqual(new Uint8Array(Buffer.alloc(length, 'x')).buffer)
    }
  })
})

describe('dates, timestamps, intervals', () => {
  it('writes datetimes with floored seconds and nanoseconds above', () => {
    const value = decoded((writer) => writer.timestamp(-2, 999_999_000))
    expect(value).toBeInstanceOf(DateTime)
    expect(value instanceof DateTime && value.toCompact()).toEqual([-2n, 999_999_000n])
    expect(String(decoded((writer) => writer.date(-1)))).toBe('1969-12-31T00:00:00.000Z')
    expect(decoded((writer) => writer.date(19_753), { date: 'string' })).toBe('2024-01-31')
  })

  it('obeys infinity, also for years that SurrealDB does not have', () => {
    const late = Date.UTC(262_143, 0, 1) / 1000
    expect(decoded((writer) => writer.infinity(true))).toBe('-infinity')
    expect(decoded((writer) => writer.timestamp(late, 5))).toBe('+262143-01-01T00:00:00.000000005Z')
    expect(decoded((writer) => writer.date(late / 86_400))).toBe('+262143-01-01')
    expect(decoded((writer) => writer.timestamp(late - 1, 0))).toBeInstanceOf(DateTime)
    expect(decoded((writer) => writer.timestamp(late, 0), { infinity: 'null' })).toBe(null)
    expect(written((writer) => writer.infinity(false), { infinity: 'null' }, true).hex).toMatch(/^68/)
    expect(() => decoded((writer) => writer.infinity(false), { infinity: 'error' })).toThrow(SyncError)
  })

  it('writes durations, and text for what they cannot hold', () => {
    expect(decoded((writer) => writer.interval(0, 1, 1_500_000n))).toEqual(new Duration([86_401n, 500_000_000n]))
    expect(decoded((writer) => writer.interval(14, -3, -1_500_000n))).toBe('P1Y2M-3DT-1.5S')
    expect(decoded((writer) => writer.interval(0, 2, 0n), { interval: 'string' })).toBe('P2D')
    expect(decoded((writer) => writer.interval(1, 2, 3n), { interval: 'object' })).toEqual({
      months: 1,
      days: 2,
      microseconds: 3,
    })
  })
})

describe('uuid', () => {
  const source = Buffer.from('ff0189e0a5b07c1d4e2f8a6b9c0d1e2f3a', 'hex')

  it('is native or text', () => {
    const text = '0189e0a5-b07c-1d4e-2f8a-6b9c0d1e2f3a'
    expect(decoded((writer) => writer.uuid(source, 1))).toEqual(new Uuid(text))
    expect(decoded((writer) => writer.uuid(source, 1), { uuid: 'string' })).toBe(text)
  })
})

describe('json', () => {
  it('keeps numbers exact: integer, decimal, float, text', () => {
    const numbers: readonly [Json, unknown][] = [
      [1, 1],
      [-0, 0],
      [1.5, new SurrealDecimal('1.5')],
      [1e300, 1e300],
      [5e-324, 5e-324],
      [2n ** 63n - 1n, 2n ** 63n - 1n],
      [2n ** 63n, new SurrealDecimal('9223372036854775808')],
      [10n ** 40n, 1e40],
      [10n ** 40n + 1n, String(10n ** 40n + 1n)],
      [new Decimal('12345678901234567.123456789'), new SurrealDecimal('12345678901234567.123456789')],
      [new Decimal('1e400'), '1e400'],
      [new Decimal('3.0e2'), 300],
    ]
    for (const [json, value] of numbers) expect(decoded((writer) => writer.json(json))).toEqual(value)
  })

  it('equals what was given', () => {
    const json = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'grapheme' }),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any')),
        fc.dictionary(
          fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
          tie('any'),
        ),
      ),
    })).any
    fc.assert(
      fc.property(json, (value) => {
        expect(decoded((writer) => writer.json(JSON.parse(JSON.stringify(value))))).toEqual(
          JSON.parse(JSON.stringify(value)),
        )
      }),
    )
  })

  it('stores documents nested beyond 120 levels as their text', () => {
    let json: Json = [1n, new Decimal('1.10'), 'x"\n']
    for (let depth = 0; depth < 119; depth += 1) json = { a: json }
    expect(written((writer) => writer.json(json)).reasons).toEqual([])
    const { bytes, reasons } = written((writer) => writer.json([json]))
    expect(reasons).toEqual(['depth'])
    expect(codec.decode(bytes)).toBe(`[${'{"a":'.repeat(119)}[1,1.10,"x\\"\\n"]${'}'.repeat(119)}]`)
  })
})

describe('containers', () => {
  it('nests arrays and objects', () => {
    const value = decoded((writer) => {
      writer.array(2)
      writer.array(0)
      writer.object(2)
      writer.name('a')
      writer.null()
      writer.name('')
      writer.boolean(true)
    })
    expect(value).toEqual([[], { a: null, '': true }])
  })

  it('writes the head of the upper bound behind the lower cell, however deep', () => {
    const { hex } = written((writer) => {
      writer.array(3)
      writer.range('inclusive', 'exclusive')
      writer.array(2)
      writer.integer(1)
      writer.array(0)
      writer.integer(5)
      writer.range('exclusive', 'unbounded')
      writer.integer(7)
      writer.range('unbounded', 'unbounded')
    })
    expect(hex).toBe(`83${'d83182d8328201' + '80d83305'}${'d83182d83307f6'}${'d83182f6f6'}`)
  })

  it('writes ranges as objects if asked to', () => {
    const options = { ranges: 'object' } as const
    expect(
      decoded((writer) => {
        writer.range('inclusive', 'unbounded')
        writer.integer(1)
      }, options),
    ).toEqual({ bounds: '[)', lower: 1, upper: null })
    expect(
      decoded((writer) => {
        writer.range('unbounded', 'inclusive')
        writer.integer(2)
      }, options),
    ).toEqual({ bounds: '(]', lower: null, upper: 2 })
    expect(decoded((writer) => writer.range('unbounded', 'unbounded'), options)).toEqual({
      bounds: '()',
      lower: null,
      upper: null,
    })
    expect(decoded((writer) => writer.emptyRange(), options)).toEqual({ empty: true })
    expect(decoded((writer) => writer.emptyRange())).toBe('empty')
  })
})

describe('geometry', () => {
  it('is native where GeoJSON has the shape and an object elsewhere', () => {
    expect(JSON.stringify(decoded((writer) => writer.geometry({ kind: 'point', coordinates: [1, 2] })))).toBe(
      '{"type":"Point","coordinates":[1,2]}',
    )
    const square = { kind: 'polygon', coordinates: [0, 0, 0, 1, 1, 1] } as const
    expect(written((writer) => writer.geometry(square)).hex.startsWith('d85a81d85983d85882fb')).toBe(true)
    const { bytes, reasons } = written((writer) => writer.geometry({ kind: 'line', coordinates: [1, Infinity] }))
    expect(codec.decode(bytes)).toEqual({ points: [{ x: 1, y: Infinity }] })
    expect(reasons).toEqual(['geometry'])
    expect(
      decoded((writer) => writer.geometry({ kind: 'point', coordinates: [1, 2] }), { geometry: 'object' }),
    ).toEqual({
      x: 1,
      y: 2,
    })
    expect(decoded((writer) => writer.geometry({ kind: 'other', value: { a: 1, b: [2], c: null } }))).toEqual({
      a: 1,
      b: [2],
      c: null,
    })
  })
})

interface Members {
  readonly [name: string]: Value
}

describe('GeoJSON', () => {
  const ring = [
    [0, 0],
    [4, 0],
    [4, 4],
    [0, 0],
  ]
  const write = (value: Members, options?: ValueOptions, keyed?: boolean) =>
    written((writer) => writer.geometry({ kind: 'geojson', value }), options, keyed)

  it.each<Members>([
    { type: 'Point', coordinates: [1, 2] },
    {
      type: 'LineString',
      coordinates: [
        [0, 0],
        [1, 2],
      ],
    },
    { type: 'Polygon', coordinates: [ring, ring] },
    {
      type: 'MultiPoint',
      coordinates: [
        [0, 0],
        [1, 2],
      ],
    },
    { type: 'MultiLineString', coordinates: [ring] },
    { type: 'MultiPolygon', coordinates: [[ring], [ring, ring]] },
    { type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [1, 2] }] },
  ])('$type is a geometry, or an object on request', (value) => {
    const { bytes, reasons } = write(value)
    expect(bytes[0]).toBe(0xd8)
    expect(JSON.parse(JSON.stringify(codec.decode(bytes)))).toEqual(value)
    expect(reasons).toEqual([])
    const object = write({ ...value, srid: 4326 }, { geometry: 'object' })
    expect(codec.decode(object.bytes)).toEqual({ ...value, srid: 4326 })
    expect(object.reasons).toEqual([])
  })

  it.each<Members>([
    { type: 'Point', coordinates: [] },
    { type: 'Point', coordinates: [1, 2, 3] },
    { type: 'Point', coordinates: [1, Number.POSITIVE_INFINITY] },
    { type: 'Point', dimensions: 'XYM', coordinates: [1, 2, 3] },
    { type: 'LineString', coordinates: [[0, 0]] },
    { type: 'Polygon', coordinates: [] },
    {
      type: 'Polygon',
      coordinates: [
        [
          [0, 0],
          [1, 1],
        ],
      ],
    },
    { type: 'MultiPoint', coordinates: [[0, 0], []] },
    {
      type: 'CircularString',
      coordinates: [
        [0, 0],
        [1, 1],
        [2, 0],
      ],
    },
    { type: 'GeometryCollection', geometries: [] },
    { type: 'GeometryCollection', geometries: [{ type: 'Tin', geometries: [] }] },
  ])('%j is an object and counted', (value) => {
    const { bytes, reasons } = write(value)
    expect(codec.decode(bytes)).toEqual(value)
    expect(reasons).toEqual(['geometry'])
  })

  it('is one text within a record id', () => {
    const { bytes } = write({ type: 'Point', coordinates: [-0, Number.NaN], srid: 4326 }, {}, true)
    expect(codec.decode(bytes)).toBe('{"type":"Point","coordinates":["-0","NaN"],"srid":4326}')
  })
})

it('grows, keeps what was written, and gives a large buffer back', () => {
  const writer = new CborWriter(valueForms({}), 4)
  writer.array(1000)
  for (let index = 0; index < 1000; index += 1) writer.string(`row ${index}`)
  expect(codec.decode<string[]>(writer.slice(0, writer.position))[999]).toBe('row 999')
  writer.reset(16)
  writer.string('next')
  expect(codec.decode(writer.slice(0, writer.position))).toBe('next')
})

it('writes record ids that the SDK reads', () => {
  const value = decoded((writer) => {
    writer.putTag(8)
    writer.array(2)
    writer.string('t')
    writer.integer(5)
  })
  expect(value).toEqual(new RecordId('t', 5))
})
