/** Random values of every kind over the whole range of their types, for the test that compares both phases with PostgreSQL. */
import {
  arrayText,
  awkwardCount,
  generatorOf,
  integer,
  pick,
  type Random,
  type TypeName,
  typeNames,
} from './shapes-values.js'

type Generate = (random: Random, index: number) => string | null

/** One column: its type in SQL, and input texts for it. */
export interface TypedColumn {
  readonly name: string
  readonly type: string
  readonly generate: Generate
  /** How many values come first that PostgreSQL must not refuse. */
  readonly awkward?: number
}

/** What the columns need. */
export const typesSql = `
create schema kinds;
create type kinds.mood as enum ('sad', 'ok', 'very happy', 'quo''te', '🙂');
create domain kinds.short as text check (length(value) < 100000);
create domain kinds.shorter as kinds.short;
create type kinds.leaf as (n numeric, t timestamptz, f float8[], s kinds.shorter);
create type kinds.tree as (name text, leaf kinds.leaf, leaves kinds.leaf[], doc jsonb, mood kinds.mood, span int8range);
create type kinds.floats as range (subtype = float8, multirange_type_name = kinds.many_floats);`

/** Types that can be the only column of a key. */
const keyTypes = [
  'boolean',
  'smallint',
  'integer',
  'bigint',
  'oid',
  'real',
  'double precision',
  'numeric',
  'money',
  'text',
  'char(12)',
  'name',
  'bytea',
  'uuid',
  'date',
  'time',
  'timetz',
  'timestamp',
  'timestamptz',
  'interval',
  'jsonb',
  'inet',
  'cidr',
  'macaddr',
  'bit(8)',
  'bit varying',
  'int4range',
  'numrange',
  'tstzrange',
  'int4multirange',
  'pg_lsn',
  'tsvector',
] as const satisfies readonly TypeName[]

const nullShare = 0.1
const years = { first: -4712, timestampLast: 294_275, dateLast: 5_874_896 }
const two = (value: number) => String(value).padStart(2, '0')
const digits = (random: Random, count: number) => Array.from({ length: count }, () => integer(random, 0, 9)).join('')
const sign = (random: Random) => (random() < 0.5 ? '-' : '')

/** Any double, by its bits. */
function double(random: Random): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, integer(random, 0, 2 ** 32 - 1))
  view.setUint32(4, integer(random, 0, 2 ** 32 - 1))
  return view.getFloat64(0)
}

function single(random: Random): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, integer(random, 0, 2 ** 32 - 1))
  return view.getFloat32(0)
}

function finite(random: Random): string {
  const value = double(random)
  return Number.isFinite(value) ? String(value) : '0'
}

/** Any text without NUL and without halves of surrogate pairs. */
function text(random: Random): string {
  const points = Array.from({ length: integer(random, 0, pick(random, [3, 30])) }, () =>
    pick(random, [integer(random, 1, 0x7f), integer(random, 1, 0xd7ff), integer(random, 0xe000, 0x10ffff)]),
  )
  return String.fromCodePoint(...points)
}

function numeric(random: Random): string {
  const whole = digits(random, integer(random, 1, pick(random, [5, 30, 60])))
  const fraction = random() < 0.3 ? '' : `.${digits(random, integer(random, 1, pick(random, [5, 28, 40])))}`
  return `${sign(random)}${whole}${fraction}${random() < 0.1 ? `e${integer(random, -60, 60)}` : ''}`
}

function day(random: Random, last: number): readonly [text: string, era: string] {
  const year = random() < 0.7 ? integer(random, 1, 9999) : integer(random, years.first, last)
  const shown = year > 0 ? year : 1 - year
  const text = `${String(shown).padStart(4, '0')}-${two(integer(random, 1, 12))}-${two(integer(random, 1, 28))}`
  return [text, year > 0 ? '' : ' BC']
}

function timestamp(random: Random): string {
  const [date, era] = day(random, years.timestampLast)
  const clock = `${two(integer(random, 0, 23))}:${two(integer(random, 0, 59))}:${two(integer(random, 0, 59))}`
  return `${date} ${clock}.${digits(random, 6)}${era}`
}

