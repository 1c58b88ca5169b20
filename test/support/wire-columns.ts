/** Columns of every wire type with cells for them: what PostgreSQL sent, and what is made of that. */
import type { LogicalType } from '../../src/core/value.js'
import { arrayCodec } from '../../src/sources/postgres/codecs/array.js'
import { builtinTypes, extensionTypes } from '../../src/sources/postgres/codecs/builtin.js'
import type { Codec } from '../../src/sources/postgres/codecs/codec.js'
import { compositeCodec } from '../../src/sources/postgres/codecs/composite.js'
import { moneyCodec } from '../../src/sources/postgres/codecs/numeric.js'
import { multirangeCodec, rangeCodec } from '../../src/sources/postgres/codecs/range.js'
import { type Cell, int32 } from './copy-bytes.js'
import { wireSamples } from './wire-samples.js'

/** A wire type and some of its cells. */
export interface WireColumn {
  readonly name: string
  readonly type: LogicalType
  readonly codec: Codec
  readonly cells: readonly Buffer[]
}

const elementOid = 25

/** In hex, written by hand: PostgreSQL without extensions has none of them. */
const extensionSamples: Readonly<Record<string, string>> = {
  'hstore_send hstore': '0000000200000001610000000162000000036e696cffffffff 00000000',
  'ltree_send ltree': '01612e622e63',
  'geometry_send geometry':
    '0101000020e6100000000000000000f03f0000000000000040 010700000001000000010200000002000000000000000000000000000000000000000000000000001040000000000000f03f 01030000000100000004000000000000000000000000000000000000000000000000001040000000000000000000000000000010400000000000001040000000000000000000000000000000000106000000010000000103000000000000000000 01630000000102',
  'vector_send vector': '000300003f8000004048f5c3bf000000',
  'halfvec_send halfvec': '000500003c00c00000017c002e66',
  'sparsevec_send sparsevec': '00000005000000020000000000000000000000033f80000040000000',
}

function cellsOf(samples: string): readonly Buffer[] {
  return samples.split(' ').map((hex) => Buffer.from(hex, 'hex'))
}

function sized(cell: Cell): Buffer {
  return cell === null ? int32(-1) : Buffer.concat([int32(cell.length), cell])
}

/** An array of these dimensions. */
export function arrayCell(lengths: readonly number[], cells: readonly Cell[]): Buffer {
  const dimensions = lengths.flatMap((length) => [int32(length), int32(1)])
  return Buffer.concat([int32(lengths.length), int32(1), int32(elementOid), ...dimensions, ...cells.map(sized)])
}

function arrayOf({ name, type, codec, cells }: WireColumn): WireColumn {
  const [first = null, second = null] = cells
  return {
    name: `${name}[]`,
    type: { kind: 'array', element: type },
    codec: arrayCodec(codec),
    cells: [
      arrayCell([], []),
      arrayCell([3], [first, null, second]),
      arrayCell([2, 2], [first, second, null, first]),
      arrayCell([1, 2, 1], [first, second]),
    ],
  }
}

function rangeOf({ name, type, codec, cells }: WireColumn): WireColumn {
  const [low = null, high = null] = cells
  return {
    name: `${name} range`,
    type: { kind: 'range', element: type },
    codec: rangeCodec(codec),
    cells: [
      Buffer.of(0x01),
      Buffer.of(0x18),
      Buffer.concat([Buffer.of(0x02), sized(low), sized(high)]),
      Buffer.concat([Buffer.of(0x10), sized(low)]),
    ],
  }
}

function multirangeOf({ name, type, codec, cells }: WireColumn): WireColumn {
  const all = Buffer.concat([int32(cells.length), ...cells.map(sized)])
  return {
    name: `multi ${name}`,
    type: { kind: 'array', element: type },
    codec: multirangeCodec(codec),
    cells: [int32(0), all],
  }
}

function compositeOf(parts: readonly WireColumn[]): WireColumn {
  const fields = parts.map((part, index) => ({ ...part, typeOid: elementOid + index }))
  const row = (pick: (part: WireColumn) => Cell) =>
    Buffer.concat([int32(fields.length), ...fields.flatMap((field) => [int32(field.typeOid), sized(pick(field))])])
  return {
    name: `(${parts.map(({ name }) => name).join(', ')})`,
    type: { kind: 'object', fields },
    codec: compositeCodec(fields),
    cells: [row(({ cells }) => cells[0] ?? null), row(() => null), row(({ cells }) => cells.at(-1) ?? null)],
  }
}

const scalars: readonly WireColumn[] = [
  ...[...builtinTypes].map(([name, { type, codec }]) => ({
    name,
    type,
    codec,
    cells: cellsOf(wireSamples[name] ?? ''),
  })),
  ...[...extensionTypes].map(([name, { type, codec }]) => ({
    ...{ name, type, codec },
    cells: cellsOf(extensionSamples[name] ?? extensionSamples['ltree_send ltree'] ?? ''),
  })),
  { name: 'money', type: { kind: 'decimal' }, codec: moneyCodec(2), cells: cellsOf(wireSamples.cash_send ?? '') },
]

function scalar(name: string): WireColumn {
  const found = scalars.find((column) => column.name === name)
  if (found === undefined) throw new Error(`There is no type ${name}`)
  return found
}

const ranges = ['int4send', 'numeric_send', 'timestamptz_send', 'date_send', 'float8send'].map((name) =>
  rangeOf(scalar(name)),
)
const leaf = compositeOf([scalar('numeric_send'), scalar('timestamptz_send'), arrayOf(scalar('float8send'))])

/** One of every type, of its arrays, and of types made of others. */
export const wireColumns: readonly WireColumn[] = [
  ...scalars,
  ...scalars.map(arrayOf),
  ...ranges,
  ...ranges.map(multirangeOf),
  ...ranges.map(arrayOf),
  leaf,
  arrayOf(leaf),
  compositeOf([scalar('textsend'), leaf, arrayOf(leaf), scalar('jsonb_send'), ...ranges.slice(0, 2)]),
]
