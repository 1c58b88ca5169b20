/** What a source would replicate and install. Reads the catalog only. */
import type { SyncWarning } from '../../core/events.js'
import type { Table } from '../../core/schema.js'
import { noAuditSchema, readAuditState } from './audit-schema.js'
import type { TriggerLevel } from './capture-function.js'
import { type CaptureState, isCaptured, readCaptureStates } from './capture-state.js'
import type { Connections } from './connections.js'
import { type InstallScriptOptions, installScript } from './install-script.js'
import { isKeyedByAddress } from './keyless-table.js'
import type { PostgresTable } from './postgres-table.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import type { SkipReason } from './skipped-table.js'
import type { PostgresTriggerSourceOptions } from './source-options.js'
import { selectTables } from './table-selection.js'
import { TableShaper } from './table-shape.js'

/** What {@link PostgresTriggerSource.plan} finds. */
export interface SourcePlan {
  /** The name of the database. */
  readonly database: string
  /** Where the audit table is, or would be. */
  readonly auditSchema: string
  /** Whether it is there. */
  readonly installed: boolean
  /** Sorted by schema and name. */
  readonly tables: readonly PlannedTable[]
  /** What is there and cannot be replicated, sorted likewise. */
  readonly leftOut: readonly LeftOutTable[]
  /** What an operator should know before the first run. */
  readonly warnings: readonly SyncWarning[]
}

/** A table that would be replicated. */
export interface PlannedTable {
  readonly table: Table
  /** What its rows take on disk, without indexes; of a partitioned table what those of its partitions take. */
  readonly bytes: number
  /** Whether its changes are followed. Otherwise only full syncs copy it. */
  readonly followed: boolean
  /** `partly`: something is missing, disabled or of another release. */
  readonly captured: 'yes' | 'partly' | 'no'
  /** Whether the role that asks may read all of its rows. */
  readonly readable: boolean
}

/** A table that would not be replicated. */
export interface LeftOutTable {
  /** `schema.name` */
  readonly label: string
  readonly reason: SkipReason
  /** One sentence. */
  readonly message: string
  /** One sentence: what to do about it. */
  readonly hint: string
}

export interface PlanContext {
  readonly connections: Connections
  readonly names: AuditNames
  readonly auditSchema: string
  readonly options: PostgresTriggerSourceOptions
}

const auditSql = `
select pg_catalog.has_schema_privilege(n.oid, 'usage'),
  exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relname = 'surreal_sync_changes')
from pg_catalog.pg_namespace n where n.nspname = $1`

const sizesSql = `
select o.oid, pg_catalog.sum(pg_catalog.pg_table_size(coalesce(t.relid::pg_catalog.oid, o.oid)))
from pg_catalog.unnest($1::pg_catalog.oid[]) o(oid)
left join lateral pg_catalog.pg_partition_tree(o.oid) t on true
group by o.oid`

/** @throws SyncError as a run would, if what is selected does not exist */
export function planSource(context: PlanContext): Promise<SourcePlan> {
  return context.connections.use((session) => session.within('look', () => read(session, context)))
}

/** @throws SyncError likewise */
export function planScript(context: PlanContext, options: InstallScriptOptions): Promise<string> {
  const { names, auditSchema, connections } = context
  return connections.use((session) =>
    session.within('look', async () => {
      await hasAudit(session, context)
      const { tables } = await selectPlanned(session, context)
      return installScript({
        ...options,
        names,
        auditSchema,
        database: await currentDatabase(session),
        states: await states(session, context, tables.filter(isFollowed)),
        others: tables.filter(isKeyedByAddress),
        eventTrigger: context.options.eventTrigger ?? false,
        lockTimeoutMs: session.lockTimeoutMs,
      })
    }),
  )
}

