/** What is worked out once per table: its target, its record ids, its fields as bytes. */
import type { RowBatch } from '../../core/batch.js'
import type { Column, Table } from '../../core/schema.js'
import { deletesOf } from '../../core/shaping.js'
import { CborBuffer, cbor } from './cbor-buffer.js'
import { type RecordShape, recordShape } from './record-id.js'
import { CellSite, type ValueForms } from './types.js'
import type { ValueChoices } from './value-choices.js'

export interface TablePlan {
  readonly table: Table
  /** The name of the table in SurrealDB. */
  readonly target: string
  readonly shape: RecordShape
  /** By column; those that a transform adds follow. */
  readonly sites: Map<string, CellSite>
  /** Of the key columns, for record ids. */
  readonly keySites: readonly CellSite[]
  /** Of columns that the table does not have. */
  readonly forms: ValueForms
  /** What becomes of records whose rows are gone. */
  readonly removal: Removal
  /** The layout of batches with all of the table's columns. */
  readonly layout: RowLayout
}

export interface Removal {
  /** Undefined: nothing. */
  readonly kind: 'delete' | 'mark' | undefined
  /** The field that marks them. */
  readonly field?: string
  /** What goes in front of each record id. */
  readonly prefix: Uint8Array
}

/** One cell of a record: where it comes from and what goes in front of it. */
export interface PlannedCell {
  readonly index: number
  readonly site: CellSite
  /** The field's name as CBOR; empty within a record id. */
  readonly name: Uint8Array
}

interface KeyCell extends PlannedCell {
  /** JSON's null is a value like any other. */
  readonly json: boolean
}

/** The cells of each row of a batch. */
export interface RowLayout {
  readonly key: readonly KeyCell[]
  readonly fields: readonly PlannedCell[]
  /** The head of each record and the name `id`. */
  readonly recordPrefix: Uint8Array
  /** The head does not say how many fields there are: a byte ends them. */
  readonly open: boolean
}

/** Columns that are added have sites of their own, up to this many. */
const sitesMax = 5_000

type Layable = Pick<TablePlan, 'table' | 'shape' | 'sites' | 'keySites' | 'forms' | 'removal'>

export function planTable(table: Table, target: string, choices: ValueChoices): TablePlan {
  const [firstKey] = table.key
  const shape = recordShape(table, target, firstKey === undefined ? choices.general : choices.forms(table, firstKey))
  const sites = new Map(
    table.columns.map((column) => [column.name, new CellSite(table.label, column.name, choices.forms(table, column))]),
  )
  const keySites = table.key.map((column) => {
    const site = sites.get(column.name)
    // What is counted as a field must not be counted again.
    return site === undefined || shape.fieldNames.has(column.name)
      ? new CellSite(table.label, column.name, choices.forms(table, column))
      : site
  })
  const plan = { table, target, shape, sites, keySites, forms: choices.general, removal: removalOf(table) }
  return { ...plan, layout: layOut(plan, table.columns, false) }
}

/** Finds the columns of a batch. It may carry them in any order, lack some, and have others than the table. */
export function rowLayout(plan: TablePlan, batch: RowBatch): RowLayout {
  if (batch.op === 'delete') return { ...plan.layout, key: keyCells(plan, batch.columns), fields: [] }
  return batch.columns === plan.table.columns ? plan.layout : layOut(plan, batch.columns, true)
}

/** @param sparse Whether a row may lack a column. */
function layOut(plan: Layable, columns: readonly Column[], sparse: boolean): RowLayout {
  const names = fieldNames(plan, columns)
  const fields = columns.flatMap(({ name: column }, index): readonly PlannedCell[] => {
    const name = names.get(column)
    return name === undefined ? [] : [{ index, site: siteOf(plan, column), name: text(name) }]
  })
  const open = sparse || fields.some(({ site }) => site.forms.nulls === 'none')
  const prefix = new CborBuffer(64)
  if (open) prefix.putByte(cbor.openMap)
  else prefix.putHead(cbor.map, fields.length + 1)
  prefix.putText('id')
  return { key: keyCells(plan, columns), fields, recordPrefix: prefix.slice(0, prefix.position).slice(), open }
}

function removalOf(table: Table): Removal {
  const policy = deletesOf(table)
  if (policy === 'ignore') return { kind: undefined, prefix: new Uint8Array(0) }
  if (policy === 'hard') return { kind: 'delete', prefix: new Uint8Array(0) }
  const buffer = new CborBuffer(256)
  buffer.putHead(cbor.map, 2)
  for (const part of ['field', policy.soft, 'id']) buffer.putText(part)
  return { kind: 'mark', field: policy.soft, prefix: buffer.slice(0, buffer.position).slice() }
}

function siteOf({ table, sites, forms }: Layable, column: string): CellSite {
  const site = sites.get(column) ?? new CellSite(table.label, column, forms)
  if (sites.size < sitesMax) sites.set(column, site)
  return site
}

function keyCells({ table, keySites }: Layable, columns: readonly Column[]): readonly KeyCell[] {
  const name = new Uint8Array(0)
  return table.key.map((column, part) => {
    const index = columns.findIndex((it) => it.name === column.name)
    const site = keySites[part]
    if (index < 0 || site === undefined) throw new Error(`A batch of ${table.label} lacks the column ${column.name}`)
    return { index, site, name, json: column.type.kind === 'json' }
  })
}

/** The table's columns have the names they always have. A column that was added yields to them, and is never called `id`. */
function fieldNames({ table, shape, removal }: Layable, columns: readonly Column[]): ReadonlyMap<string, string> {
  const own = new Set(table.columns.map(({ name }) => name))
  const names = new Map<string, string>()
  for (const { name } of columns) {
    const field = shape.fieldNames.get(name)
    if (field !== undefined) names.set(name, field)
  }
  const taken = new Set(['id', ...(removal.field === undefined ? [] : [removal.field]), ...names.values()])
  for (const { name } of columns) {
    if (own.has(name)) continue
    let field = name
    while (taken.has(field)) field += '_'
    taken.add(field)
    names.set(name, field)
  }
  return names
}

function text(name: string): Uint8Array {
  const buffer = new CborBuffer(name.length * 3 + 8)
  buffer.putText(name)
  return buffer.slice(0, buffer.position)
}
