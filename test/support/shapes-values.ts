/** Random values of PostgreSQL types, in their input form, with the awkward ones mixed in. */
export type Random = () => number

/** Makes input texts of a type. */
export type Generate = (random: Random) => string

/** One of these texts at first and now and then, otherwise a generated one. */
interface Values {
  readonly awkward: readonly string[]
  readonly random: Generate
}

export function integer(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1))
}

export function pick<T>(random: Random, values: readonly [T, ...T[]]): T {
  return values[integer(random, 0, values.length - 1)] ?? values[0]
}

function many(random: Random, max: number, generate: Generate): string[] {
  return Array.from({ length: integer(random, 0, max) }, () => generate(random))
}

const characters: readonly [string, ...string[]] = [
  'a',
  ...'bcdefghijklmnopqrstuvwxyz0123456789  ABC-_.,;:!?"\'\\/`{}[]()<>$%&=+*~#@|^äöüßñéçøłžђжя漢字日本語한국어עבריתالعربية🙂👩‍🚀\t\n\r\u0001\u007f\u00a0\u2028\ufeff',
]
const text: Generate = (random) => many(random, pick(random, [3, 10, 40]), () => pick(random, characters)).join('')
const word: Generate = (random) => many(random, 12, () => pick(random, ['a', 'b', 'z', 'é', '0', ' ', '-'])).join('')
const digits = (random: Random, count: number) => Array.from({ length: count }, () => integer(random, 0, 9)).join('')
const sign: Generate = (random) => (random() < 0.5 ? '-' : '')
const two = (value: number) => String(value).padStart(2, '0')
const hex = (random: Random, bytes: number) =>
  Array.from({ length: bytes * 2 }, () => integer(random, 0, 15).toString(16)).join('')
const uuid: Generate = (random) => hex(random, 16)
const date: Generate = (random) =>
  `${String(integer(random, 1, 9999)).padStart(4, '0')}-${two(integer(random, 1, 12))}-${two(integer(random, 1, 28))}`
const time: Generate = (random) =>
  `${two(integer(random, 0, 23))}:${two(integer(random, 0, 59))}:${two(integer(random, 0, 59))}.${digits(random, pick(random, [1, 3, 6]))}`
const timestamp: Generate = (random) => `${date(random)} ${time(random)}`
const numeric: Generate = (random) =>
  `${sign(random)}${digits(random, integer(random, 1, 18))}.${digits(random, integer(random, 1, 10))}`
const float: Generate = (random) => String((random() - 0.5) * 10 ** integer(random, -30, 30))
const interval: Generate = (random) =>
  pick(random, [
    `${integer(random, 0, 40)} days ${time(random)}`,
    `${integer(random, -30, 30)} months ${integer(random, -9, 9)} days ${sign(random)}${time(random)}`,
    `${integer(random, 0, 5_000_000)} microseconds`,
  ])
const json: Generate = (random) => jsonText(random, 3)
const point: Generate = (random) => `(${integer(random, -180, 180)},${(random() * 90).toFixed(5)})`

function jsonText(random: Random, depth: number): string {
  const kind = random()
  if (depth > 0 && kind < 0.25) return `[${many(random, 4, () => jsonText(random, depth - 1)).join(', ')}]`
  if (depth > 0 && kind < 0.6) {
    // jsonb has no NUL, and neither has any other text of PostgreSQL.
    return `{${many(random, 5, () => `${JSON.stringify(text(random))}: ${jsonText(random, depth - 1)}`).join(', ')}}`
  }
  return pick(random, [
    'null',
    'true',
    String(integer(random, -1000, 1000)),
    `${sign(random)}${integer(random, 1, 9)}${digits(random, pick(random, [3, 17, 25]))}`,
    String(random()),
    `${integer(random, 0, 9)}.${digits(random, pick(random, [2, 20]))}`,
    JSON.stringify(text(random)),
  ])
}

