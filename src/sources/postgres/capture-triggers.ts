/** Which triggers a table and its partitions must have. */
import { captureFunction, type TriggerLevel, transitionTables } from './capture-function.js'
import type { AuditNames } from './schema.sql.js'

/** One trigger as it must be. */
export interface TriggerForm {
  /**
   * Named after the oid of the table that it logs for. Two triggers of one name would make ATTACH PARTITION fail for a
   * table that was replicated by itself before.
   */
  readonly name: string
  /** `pg_trigger.tgtype`. */
  readonly type: string
  /** Transition tables, empty for none. */
  readonly oldTable: string
  readonly newTable: string
  /** PostgreSQL creates it on partitions by itself, as a clone of the root's. */
  readonly cloned: boolean
  /** `after … on "schema"."table" … for each …` */
  event(relation: string): string
}

/** `pg_trigger.tgtype` of the triggers for TRUNCATE. */
export const truncateType = '32'

/** A partition that is truncated by itself fires no trigger of its root, at either level. */
export function triggerForms(oid: number, level: TriggerLevel): readonly TriggerForm[] {
  const { old, new: fresh } = transitionTables
  const truncate = form(`surreal_sync_truncate_${oid}`, truncateType, { on: 'truncate', level: 'statement' })
  if (level === 'row') {
    return [form(`surreal_sync_capture_${oid}`, '29', { on: 'insert or update or delete', level }), truncate]
  }
  return [
    form(`surreal_sync_insert_${oid}`, '4', { on: 'insert', level, newTable: fresh }),
    form(`surreal_sync_update_${oid}`, '16', { on: 'update', level, oldTable: old, newTable: fresh }),
    form(`surreal_sync_delete_${oid}`, '8', { on: 'delete', level, oldTable: old }),
    truncate,
  ]
}

/** Creates or replaces a trigger. `always`: also for sessions that apply replication; only the owner may. */
export function createTrigger(
  names: AuditNames,
  oid: number,
  { relation, form, always }: { readonly relation: string; readonly form: TriggerForm; readonly always: boolean },
): string {
  const create = `create or replace trigger ${form.name} ${form.event(relation)} execute function ${captureFunction(names, oid)}()`
  return always ? `${create};\n${enableAlways(relation, form.name)}` : create
}

export function enableAlways(relation: string, trigger: string): string {
  return `alter table ${relation} enable always trigger ${trigger}`
}

function form(
  name: string,
  type: string,
  {
    on,
    level,
    oldTable = '',
    newTable = '',
  }: { on: string; level: TriggerLevel; oldTable?: string; newTable?: string },
): TriggerForm {
  const tables = [
    ...(oldTable === '' ? [] : [`old table as ${oldTable}`]),
    ...(newTable === '' ? [] : [`new table as ${newTable}`]),
  ]
  const referencing = tables.length === 0 ? '' : ` referencing ${tables.join(' ')}`
  return {
    name,
    type,
    oldTable,
    newTable,
    cloned: level === 'row',
    event: (relation) => `after ${on} on ${relation}${referencing} for each ${level}`,
  }
}
