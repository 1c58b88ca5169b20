/** What is installed in the source now, compared with what should be. Reads the catalog only. */
import { captureBody, captureName, type TriggerLevel } from './capture-function.js'
import { type TriggerForm, triggerForms, truncateType } from './capture-triggers.js'
import type { PostgresTable } from './postgres-table.js'
import type { AuditNames } from './schema.sql.js'
import type { Session, TextRow } from './session.js'

/** A table or one of its partitions, and what this role may do there. */
export interface CapturedRelation {
  readonly oid: number
  /** Quoted and qualified. */
  readonly name: string
  readonly owned: boolean
  readonly canTrigger: boolean
}

/** One trigger that a table or a partition of it must have. */
export interface TriggerState {
  readonly relation: CapturedRelation
  readonly form: TriggerForm
  /** It comes from the root's by itself. */
  readonly cloned: boolean
  /** `disabled`: there, but it does not fire for every writer that it should fire for. */
  readonly state: 'right' | 'disabled' | 'missing'
  /** It does not fire for sessions that apply replication, because this role may not arrange for that. */
  readonly ordinary: boolean
}

export interface CaptureState {
  readonly table: PostgresTable
  readonly level: TriggerLevel
  readonly function: 'right' | 'different' | 'missing'
  /** The role that owns the function, and as which it runs. */
  readonly definer: string | undefined
  /** This role may write the function anew, or create it. */
  readonly replaceable: boolean
  readonly triggers: readonly TriggerState[]
  /** Triggers that no longer belong where they are: of another level, on detached partitions, of a table's time alone. */
  readonly surplus: readonly { readonly relation: string; readonly trigger: string; readonly owned: boolean }[]
}

/** Everything about this table is as it should be. */
export function isCaptured(state: CaptureState): boolean {
  return state.function === 'right' && state.triggers.every((trigger) => trigger.state === 'right')
}

/** Changes of this table reach the audit table, perhaps by a function of an older release. */
export function isCapturing(state: CaptureState): boolean {
  return state.function !== 'missing' && state.triggers.every((trigger) => trigger.state === 'right')
}

/**
 * Every changed row reaches the audit table as it should. What may be missing is the trigger for a TRUNCATE of a partition
 * by itself, which a role without rights cannot create on new partitions: there the partition's new file tells.
 */
export function isCapturingRows({ table, function: routine, triggers }: CaptureState): boolean {
  const bare = triggers.filter(({ state }) => state !== 'right')
  const isOfPartition = ({ relation, form }: TriggerState) => relation.oid !== table.oid && form.type === truncateType
  return routine === 'right' && bare.every(isOfPartition)
}

/** Foreign partitions have no triggers of ours: nobody would see what happens on the other server. */
const relationsSql = `
select r.root, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.pg_has_role(c.relowner, 'USAGE'),
  pg_catalog.has_table_privilege(c.oid, 'TRIGGER'),
  not c.relispartition and c.relkind = 'r' and exists (select from pg_catalog.pg_inherits i where c.oid in (i.inhrelid, i.inhparent))
from (
  select o.root, coalesce(t.relid::pg_catalog.oid, o.root) as relid
  from pg_catalog.unnest($1::pg_catalog.oid[]) as o(root)
  left join lateral pg_catalog.pg_partition_tree(o.root) t on true
) r
join pg_catalog.pg_class c on c.oid = r.relid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')`

const triggersSql = `
select t.tgrelid, t.tgname, t.tgenabled, t.tgtype, p.proname, t.tgparentid <> 0, coalesce(t.tgoldtable, ''), coalesce(t.tgnewtable, ''),
  t.tgqual is null and t.tgattr = ''::pg_catalog.int2vector and t.tgnargs = 0,
  pg_catalog.format('%I.%I', rn.nspname, r.relname), pg_catalog.pg_has_role(r.relowner, 'USAGE')
from pg_catalog.pg_trigger t
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_class r on r.oid = t.tgrelid
join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where n.nspname = $3 and p.proname ~ '^surreal_sync_capture_' and (t.tgrelid = any($1::pg_catalog.oid[]) or p.proname = any($2::pg_catalog.name[]))`

const functionsSql = `
select p.proname, p.prosrc, p.prosecdef, coalesce(pg_catalog.array_to_string(p.proconfig, E'\\n'), ''),
  pg_catalog.pg_get_userbyid(p.proowner), pg_catalog.has_schema_privilege(n.oid, 'create'),
  pg_catalog.has_schema_privilege(n.oid, 'create') and pg_catalog.pg_has_role(p.proowner, 'USAGE')
from pg_catalog.pg_namespace n
left join pg_catalog.pg_proc p on n.oid = p.pronamespace and p.proname = any($2::pg_catalog.name[]) and p.pronargs = 0
where n.nspname = $1`

interface Relation extends CapturedRelation {
  readonly root: number
  readonly inherits: boolean
}

interface InstalledTrigger {
  readonly relation: number
  readonly relationName: string
  readonly owned: boolean
  readonly name: string
  readonly enabled: string
  readonly routine: string
  readonly cloned: boolean
  /** What must be equal to {@link formText}; undefined if there is more to it. */
  readonly form: string | undefined
}

