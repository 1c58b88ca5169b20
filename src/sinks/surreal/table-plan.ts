/** What is worked out once per table: its target, its record ids, its fields as bytes. */
import type { RowBatch } from '../../core/batch.js'
import type { Column, Table } from '../../core/schema.js'
import { CborBuffer, cbor } from './cbor-buffer.js'
import { type RecordShape, recordShape } from './record-id.js'
import { CellSite, type ValueForms } from './types.js'

export interface TablePlan {
  readonly table: Table
  /** The name of the table in SurrealDB. */
  readonly target: string
  readonly shape: RecordShape
  readonly sites: ReadonlyMap<string, CellSite>
  /** The head of each record and the name `id`. */
  readonly recordPrefix: Uint8Array
  readonly omitsNulls: boolean
  readonly forms: ValueForms
}

/** One cell of a record: where it comes from and what goes in front of it. */
export interface PlannedCell {
  readonly index: number
  readonly site: CellSite
  /** The field's name as CBOR; empty within a record id. */
  readonly name: Uint8Array
}

/** The cells of each row of a batch. */
export interface RowLayout {
  readonly key: readonly PlannedCell[]
  readonly fields: readonly PlannedCell[]
}

export function planTable(table: Table, target: string, forms: ValueForms): TablePlan {
  const shape = recordShape(table, target, forms)
  const omitsNulls = forms.nulls === 'none'
  const prefix = new CborBuffer(64)
  if (omitsNulls) prefix.putByte(cbor.openMap)
  else prefix.putHead(cbor.map, shape.fieldNames.size + 1)
  prefix.putText('id')
  return {
    table,
    target,
    shape,
    sites: new Map(table.columns.map(({ name }) => [name, new CellSite(table.label, name)])),
    recordPrefix: prefix.slice(0, prefix.position).slice(),
    omitsNulls,
    forms,
  }
}

/** Finds the columns of a batch. It may carry them in any order. */
export function rowLayout(plan: TablePlan, batch: RowBatch): RowLayout {
  const indexes = new Map(batch.columns.map((column, index) => [column.name, index]))
  const cell = (column: Column, name: Uint8Array): PlannedCell => {
    const index = indexes.get(column.name)
    const site = plan.sites.get(column.name)
    if (index === undefined || site === undefined) {
      throw new Error(`A batch of ${plan.table.label} lacks the column ${column.name}`)
    }
    return { index, site, name }
  }
  const none = new Uint8Array(0)
  return {
    key: plan.table.key.map((column) => {
      const keyCell = cell(column, none)
      // What is counted as a field must not be counted again.
      return plan.shape.fieldNames.has(column.name)
        ? { ...keyCell, site: new CellSite(plan.table.label, column.name) }
        : keyCell
    }),
    fields: batch.op === 'delete' ? [] : plan.table.columns.flatMap((column) => fieldCell(plan, column, cell)),
  }
}

function fieldCell(
  plan: TablePlan,
  column: Column,
  cell: (column: Column, name: Uint8Array) => PlannedCell,
): readonly PlannedCell[] {
  const name = plan.shape.fieldNames.get(column.name)
  if (name === undefined) return []
  const buffer = new CborBuffer(name.length * 3 + 8)
  buffer.putText(name)
  return [cell(column, buffer.slice(0, buffer.position))]
}
