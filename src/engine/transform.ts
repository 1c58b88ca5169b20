/** User code between source and sink. */
import { deletes, type Row, type RowBatch, upserts } from '../core/batch.js'
import { SyncError } from '../core/errors.js'
import type { Column, Table } from '../core/schema.js'
import type { ComputedField, TableShape, Transform } from '../core/shaping.js'
import type { Value } from '../core/value.js'

export type { Transform } from '../core/shaping.js'

/** What is to be applied to a batch, in order: the table's own transforms first. Deletes pass untouched. */
export function transformsOf({ op, table }: RowBatch, general: readonly Transform[]): readonly Transform[] {
  if (op === 'delete') return []
  return table.shape === undefined ? general : [...ownTransforms(table.shape), ...general]
}

/** Whether rows of this table become others on their way. */
export function isTransformed({ shape }: Table, general: readonly Transform[]): boolean {
  return general.length > 0 || (shape !== undefined && ownTransforms(shape).length > 0)
}

/** Applies transforms in order. Deletes pass untouched. */
export async function applyTransforms(batch: RowBatch, transforms: readonly Transform[]): Promise<readonly RowBatch[]> {
  const { table } = batch
  if (transforms.length === 0 || batch.op === 'delete') return [batch]
  const before = [...batch.rows()]
  let current: readonly (Row | null)[] = before
  for (const transform of transforms) current = await applyOne(transform, current, table)
  const kept: Row[] = []
  const gone: Row[] = []
  for (const [index, original] of before.entries()) {
    const row = current[index]
    if (row === null || row === undefined) gone.push(original)
    else kept.push(withKeyOf(original, row, table))
  }
  const result: RowBatch[] = []
  if (kept.length > 0) result.push(upserts(table, kept, columnsOf(kept, table)))
  if (gone.length > 0 && table.key.length > 0) result.push(deletes(table, gone))
  return result
}

function ownTransforms({ compute = {}, transform }: TableShape): readonly Transform[] {
  const fields = Object.entries(compute).filter(
    (field): field is [string, Computation] => typeof field[1] === 'function',
  )
  const computing: Transform = (rows, table) => rows.map((row) => computed(row, table, fields))
  return [...(fields.length === 0 ? [] : [computing]), ...(transform === undefined ? [] : [transform])]
}

function computed(row: Row, table: Table, fields: readonly (readonly [string, Computation])[]): Row {
  const result: Record<string, Value> = Object.assign(Object.create(null), row)
  // Each from the same row, whatever their order.
  for (const [field, compute] of fields) result[field] = compute(row, table)
  return result
}

/** What is not a function, the source has done. */
type Computation = Extract<ComputedField, (row: Row, table: Table) => Value>

async function applyOne(
  transform: Transform,
  rows: readonly (Row | null)[],
  table: Table,
): Promise<readonly (Row | null)[]> {
  const present = rows.filter((row) => row !== null)
  if (present.length === 0) return rows
  const results = await transform(present, table)
  if (results.length !== present.length) {
    throw new SyncError(
      'E_CONFIG',
      `A transform returned ${results.length} results for ${present.length} rows of ${table.label}`,
      { table: table.label, hint: 'Return one result for each row, in the same order; null removes a row.' },
    )
  }
  let next = 0
  return rows.map((row) => (row === null ? null : (results[next++] ?? null)))
}

function withKeyOf(original: Row, row: Row, table: Table): Row {
  if (table.key.every(({ name }) => row[name] === original[name])) return row
  const copy: Record<string, Row[string]> = Object.assign(Object.create(null), row)
  for (const { name } of table.key) copy[name] = original[name] ?? null
  return copy
}

/** The table's columns that occur in the rows, then added fields: as text is, they are written by their JavaScript type. */
function columnsOf(rows: readonly Row[], table: Table): readonly Column[] {
  const names = new Set(rows.flatMap((row) => Object.keys(row)))
  const columns = table.columns.filter(({ name }) => names.delete(name))
  for (const name of names) columns.push({ name, type: { kind: 'text' }, sourceType: 'transform', nullable: true })
  return columns
}
