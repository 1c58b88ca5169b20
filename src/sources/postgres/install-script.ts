/** The installation as a script, for whoever may run it: afterwards a role that may create nothing finds everything right. */
import pg from 'pg'
import { createCapture } from './capture-function.js'
import type { CaptureState } from './capture-state.js'
import {
  block,
  ensureAudit,
  ensureDefiner,
  ensureTrigger,
  ensureWatch,
  grantAudit,
  handOver,
  refuseUnless,
} from './install.sql.js'
import { installLock } from './lock-retry.js'
import type { PostgresTable } from './postgres-table.js'
import { quoteName } from './quoted-name.js'
import type { AuditNames } from './schema.sql.js'

/** For whom a script installs. */
export interface InstallScriptOptions {
  /** The role that will run pipelines and needs to install nothing. @defaultValue no rights are granted */
  readonly role?: string
}

export interface InstallScriptParts extends InstallScriptOptions {
  readonly database: string
  readonly names: AuditNames
  readonly auditSchema: string
  /** Tables whose changes will be followed, as they are captured now. */
  readonly states: readonly CaptureState[]
  /** Tables that full syncs copy and nobody follows. */
  readonly others: readonly PostgresTable[]
  readonly eventTrigger: boolean
  readonly lockTimeoutMs: number
}

/** One transaction for what there is once, then one for each table: no lock is held while another is waited for. */
export function installScript(parts: InstallScriptParts): string {
  const { names, auditSchema, states, others, eventTrigger, role, database } = parts
  const isHere = `current_database() = ${pg.escapeLiteral(database)}`
  const once = [
    block(refuseUnless(isHere, `This script was made for the database ${database}`)),
    ensureAudit(names),
    ensureDefiner(names, auditSchema),
    ...(eventTrigger ? [ensureWatch(names, auditSchema)] : []),
    ...(role === undefined ? [] : [grantAudit(names, role)]),
  ]
  const tables = [
    ...states.map((state) => [state.table, captureStatements(state, parts)] as const),
    ...others.map((table) => [table, [block(refuseMoved(table)), ...grants(table, role)]] as const),
  ]
  return [
    header(parts),
    transaction('The audit table and what belongs to it', once, parts),
    ...tables.map(([{ label }, statements]) => transaction(label, statements, parts)),
  ].join('\n')
}

function captureStatements(state: CaptureState, parts: InstallScriptParts): readonly string[] {
  const { names, auditSchema, role } = parts
  const { table, level, triggers, surplus } = state
  // A clone is there only after the trigger of the root, so the roots come first.
  const inOrder = [...triggers].sort((a, b) => Number(a.cloned) - Number(b.cloned))
  const ensure = inOrder.map(({ relation, form, cloned }) =>
    ensureTrigger(names, table.oid, { relation: relation.name, form, cloned }),
  )
  return [
    block(refuseMoved(table)),
    createCapture(names, table, level).trim(),
    block(ensure.join('\n')),
    ...surplus.map(({ relation, trigger }) => `drop trigger if exists ${quoteName(trigger)} on ${relation}`),
    handOver(names, auditSchema, table.oid),
    ...grants(table, role),
  ]
}

/** Functions and triggers are named after the table's oid. */
function refuseMoved({ relation, oid, label }: PostgresTable): string {
  const same = `to_regclass(${pg.escapeLiteral(relation)}) = ${oid}::regclass`
  return refuseUnless(same, `The table ${label} is not the one that this script was made for`)
}

function grants({ relation, schema }: PostgresTable, role: string | undefined): readonly string[] {
  if (role === undefined) return []
  const to = quoteName(role)
  return [`grant usage on schema ${quoteName(schema)} to ${to}`, `grant select on ${relation} to ${to}`]
}

function transaction(title: string, statements: readonly string[], { lockTimeoutMs }: InstallScriptParts): string {
  const all = [
    `begin`,
    `set local search_path = pg_catalog, pg_temp`,
    `set local lock_timeout = '${lockTimeoutMs}ms'`,
    installLock,
    ...statements.map((statement) => statement.replace(/;$/, '')),
    'commit',
  ]
  return `-- ${comment(title)}\n${all.map((statement) => `${statement};\n`).join('')}`
}

function header({ database, role, states }: InstallScriptParts): string {
  const lines = [
    `surreal-sync: captures the changes of ${states.length === 1 ? '1 table' : `${states.length} tables`} of the database ${database}.`,
    'Run it there as a superuser, or as the owner of these tables who may create in the schema of the audit table:',
    '  psql -v ON_ERROR_STOP=1 -f FILE',
    'It may be run again, also while pipelines run: what is right stays as it is. A lock that cannot be had in time ends it;',
    'then run it again. `surreal-sync teardown postgresql --sql` prints the script that removes everything.',
    role === undefined
      ? 'No rights are granted: name the role that will run pipelines by --role.'
      : `The role ${role} may run pipelines afterwards, and needs to create nothing.`,
  ]
  return `${lines.map((line) => `-- ${comment(line)}`).join('\n')}\n`
}

/** A name may contain a line break. */
function comment(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
}