function interval(random: Random): string {
  const part = (max: number) => (random() < 0.4 ? 0 : integer(random, -max, max))
  const clock = `${sign(random)}${Math.abs(part(1_200_000))}:${two(integer(random, 0, 59))}:${two(integer(random, 0, 59))}`
  return `${part(2_000_000)} months ${part(2_000_000)} days ${random() < 0.4 ? '' : `${clock}.${digits(random, 6)}`}`
}

function range(random: Random, bound: (random: Random) => string, order: (a: string, b: string) => number): string {
  const [low = '', high = ''] = [bound(random), bound(random)].sort(order)
  const end = (text: string) => (random() < 0.15 ? '' : `"${text}"`)
  return `${pick(random, ['[', '('])}${end(low)},${end(high)}${pick(random, [']', ')'])}`
}

const byNumber = (a: string, b: string) => Number(a) - Number(b)
const commonDay = (random: Random) => `${integer(random, 1000, 9999)}-${two(integer(random, 1, 12))}-05`
const byText = (a: string, b: string) => (a < b ? -1 : 1)
const point = (random: Random) => `(${finite(random)},${finite(random)})`
const points = (random: Random, count: number) => Array.from({ length: count }, () => point(random)).join(',')

/** Beside the generators of the shapes, which have the awkward values. */
const wild: { readonly [type in TypeName]?: (random: Random) => string } = {
  bigint: (random) => `${sign(random)}${BigInt.asUintN(62, BigInt(digits(random, 19)))}`,
  real: (random) => String(single(random)),
  'double precision': (random) => String(double(random)),
  numeric,
  text,
  'varchar(60)': (random) => [...text(random)].slice(0, 60).join(''),
  date: (random) => day(random, years.dateLast).join(''),
  timestamp,
  timestamptz: (random) =>
    timestamp(random).replace(/( BC)?$/, (era) => `${pick(random, ['+00', '-11', '+05:45'])}${era}`),
  interval,
  numrange: (random) => range(random, numeric, byNumber),
  daterange: (random) => range(random, commonDay, byText),
  tstzrange: (random) => range(random, (it) => `${commonDay(it)} 12:00:00.5+00`, byText),
  inet: (random) =>
    `${[0, 1, 2, 3].map(() => integer(random, 0, 65_535).toString(16)).join(':')}::/${integer(random, 0, 128)}`,
  point,
  lseg: (random) => `[${points(random, 2)}]`,
  path: (random) => pick(random, [`[${points(random, 3)}]`, `(${points(random, 4)})`]),
  polygon: (random) => `(${points(random, integer(random, 1, 5))})`,
}

/** The awkward values first, then all kinds. */
function scalar(type: TypeName): Generate {
  const usual = generatorOf(type)
  const other = wild[type]
  const first = awkwardCount(type)
  return (random, index) =>
    other === undefined || index < first || random() < 0.5 ? usual(random, index) : other(random)
}

/** @param first How many values are not to be replaced. */
const nulls = (generate: Generate, first = 0): Generate => {
  return (random, index) => (index >= first && random() < nullShare ? null : generate(random, index))
}

/** Empty, flat, with a lower bound other than 1, and of two and three dimensions: all with NULLs. */
const awkwardArrays = 5

/** Up to three dimensions, with NULLs, and with lower bounds other than 1. */
function arrayOf(generate: Generate): Generate {
  const awkward = (random: Random, index: number) => {
    const cells = Array.from({ length: 3 }, (_, cell) => (cell === 1 ? null : generate(random, index + cell)))
    const row = arrayText(cells)
    return ['{}', row, `[5:7]=${row}`, `{${row},${row}}`, `{{${row}},{${row}}}`][index] ?? row
  }
  return (random, index) => {
    if (index < awkwardArrays) return awkward(random, index)
    const [x, y, z] = [integer(random, 0, 4), integer(random, 1, 2), integer(random, 1, 3)]
    const row = () =>
      arrayText(Array.from({ length: x }, () => nulls(generate)(random, index + integer(random, 0, 30))))
    if (x === 0 || random() < 0.6) return x > 0 && random() < 0.2 ? `[5:${4 + x}]=${row()}` : row()
    const plane = () => `{${Array.from({ length: y }, row).join(',')}}`
    return random() < 0.5 ? plane() : `{${Array.from({ length: z }, plane).join(',')}}`
  }
}

