/** Installs and removes what captures changes. Touches nothing that is already right. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { type CaptureState, isCaptured, readCaptureStates } from './capture-state.js'
import type { Connections } from './connections.js'
import type { PostgresTable } from './postgres-table.js'
import { type AuditNames, auditNames, auditTables, captureTrigger, createCapture, createTrigger } from './schema.sql.js'
import type { Session } from './session.js'

const limits = { lockAttemptsMax: 10, lockDelayMs: 250 }

/** Serialises installers; transaction-scoped. The key is the text `surreal-sync install` hashed. */
const installLock = `select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('surreal-sync install', 0))`

const auditSql = `
select a.attname from pg_catalog.pg_attribute a
where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped`

const rightsSql = `
select pg_catalog.has_schema_privilege(n.oid, 'create'), current_user
from pg_catalog.pg_namespace n where n.nspname = $1`

const sequenceSql = `
select s.seqcache, s.seqincrement, s.seqcycle
from pg_catalog.pg_sequence s
where s.seqrelid = pg_catalog.pg_get_serial_sequence($1, 'sequence_id')::pg_catalog.regclass`

export class Installer {
  readonly #connections: Connections
  readonly #auditSchema: string
  readonly #names: AuditNames
  readonly #warn: (warning: SyncWarning) => void

  constructor(connections: Connections, auditSchema: string, warn: (warning: SyncWarning) => void) {
    this.#connections = connections
    this.#auditSchema = auditSchema
    this.#names = auditNames(auditSchema)
    this.#warn = warn
  }

  /** What is installed for these tables. */
  states(session: Session, tables: readonly PostgresTable[]): Promise<readonly CaptureState[]> {
    return readCaptureStates(session, tables, this.#auditSchema, this.#names)
  }

  /** Whether the audit table is there. @throws SyncError if it is not one of this product's or its sequence is unsafe */
  async hasAuditTable(session: Session): Promise<boolean> {
    const doing = 'looking at the audit table'
    const columns = (await session.rows(doing, auditSql, [this.#names.changes])).map(([name]) => name)
    if (columns.length === 0) return false
    if (!columns.includes('table_id')) {
      throw new SyncError('E_CONFIG', `The table ${this.#names.changes} was not made by this release`, {
        hint: 'Remove the triggers, functions and the table of the other tool first, or choose another audit schema.',
      })
    }
    const [sequence] = await session.rows(doing, sequenceSql, [this.#names.changes])
    if (sequence?.join() !== '1,1,f') {
      throw new SyncError('E_CONFIG', `The sequence of ${this.#names.changes} does not count 1, 2, 3 without a cache`, {
        hint: `Run: alter table ${this.#names.changes} alter sequence_id set cache 1 set increment by 1 set no cycle`,
      })
    }
    return true
  }

  /** Finds out whether this role may install what is missing. Changes nothing. @throws SyncError `E_RIGHTS` */
  async check(session: Session, tables: readonly PostgresTable[]): Promise<void> {
    const wanting = (await this.states(session, tables)).filter((state) => !isCaptured(state))
    const complete = await this.hasAuditTable(session)
    if (complete && wanting.length === 0) return
    const [rights] = await session.rows('looking at rights', rightsSql, [this.#auditSchema])
    if (rights === undefined) {
      throw new SyncError('E_CONFIG', `The schema ${this.#names.schema} for the audit table does not exist`, {
        hint: `Run: create schema ${this.#names.schema}`,
      })
    }
    const [mayCreate, role] = rights
    if (mayCreate !== 't') {
      throw new SyncError('E_RIGHTS', `The role ${role} may not create the audit table in schema ${this.#names.schema}`, {
        hint: `Run as its owner: grant create on schema ${this.#names.schema} to ${role}`,
      })
    }
    const refused = wanting.find(({ table }) => !table.owned && !table.canTrigger)?.table
    if (refused !== undefined) {
      throw new SyncError('E_RIGHTS', `The role ${role} may not create triggers on ${refused.label}`, {
        table: refused.label,
        hint: `Run as its owner: grant trigger on table ${refused.relation} to ${role}`,
      })
    }
  }

  /** Makes every later change of these tables reach the audit table. Safe when two run at once. */
  async install(tables: readonly PostgresTable[], signal?: AbortSignal): Promise<void> {
    await this.#connections.use(async (session) => {
      if (await session.within('look', () => this.hasAuditTable(session))) return
      await this.#locking(signal, 'the audit table', () =>
        session.within('change', () => session.run('creating the audit table', `${installLock}; ${auditTables(this.#names)}`)),
        session,
      )
    })
    const states = await this.#connections.use((session) => session.within('look', () => this.states(session, tables)))
    for (const { table } of states.filter((state) => !isCaptured(state))) await this.#installTable(table, signal)
  }

  async #installTable(table: PostgresTable, signal: AbortSignal | undefined): Promise<void> {
    await this.#connections.use((session) =>
      this.#locking(signal, table.label, () => session.within('change', () => this.#completeTable(session, table)), session),
    )
    if (table.owned) return
    this.#warn({
      code: 'triggers_not_always',
      table: table.label,
      message: `The triggers on ${table.label} do not fire for replicated writes (session_replication_role = replica): only its owner may set that`,
    })
  }

  /** In one transaction: whoever waits for it sees either nothing or everything. */
  async #completeTable(session: Session, table: PostgresTable): Promise<void> {
    const doing = `installing triggers on ${table.label}`
    await session.run(doing, installLock)
    const [state] = await this.states(session, [table])
    if (state === undefined || isCaptured(state)) return
    if (state.function !== 'right') await session.run(doing, createCapture(this.#names, table))
    const wanting = state.triggers.filter((trigger) => trigger.state !== 'right')
    for (const { relation, partition, trigger } of wanting) {
      if (partition && trigger === captureTrigger) continue
      await session.run(doing, createTrigger(this.#names, table.oid, { relation, trigger, always: table.owned }))
    }
    if (!table.owned || !table.partitioned) return
    const [after] = await this.states(session, [table])
    for (const { relation, trigger } of after?.triggers.filter((each) => each.state === 'disabled') ?? []) {
      await session.run(doing, `alter table ${relation} enable always trigger ${trigger}`)
    }
  }

  /** Runs a transaction again while locks are held by others; each wait is bounded by the session's lock_timeout. */
  async #locking(signal: AbortSignal | undefined, what: string, work: () => Promise<void>, session: Session): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      try {
        return await work()
      } catch (error) {
        const waiting = error instanceof SyncError && (error.code === 'E_LOCK_TIMEOUT' || error.code === 'E_BUSY')
        if (!waiting || attempt === limits.lockAttemptsMax) throw error
        await session.run('rolling back', 'rollback')
        this.#warn({ code: 'waiting_for_lock', table: what, message: `Another transaction holds a lock on ${what}; trying again` })
        await sleep(limits.lockDelayMs * attempt, undefined, { signal })
      }
    }
  }
}
