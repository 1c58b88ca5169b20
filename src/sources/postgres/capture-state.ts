/** What is installed in the source now, compared with what should be. Reads the catalog only. */
import { type AuditNames, captureBody, captureTrigger, truncateTrigger } from './schema.sql.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'

/** One trigger that a table (or a partition of it) must have. */
export interface TriggerState {
  /** The table or partition, quoted. */
  readonly relation: string
  /** It is a partition, which gets row triggers through its root. */
  readonly partition: boolean
  readonly trigger: string
  /** `disabled`: there, but it does not fire for every writer that it should fire for. */
  readonly state: 'right' | 'disabled' | 'missing'
}

export interface CaptureState {
  readonly table: PostgresTable
  readonly function: 'right' | 'different' | 'missing'
  readonly triggers: readonly TriggerState[]
}

/** Everything about this table is as it should be. */
export function isCaptured(state: CaptureState): boolean {
  return state.function === 'right' && state.triggers.every((trigger) => trigger.state === 'right')
}

/** Changes of this table reach the audit table, perhaps by a function of an older release. */
export function isCapturing(state: CaptureState): boolean {
  return state.function !== 'missing' && state.triggers.every((trigger) => trigger.state === 'right')
}

const relationsSql = `
select r.root, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)
from (
  select o.root, coalesce(t.relid::oid, o.root) as relid
  from pg_catalog.unnest($1::oid[]) as o(root)
  left join lateral pg_catalog.pg_partition_tree(o.root) t on true
) r
join pg_catalog.pg_class c on c.oid = r.relid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace`

const triggersSql = `
select t.tgrelid, t.tgname, t.tgenabled, t.tgtype, p.proname
from pg_catalog.pg_trigger t
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where t.tgrelid = any($1::oid[]) and t.tgname = any($2::name[]) and n.nspname = $3`

const functionsSql = `
select p.proname, p.prosrc, p.prosecdef, coalesce(pg_catalog.array_to_string(p.proconfig, E'\\n'), '')
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.proname = any($2::name[]) and p.pronargs = 0`

/** `pg_trigger.tgtype` of the two triggers: for each row after insert, delete, update; for each statement after truncate. */
const triggerTypes: Readonly<Record<string, string>> = { [captureTrigger]: '29', [truncateTrigger]: '32' }

/** Reads the state of each table, in the given order. */
export async function readCaptureStates(
  session: Session,
  tables: readonly PostgresTable[],
  auditSchema: string,
  names: AuditNames,
): Promise<readonly CaptureState[]> {
  const doing = 'reading triggers from the catalog'
  const functionNames = tables.map(({ oid }) => `surreal_sync_capture_${oid}`)
  const relations = await session.rows(doing, relationsSql, [tables.map(({ oid }) => oid)])
  const relationIds = relations.map(([, oid]) => oid)
  const triggers = await session.rows(doing, triggersSql, [relationIds, Object.keys(triggerTypes), auditSchema])
  const functions = await session.rows(doing, functionsSql, [auditSchema, functionNames])
  const byRelation = new Map(triggers.map(([relation, name, enabled, type, routine]) => [`${relation} ${name}`, { enabled, type, routine }]))
  const byName = new Map(functions.map(([name, body, definer, settings]) => [name, { body, definer, settings }]))
  return tables.map((table) => {
    const routine = `surreal_sync_capture_${table.oid}`
    const found = byName.get(routine)
    const wanted = captureBody(names, table)
    const right = found?.body === wanted.body && found.definer === 't' && found.settings === wanted.settings.join('\n')
    const own = relations.filter(([root]) => Number(root) === table.oid)
    return {
      table,
      function: found === undefined ? 'missing' : right ? 'right' : 'different',
      triggers: own.flatMap(([, oid, relation]) =>
        Object.entries(triggerTypes).map(([trigger, type]): TriggerState => {
          const installed = byRelation.get(`${oid} ${trigger}`)
          const same = installed?.type === type && installed.routine === routine
          const fires = installed?.enabled === 'A' || (!table.owned && installed?.enabled === 'O')
          const partition = Number(oid) !== table.oid
          return { relation: relation ?? '', partition, trigger, state: !same ? 'missing' : fires ? 'right' : 'disabled' }
        }),
      ),
    }
  })
}