function range(bound: Generate, order: (a: string, b: string) => number): Generate {
  return (random) => {
    const [low = '', high = ''] = [bound(random), bound(random)].sort(order)
    return `${pick(random, ['[', '('])}${random() < 0.1 ? '' : `"${low}"`},${random() < 0.1 ? '' : `"${high}"`}${pick(random, [']', ')'])}`
  }
}

const byNumber = (a: string, b: string) => Number(a) - Number(b)
const byText = (a: string, b: string) => (a < b ? -1 : 1)
const int =
  (min: number, max: number): Generate =>
  (random) =>
    String(integer(random, min, max))
const bits = (random: Random, length: number) => Array.from({ length }, () => integer(random, 0, 1)).join('')

const awkwardTimes = [
  'infinity',
  '-infinity',
  '4713-01-01 00:00:00 BC',
  '0001-01-01 00:00:00',
  '0044-03-15 12:34:56.789012 BC',
  '9999-12-31 23:59:59.999999',
  '294276-12-31 23:59:59.999999',
  '12345-06-07 08:09:10.000001',
  '1969-12-31 23:59:59.999999',
  '1970-01-01 00:00:00',
  // A leap second is the first second of the next minute.
  '2016-12-31 23:59:60',
]
const awkwardJson = [
  'null',
  '0',
  '-0',
  '1.0',
  '1.50',
  '1e5',
  '12345678901234567890',
  '9007199254740993',
  '0.1',
  '1e300',
  '1e400',
  '123456789.123456789123456789',
  '"\\u0001\\ud83d\\ude42"',
  '{}',
  '[]',
  '{"__proto__": 1, "constructor": {"": null}, "a.b": [1, [2, [3]]]}',
  `{"deep": ${'['.repeat(60)}1${']'.repeat(60)}}`,
]