function compositeText(fields: readonly (string | null)[]): string {
  return `(${fields.map((field) => (field === null ? '' : `"${field.replace(/["\\]/g, '$&$&')}"`)).join(',')})`
}

const composite = (...fields: readonly Generate[]): Generate => {
  return (random, index) => compositeText(fields.map((generate) => nulls(generate)(random, index)))
}

const mood: Generate = (random) => pick(random, ['sad', 'ok', 'very happy', "quo'te", '🙂'])
const leaf = composite(scalar('numeric'), scalar('timestamptz'), arrayOf(scalar('double precision')), scalar('text'))
const tree = composite(scalar('text'), leaf, arrayOf(leaf), scalar('jsonb'), mood, scalar('int8range'))
const floats: Generate = (random) => range(random, finite, byNumber)

const others: readonly TypedColumn[] = [
  { name: 'mood', type: 'kinds.mood', generate: mood },
  { name: 'moods', type: 'kinds.mood[]', generate: arrayOf(mood) },
  { name: 'shorter', type: 'kinds.shorter', generate: scalar('text') },
  { name: 'leaf', type: 'kinds.leaf', generate: leaf },
  { name: 'tree', type: 'kinds.tree', generate: tree },
  { name: 'trees', type: 'kinds.tree[]', generate: arrayOf(tree) },
  { name: 'floats', type: 'kinds.floats', generate: floats },
  { name: 'many_floats', type: 'kinds.many_floats', generate: (random, index) => `{${floats(random, index)}}` },
]

/**
 * Without what the documentation excepts for keys: JSON with an empty name is text in a record id, and arrays that differ by
 * their lower bounds alone are one record.
 */
function keyed(generate: Generate): Generate {
  return (random, index) => {
    const text = generate(random, index)
    return text?.replace(/(\\*")\\*"(\s*:)/g, '$1e$1$2').replace(/^\[5:\d\]=/, '') ?? null
  }
}

/** `box[]` is written with other separators. */
const unlisted: readonly TypeName[] = ['box']

/** A column of every type and of its arrays. */
export const valueColumns: readonly TypedColumn[] = [
  ...typeNames.map((type) => ({
    name: columnName(type),
    type,
    generate: nulls(scalar(type), awkwardCount(type)),
    awkward: awkwardCount(type),
  })),
  ...typeNames
    .filter((type) => !unlisted.includes(type))
    .map((type) => ({
      name: `${columnName(type)}_list`,
      type: `${type}[]`,
      generate: nulls(arrayOf(scalar(type)), awkwardArrays),
    })),
  ...others.map((column) => ({ ...column, generate: nulls(column.generate, awkwardArrays) })),
]

/** So many rows have every awkward value of every type. */
export const awkwardRows = Math.max(...typeNames.map(awkwardCount))

/** Columns that can be the only one of a key. */
export const keyColumns: readonly TypedColumn[] = [
  ...keyTypes.map((type) => ({ name: columnName(type), type, generate: keyed(scalar(type)) })),
  ...keyTypes
    // Arrays of jsonb do not tell NULL from null, nor an empty array from another dimension.
    .filter((type) => type !== 'money' && type !== 'jsonb')
    .map((type) => ({ name: `${columnName(type)}_list`, type: `${type}[]`, generate: keyed(arrayOf(scalar(type))) })),
  ...others
    // Tables with a domain within their key are left out.
    .filter(({ name }) => !['leaf', 'tree', 'trees'].includes(name))
    .map((column) => ({
      ...column,
      name: `${column.name}_key`,
      generate: keyed(column.generate),
    })),
]

function columnName(type: string): string {
  return type.replace(/\W+/g, '_').replace(/^_|_$/g, '')
}
