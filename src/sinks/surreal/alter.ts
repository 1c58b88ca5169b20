/** Columns that came or went: the same for every record of a table, without reading one row of the source. */
import type { Alteration } from '../../core/alteration.js'
import type { Abortable } from '../../core/source.js'
import { idPages } from './id-page.js'
import type { Lane } from './lane.js'
import type { FieldChanges } from './statements.js'
import { idsBytes } from './sweep.js'
import type { TablePlan } from './table-plan.js'

/** Each field that is added costs a statement over all records; a table that gets more is cheaper to copy again. */
const addedMax = 8

/** Whether all other fields keep their names. A column `id` outside the key yields to others, and is called `id_`, `id__`, … */
export function isAlterable(before: TablePlan, after: TablePlan, { added }: Alteration): boolean {
  const names = after.shape.fieldNames
  const kept = [...before.shape.fieldNames].every(
    ([column, field]) => !names.has(column) || names.get(column) === field,
  )
  // Nobody could tell the value of the one from that of the other.
  const fields = new Set(before.shape.fieldNames.values())
  const taken = added.some(({ name }) => fields.has(names.get(name) ?? ''))
  return kept && !taken && added.length <= addedMax && before.target === after.target
}

/** Every record gets the fields of `after` that `before` has not, as null, and loses those that only `before` has. */
export async function alterRecords(lane: Lane, before: TablePlan, after: TablePlan, options: Abortable): Promise<void> {
  const fields = fieldChanges(before, after)
  if (fields.added.length === 0 && fields.dropped.length === 0) return
  const { label } = after.table
  for await (const page of idPages(lane, after, options)) {
    await lane.write({ kind: 'alter', bytes: idsBytes(lane, page), fields, table: label }, options)
  }
}

function fieldChanges(before: TablePlan, after: TablePlan): FieldChanges {
  const [old, now] = [before.shape.fieldNames, after.shape.fieldNames]
  const added = [...now].filter(([column]) => !old.has(column) && after.sites.get(column)?.forms.nulls !== 'none')
  const dropped = [...old].filter(([column]) => !now.has(column))
  return { added: added.map(([, field]) => field), dropped: dropped.map(([, field]) => field) }
}