export interface CaptureOptions {
  readonly auditSchema: string
  readonly names: AuditNames
  /** The level that tables must be captured at. */
  readonly level: TriggerLevel
  /** Whether a table that is completely captured at the other level is right, too. */
  readonly eitherLevel: boolean
}

/** Reads the state of each table, in the given order. */
export async function readCaptureStates(
  session: Session,
  tables: readonly PostgresTable[],
  options: CaptureOptions,
): Promise<readonly CaptureState[]> {
  const { auditSchema, names, level, eitherLevel } = options
  const doing = 'reading triggers from the catalog'
  const routines = tables.map(({ oid }) => captureName(oid))
  const relations = (await session.rows(doing, relationsSql, [tables.map(({ oid }) => oid)])).map(relationOf)
  const found = await session.rows(doing, triggersSql, [relations.map(({ oid }) => oid), routines, auditSchema])
  const functions = await session.rows(doing, functionsSql, [auditSchema, routines])
  const triggers = found.map(triggerOf)
  const relationsByRoot = grouped(relations, ({ root }) => root)
  const triggersByRelation = grouped(triggers, ({ relation }) => relation)
  const triggersByRoutine = grouped(triggers, ({ routine }) => routine)
  const functionsByName = new Map(functions.map((row) => [row[0], row]))
  const mayCreate = functions[0]?.[5] === 't'
  return tables.map((table) => {
    const own = relationsByRoot.get(table.oid) ?? []
    const inherits = own.some((relation) => relation.inherits)
    const name = captureName(table.oid)
    const routine = functionsByName.get(name)
    const mine = new Set(own.flatMap(({ oid }) => triggersByRelation.get(oid) ?? []))
    for (const trigger of triggersByRoutine.get(name) ?? []) mine.add(trigger)
    const stateAt = (at: TriggerLevel): CaptureState => ({
      table,
      level: at,
      ...functionState(routine, captureBody(names, table, at), mayCreate),
      ...triggerStates(table, own, triggerForms(table.oid, at), [...mine]),
    })
    const wanted = stateAt(inherits ? 'row' : level)
    if (isCaptured(wanted) || !eitherLevel || inherits) return wanted
    const other = stateAt(level === 'row' ? 'statement' : 'row')
    return isCaptured(other) ? other : wanted
  })
}

function grouped<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): ReadonlyMap<Key, readonly Item[]> {
  const groups = new Map<Key, Item[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}

function functionState(
  installed: TextRow | undefined,
  wanted: ReturnType<typeof captureBody>,
  mayCreate: boolean,
): Pick<CaptureState, 'function' | 'definer' | 'replaceable'> {
  if (installed === undefined) return { function: 'missing', definer: undefined, replaceable: mayCreate }
  const [, body, definer, settings, owner, , replaceable] = installed
  const right = body === wanted.body && definer === 't' && settings === wanted.settings.join('\n')
  return { function: right ? 'right' : 'different', definer: owner ?? undefined, replaceable: replaceable === 't' }
}

function triggerStates(
  table: PostgresTable,
  relations: readonly Relation[],
  forms: readonly TriggerForm[],
  mine: readonly InstalledTrigger[],
): Pick<CaptureState, 'triggers' | 'surplus'> {
  const routine = captureName(table.oid)
  const used = new Set<InstalledTrigger>()
  const triggers = relations.flatMap((relation) =>
    forms.map((form): TriggerState => {
      const same = mine.find((it) => it.relation === relation.oid && it.name === form.name && it.routine === routine)
      if (same !== undefined) used.add(same)
      const cloned = form.cloned && relation.oid !== table.oid
      const fires = same?.enabled === 'A' || (!relation.owned && same?.enabled === 'O')
      const state = same?.form !== formText(form) ? 'missing' : fires ? 'right' : 'disabled'
      return { relation, form, cloned, state, ordinary: same?.enabled === 'O' }
    }),
  )
  const surplus = mine
    .filter((trigger) => !used.has(trigger) && !trigger.cloned)
    .map(({ relationName, name, owned }) => ({ relation: relationName, trigger: name, owned }))
  return { triggers, surplus }
}

function formText({ type, oldTable, newTable }: TriggerForm): string {
  return [type, oldTable, newTable].join()
}

function relationOf([root, oid, name, owned, canTrigger, inherits]: TextRow): Relation {
  return {
    root: Number(root),
    oid: Number(oid),
    name: name ?? '',
    owned: owned === 't',
    canTrigger: canTrigger === 't',
    inherits: inherits === 't',
  }
}

function triggerOf(row: TextRow): InstalledTrigger {
  const [relation, name, enabled, type, routine, cloned, oldTable, newTable, plain, relationName, owned] = row
  return {
    relation: Number(relation),
    relationName: relationName ?? '',
    owned: owned === 't',
    name: name ?? '',
    enabled: enabled ?? '',
    routine: routine ?? '',
    cloned: cloned === 't',
    form: plain === 't' ? [type, oldTable, newTable].join() : undefined,
  }
}