async function read(session: Session, context: PlanContext): Promise<SourcePlan> {
  const installed = await hasAudit(session, context)
  const { tables, leftOut, warnings } = await selectPlanned(session, context)
  const bytes = await readSizes(session, tables)
  const captured = new Map(
    (await states(session, context, tables.filter(isFollowed))).map((state) => [state.table.oid, howMuch(state)]),
  )
  return {
    database: await currentDatabase(session),
    auditSchema: context.auditSchema,
    installed,
    tables: tables.map((table) => ({
      table,
      bytes: bytes.get(table.oid) ?? 0,
      followed: isFollowed(table),
      captured: captured.get(table.oid) ?? 'no',
      readable: table.canSelect && !table.rowSecurity,
    })),
    leftOut,
    warnings: [...warnings, ...tables.flatMap(warningsOf)],
  }
}

/** @throws SyncError `E_CONFIG` if the schema is missing, or what is there is not this product's */
async function hasAudit(session: Session, { names, auditSchema }: PlanContext): Promise<boolean> {
  const [row] = await session.rows('looking at the audit table', auditSql, [auditSchema])
  if (row === undefined) throw noAuditSchema(names)
  const [usable, there] = row
  // Names in a schema that this role may not use can only be looked up by hand.
  return usable === 't' ? (await readAuditState(session, names)).relation !== undefined : there === 't'
}

/** The tables also that this role may not read yet: the script grants that. */
export async function selectPlanned(session: Session, { options }: PlanContext) {
  const warnings: SyncWarning[] = []
  const leftOut: LeftOutTable[] = []
  const tables = await selectTables(session, options, {
    keyless: options.keyless ?? 'refuse',
    shaper: new TableShaper(options.shaping, options.maskSecret),
    unreadable: true,
    warn: (warning) => warnings.push(warning),
    leftOut: ({ label, reason, message, hint }) => leftOut.push({ label, reason, message, hint }),
  })
  const inOrder = [...tables].sort((a, b) => compare(a.schema, b.schema) || compare(a.label, b.label))
  return { tables: inOrder, warnings, leftOut: leftOut.sort((a, b) => compare(a.label, b.label)) }
}

function states(
  session: Session,
  { names, auditSchema, options }: PlanContext,
  tables: readonly PostgresTable[],
): Promise<readonly CaptureState[]> {
  const level: TriggerLevel = options.triggerLevel ?? 'row'
  return readCaptureStates(session, tables, { auditSchema, names, level, eitherLevel: false })
}

async function readSizes(session: Session, tables: readonly PostgresTable[]): Promise<ReadonlyMap<number, number>> {
  const rows = await session.rows('reading sizes of tables', sizesSql, [tables.map(({ oid }) => oid)])
  return new Map(rows.map(([oid, bytes]) => [Number(oid), Number(bytes ?? 0)]))
}

async function currentDatabase(session: Session): Promise<string> {
  const [row] = await session.rows('identifying the database', 'select pg_catalog.current_database()')
  return row?.[0] ?? ''
}

function isFollowed(table: PostgresTable): boolean {
  return !isKeyedByAddress(table)
}

function howMuch(state: CaptureState): PlannedTable['captured'] {
  if (isCaptured(state)) return 'yes'
  return state.function === 'missing' && state.triggers.every((trigger) => trigger.state === 'missing')
    ? 'no'
    : 'partly'
}

function warningsOf(table: PostgresTable): readonly SyncWarning[] {
  const { label } = table
  const warnings: SyncWarning[] = []
  if (isKeyedByAddress(table)) {
    const message = `${label} has no key: its changes are not followed, only full syncs copy it`
    warnings.push({ code: 'table_not_followed', table: label, message })
  }
  if (!table.canSelect) {
    warnings.push({ code: 'table_unreadable', table: label, message: `This role may not read ${label}` })
  } else if (table.rowSecurity) {
    const message = `Row level security would hide rows of ${label} from this role`
    warnings.push({ code: 'row_security', table: label, message })
  }
  return warnings
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
