/** Keys between cells, JavaScript values, and the text that PostgreSQL casts back. */
import type { Key } from '../../core/batch.js'
import type { LogicalType, Value } from '../../core/value.js'
import type { CopyRows } from './copy-rows.js'
import type { PostgresKeyColumn, PostgresTable } from './postgres-table.js'

export function keyTypes(table: PostgresTable): readonly LogicalType[] {
  return table.key.map(({ type }) => type)
}

/** The key whose cells stand side by side from a column on. */
export function keyAt(rows: CopyRows, row: number, table: PostgresTable, firstColumn: number): Key {
  return table.key.map(({ codec }, index) => {
    const start = rows.start(row, firstColumn + index)
    return start < 0 ? null : codec.decode(rows, start, rows.end(start))
  })
}

/**
 * The key as the JSON array that a capture function would write, with every part as text. `undefined` for a key that this
 * table cannot have; also for a few that it could have, whose text is not worth the trouble here.
 */
export function keyJson(key: Key, table: PostgresTable): string | undefined {
  if (key.length !== table.key.length) return undefined
  const parts: string[] = []
  for (const [index, column] of table.key.entries()) {
    const text = partText(key[index] ?? null, column)
    if (text === undefined) return undefined
    parts.push(text)
  }
  return JSON.stringify(parts)
}

const integerRanges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  'pg_catalog.int2': [-(2n ** 15n), 2n ** 15n - 1n],
  smallint: [-(2n ** 15n), 2n ** 15n - 1n],
  'pg_catalog.int4': [-(2n ** 31n), 2n ** 31n - 1n],
  integer: [-(2n ** 31n), 2n ** 31n - 1n],
  oid: [0n, 2n ** 32n - 1n],
}
const bigintRange = [-(2n ** 63n), 2n ** 63n - 1n] as const

type PartWriter = (value: Value, column: PostgresKeyColumn) => string | undefined

const matching =
  (pattern: RegExp): PartWriter =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? value : undefined

const writers: Partial<Record<LogicalType['kind'], PartWriter>> = {
  boolean: (value) => (typeof value === 'boolean' ? String(value) : undefined),
  integer: (value, { castType }) => {
    if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return undefined
    const number = BigInt(value as number | bigint)
    const [low, high] = integerRanges[castType] ?? bigintRange
    return number >= low && number <= high ? String(number) : undefined
  },
  float: (value) => (typeof value === 'number' ? String(value) : undefined),
  text: (value) => (typeof value === 'string' && !value.includes('\0') ? value : undefined),
  uuid: matching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i),
  decimal: matching(/^(-?\d{1,1000}(\.\d{1,1000})?|NaN|-?Infinity)$/),
  bytes: (value) => (value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : undefined),
  time: matching(/^\d\d:\d\d:\d\d(\.\d{1,6})?$/),
  date: matching(/^(\d{4}-\d\d-\d\d|-?infinity)$/),
  timestamp: matching(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z|-?infinity)$/),
}

function partText(value: Value, column: PostgresKeyColumn): string | undefined {
  return writers[column.type.kind]?.(value, column)
}