/** By type name. What PostgreSQL prints for them differs from what is put in: that is the point. */
const values = {
  boolean: { awkward: [], random: (random) => String(random() < 0.5) },
  smallint: { awkward: ['-32768', '32767', '0'], random: int(-3000, 3000) },
  integer: { awkward: ['-2147483648', '2147483647', '0'], random: int(-100_000, 100_000) },
  bigint: {
    awkward: [
      '-9223372036854775808',
      '9223372036854775807',
      '9007199254740991',
      '9007199254740993',
      '-9007199254740992',
      '-9007199254740993',
      '4294967296',
      '-1',
    ],
    random: (random) => `${sign(random)}${digits(random, integer(random, 1, 18))}`,
  },
  oid: { awkward: ['0', '4294967295'], random: int(1, 100_000) },
  real: {
    awkward: [
      '0',
      '-0',
      'NaN',
      'Infinity',
      '-Infinity',
      '3.14',
      '1e-45',
      '3.4028235e38',
      '16777216',
      '0.1',
      '1e10',
      '123456.79',
    ],
    random: (random) => String(Math.fround((random() - 0.5) * 10 ** integer(random, -30, 30))),
  },
  'double precision': {
    awkward: [
      '0',
      '-0',
      '3',
      'NaN',
      'Infinity',
      '-Infinity',
      '1e300',
      '5e-324',
      '0.1',
      '1.7976931348623157e308',
      '9007199254740993',
      '123456789012345680000',
    ],
    random: float,
  },
  numeric: {
    awkward: [
      '0',
      '0.00',
      '-0.5',
      '1.10',
      '100',
      'NaN',
      'Infinity',
      '-Infinity',
      '79228162514264337593543950335',
      '79228162514264337593543950336',
      '7922816251426433759354395033.5',
      '0.0000000000000000000000000001',
      '0.00000000000000000000000000001',
      '1e130',
      '123456789012345678901234567890.5',
      '1.0000000000000000000000000000000000',
      '123456789012345678901234567890123456789012345678901234567890',
      '-0.123456789012345678901234567890123456789012345678901234567890',
      '999999999999999999999999999999.999999999999999999999999999999',
    ],
    random: numeric,
  },
  'numeric(12,2)': { awkward: ['0', '9999999999.99', '-0.01'], random: (random) => (random() * 10_000).toFixed(2) },
  money: {
    awkward: ['0', '-92233720368547758.08', '92233720368547758.07'],
    random: (random) => (random() * 10_000 - 5_000).toFixed(2),
  },
  text: {
    awkward: [
      '',
      ' ',
      'NULL',
      '\\N',
      '"',
      "'",
      '\\',
      '{}',
      '{a,b}',
      '漢'.repeat(5_000),
      'x'.repeat(20_000),
      '1',
      'true',
      '2024-01-01',
      '\u0001\u001f\u007f',
      'shop:1',
      '𝕳𝖊𝖑𝖑𝖔 🎉👩‍🚀 𠜎',
    ],
    random: text,
  },
  'varchar(60)': { awkward: ['', 'trailing  '], random: (random) => [...text(random)].slice(0, 20).join('') },
  'char(12)': { awkward: ['', 'a', '   ', ' lead'], random: word },
  name: { awkward: ['', 'a'.repeat(63)], random: word },
  '"char"': { awkward: ['', 'a', ' '], random: (random) => pick(random, ['x', 'Y', '0']) },
  bytea: {
    awkward: ['\\x', '\\x00', '\\xff00ff', `\\x${'5c'.repeat(3_000)}`],
    random: (random) => `\\x${hex(random, integer(random, 0, 20))}`,
  },
  uuid: { awkward: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'], random: uuid },
  date: {
    awkward: [
      'infinity',
      '-infinity',
      '4713-01-01 BC',
      '0001-01-01',
      '5874897-12-31',
      '262142-12-31',
      '1970-01-01',
      '1969-12-31',
      '2024-02-29',
      '10000-01-01',
    ],
    random: date,
  },
  time: { awkward: ['00:00:00', '24:00:00', '23:59:59.999999', '23:59:60', '12:00:60'], random: time },
  timetz: {
    awkward: ['00:00:00+00', '24:00:00-15:59', '12:00:00.5+05:30', '01:02:03+01:02:03', '23:59:60+00'],
    random: (random) => `${time(random)}${pick(random, ['+00', '+02', '-09:30'])}`,
  },
  timestamp: { awkward: awkwardTimes, random: timestamp },
  timestamptz: {
    awkward: awkwardTimes.map((text) => (text.endsWith('BC') || text.endsWith('y') ? text : `${text}+00`)),
    random: (random) => `${timestamp(random)}${pick(random, ['+00', '+02', '-09:30'])}`,
  },
  interval: {
    awkward: [
      '0',
      '1 year',
      '-1 month',
      '1 day',
      '-1 day',
      '25 hours',
      '1 year -1 month',
      '1 day -1 second',
      '-00:00:00.000001',
      '999 days 23:59:59.999999',
      '178000000 years',
      '-178000000 years -2147483648 days',
      '1 mon -1 day 00:00:01',
      '-1 mon 1 day -00:00:00.000001',
    ],
    random: interval,
  },
  json: { awkward: [...awkwardJson, '{"a": 1, "a": 2}', '  {"spaced" :\n1 }  '], random: json },
  jsonb: { awkward: awkwardJson, random: json },
  int4range: { awkward: ['empty', '(,)', '[1,1]', '[5,)'], random: range(int(-99, 99), byNumber) },
  int8range: { awkward: ['empty', '[9007199254740993,)'], random: range(int(-99, 99), byNumber) },
  numrange: { awkward: ['empty', '(0.5,1.50]', '[1,)'], random: range(numeric, byNumber) },
  daterange: { awkward: ['empty', '[2024-01-01,)', '(,2024-01-01]'], random: range(date, byText) },
  tsrange: { awkward: ['empty', '[2024-01-01 00:00:00,infinity)'], random: range(timestamp, byText) },
  tstzrange: { awkward: ['empty', '(,)'], random: range((random) => `${timestamp(random)}+00`, byText) },
  int4multirange: {
    awkward: ['{}', '{[1,3),[5,8)}', '{(,1),[9,)}'],
    random: (random) => `{[${integer(random, 0, 9)},20],[30,${integer(random, 31, 99)})}`,
  },
  tstzmultirange: { awkward: ['{}'], random: (random) => `{["${date(random)} 00:00:00+00",)}` },
  inet: {
    awkward: ['10.0.0.1', '10.0.0.1/8', '::1', 'fe80::1/64', '0.0.0.0/0'],
    random: (random) => `10.${integer(random, 0, 255)}.0.${integer(random, 0, 255)}`,
  },
  cidr: {
    awkward: ['10.0.0.0/8', '2001:db8::/32', '10.1.2.3/32'],
    random: (random) => `10.${integer(random, 0, 255)}.0.0/16`,
  },
  macaddr: { awkward: ['08:00:2b:01:02:03'], random: (random) => hex(random, 6) },
  macaddr8: { awkward: ['08:00:2b:01:02:03:04:05'], random: (random) => hex(random, 8) },
  'bit(8)': { awkward: ['00000000', '11111111'], random: (random) => bits(random, 8) },
  'bit varying': { awkward: ['', '1'], random: (random) => bits(random, integer(random, 1, 30)) },
  tsvector: { awkward: ['', "'a b':1A 'c''d'"], random: (random) => `x:1 ${integer(random, 0, 99)}` },
  tsquery: { awkward: ['', "'a' & !'b'"], random: (random) => `a | b${integer(random, 0, 99)}` },
  pg_lsn: { awkward: ['0/0', 'FFFFFFFF/FFFFFFFF'], random: (random) => `0/${hex(random, 3)}` },
  jsonpath: { awkward: ['$', '$.a[*] ? (@ > 1)'], random: (random) => `$.b[${integer(random, 0, 99)}]` },
  xml: { awkward: ['', '<a b="c">d</a>', 'text only'], random: (random) => `<n>${integer(random, 0, 99)}</n>` },
  regclass: { awkward: ['pg_catalog.pg_class'], random: () => 'pg_catalog.pg_type' },
  point: { awkward: ['(0,0)', '(-0,1e300)', '(1e-300,-1.5)', '(Infinity,NaN)'], random: point },
  lseg: { awkward: ['[(0,0),(0,0)]'], random: (random) => `[${point(random)},${point(random)}]` },
  path: {
    awkward: ['[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '[(1,1)]', '((1,1),(2,2))'],
    random: (random) => `[${point(random)},${point(random)}]`,
  },
  box: { awkward: ['(1,1),(0,0)', '(0,0),(0,0)'], random: (random) => `${point(random)},${point(random)}` },
  polygon: {
    awkward: ['((0,0),(1,1),(2,0))', '((0,0))', '((0,0),(4,0),(4,4),(0,0))'],
    random: (random) => `(${point(random)},${point(random)},(200,200))`,
  },
  circle: {
    awkward: ['<(0,0),0>', '<(1.5,-2),3.25>'],
    random: (random) => `<${point(random)},${integer(random, 0, 9)}>`,
  },
  line: {
    awkward: ['{1,2,3}', '{0,-1,0.5}'],
    random: (random) => `{${integer(random, 1, 9)},${integer(random, 1, 9)},0}`,
  },
} as const satisfies Record<string, Values>

export type TypeName = keyof typeof values

/** The built-in types that have generators here. */
export const typeNames = Object.keys(values).filter((name): name is TypeName => Object.hasOwn(values, name))

/** The first values are the awkward ones in turn, so that all of them occur; the rest is mixed. */
export function generatorOf(type: TypeName): (random: Random, index: number) => string {
  const { awkward, random: generate }: Values = values[type]
  return (random, index) => {
    const chosen = awkward[random() < 0.1 ? integer(random, 0, awkward.length - 1) : index]
    return chosen ?? generate(random)
  }
}

/** How many awkward values a type has. */
export function awkwardCount(type: TypeName): number {
  return values[type].awkward.length
}

/** An array's input form of elements in theirs. */
export function arrayText(elements: readonly (string | null)[]): string {
  return `{${elements.map((element) => (element === null ? 'NULL' : `"${element.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
}
