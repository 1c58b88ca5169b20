/** Installs what captures changes. Touches nothing that is already right. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { type AuditState, completeAuditSchema, noAuditSchema, readAuditState } from './audit-schema.js'
import { captureFunction, createCapture, type TriggerLevel } from './capture-function.js'
import { type CaptureState, isCaptured, readCaptureStates, type TriggerState } from './capture-state.js'
import { createTrigger, enableAlways } from './capture-triggers.js'
import type { Connections } from './connections.js'
import { revokeFunction } from './default-rights.js'
import { Definer } from './definer.js'
import { changeUnderLocks, installLock, lockRelations } from './lock-retry.js'
import type { PostgresTable } from './postgres-table.js'
import { type AuditNames, auditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { createWatch, watchBody, watchFunction } from './watch.sql.js'

export interface InstallOptions {
  readonly signal?: AbortSignal
  /** How often to try while others hold locks. */
  readonly attemptsMax?: number
  /**
   * Also write functions anew that are right, where this role may: sessions that have planned one for a key of another type
   * would fail otherwise.
   */
  readonly rewrite?: boolean
}

/** The other way, for roles that are to create nothing. */
const byScript = 'or have a DBA run what `surreal-sync plan postgresql --sql` prints (`installSql`).'

const rightsSql = `
select pg_catalog.has_schema_privilege(n.oid, 'create'), current_user,
  (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user)
from pg_catalog.pg_namespace n where n.nspname = $1`

const watchSql = `
select from pg_catalog.pg_event_trigger e
join pg_catalog.pg_proc p on p.oid = e.evtfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where e.evtname = $1 and e.evtenabled = 'A' and p.prosrc = $2 and p.prosecdef and n.nspname = $3`

export class Installer {
  readonly #connections: Connections
  readonly #auditSchema: string
  readonly #names: AuditNames
  readonly #level: TriggerLevel
  readonly #eventTrigger: boolean
  readonly #warn: (warning: SyncWarning) => void

  constructor(
    connections: Connections,
    auditSchema: string,
    warn: (warning: SyncWarning) => void,
    options: { readonly triggerLevel?: TriggerLevel; readonly eventTrigger?: boolean } = {},
  ) {
    this.#connections = connections
    this.#auditSchema = auditSchema
    this.#names = auditNames(auditSchema)
    this.#level = options.triggerLevel ?? 'row'
    this.#eventTrigger = options.eventTrigger ?? false
    this.#warn = warn
  }

  /** What is installed for these tables; at whatever level, for another pipeline may want another one. */
  states(session: Session, tables: readonly PostgresTable[]): Promise<readonly CaptureState[]> {
    return this.#states(session, tables, true)
  }

  /** Whether the audit table is there. @throws SyncError if it is not one of this product's or its sequence is unsafe */
  async hasAuditTable(session: Session): Promise<boolean> {
    return (await readAuditState(session, this.#names)).relation !== undefined
  }

  /** Finds out whether this role may install what is missing. Changes nothing. @throws SyncError `E_RIGHTS` */
  async check(session: Session, tables: readonly PostgresTable[]): Promise<void> {
    const wanting = (await this.#states(session, tables)).filter((state) => !isCaptured(state))
    const audit = await readAuditState(session, this.#names)
    if (isUsable(audit) && wanting.length === 0 && (await this.#isWatching(session))) return
    const [rights] = await session.rows('looking at rights', rightsSql, [this.#auditSchema])
    if (rights === undefined) {
      throw noAuditSchema(this.#names)
    }
    const [mayCreate, role, superuser] = rights
    this.#checkAudit(audit, role ?? '')
    if (superuser !== 't' && !(await this.#isWatching(session))) {
      throw new SyncError('E_RIGHTS', `The role ${role} may not create event triggers`, {
        hint: `Run the full sync once as a superuser, or leave out \`eventTrigger\`; ${byScript}`,
      })
    }
    const creates = audit.relation === undefined || wanting.some((state) => state.function !== 'right')
    if (creates && mayCreate !== 't') {
      throw new SyncError('E_RIGHTS', `The role ${role} may not create in schema ${this.#names.schema}`, {
        hint: `Run as its owner: grant create on schema ${this.#names.schema} to ${role}; ${byScript}`,
      })
    }
    for (const state of wanting) checkTriggers(state, role ?? '')
  }

  /** Makes every later change of these tables reach the audit table. Safe when two run at once. */
  async install(tables: readonly PostgresTable[], options: InstallOptions = {}): Promise<void> {
    await this.#connections.use(async (session) => {
      await session.within('look', () => this.check(session, tables))
      await this.#installSchema(session, options)
      const { found, states } = await session.within('look', async () => ({
        found: await Definer.find(session, this.#names, this.#auditSchema),
        states: await this.#states(session, tables),
      }))
      const definer = found?.ready ? found : undefined
      for (const state of states) {
        if (!isDone(state, definer) || (options.rewrite === true && state.replaceable))
          await this.#installTable(session, state.table, definer, options)
      }
      this.#warnOrdinary(await session.within('look', () => this.#states(session, tables)))
    })
  }

  async #installSchema(session: Session, { signal, attemptsMax }: InstallOptions): Promise<void> {
    const isReady = async () => {
      const state = await readAuditState(session, this.#names)
      if (!isUsable(state)) return false
      const definer = await Definer.find(session, this.#names, this.#auditSchema)
      return (definer === undefined || definer.ready) && (await this.#isWatching(session))
    }
    if (await session.within('look', isReady)) return
    const retry = { signal, attemptsMax, what: 'the audit table', warn: this.#warn }
    await changeUnderLocks(session, retry, async () => {
      await session.run('installing', installLock)
      const state = await readAuditState(session, this.#names)
      if (!isUsable(state)) await completeAuditSchema(session, this.#names, state)
      const definer = await Definer.find(session, this.#names, this.#auditSchema)
      await definer?.ensure(session)
      if (!(await this.#isWatching(session))) await this.#installWatch(session)
    })
  }

  /** Writes the function anew, if this role may, for a table that has lost its key: it must not make anybody's statement fail. */
  async disarm(table: PostgresTable): Promise<void> {
    await this.#connections.use((session) =>
      session.within('change', async () => {
        const [state] = await this.states(session, [table])
        if (state === undefined || state.function !== 'different' || !state.replaceable) return
        await session.run(`disarming ${table.label}`, createCapture(this.#names, table, state.level))
      }),
    )
  }

  /** Whether the event trigger is as it was asked for. */
  async #isWatching(session: Session): Promise<boolean> {
    if (!this.#eventTrigger) return true
    const body = watchBody(this.#names, this.#auditSchema)
    const [row] = await session.rows('looking at the event trigger', watchSql, [
      this.#names.watch,
      body,
      this.#auditSchema,
    ])
    return row !== undefined
  }

  async #installWatch(session: Session): Promise<void> {
    await session.run('creating the event trigger', createWatch(this.#names, this.#auditSchema))
    await revokeFunction(session, watchFunction(this.#names))
  }

  async #installTable(
    session: Session,
    table: PostgresTable,
    definer: Definer | undefined,
    { signal, attemptsMax, rewrite = false }: InstallOptions,
  ): Promise<void> {
    const retry = { signal, attemptsMax, what: table.label, warn: this.#warn }
    await changeUnderLocks(session, retry, () => this.#completeTable(session, table, definer, rewrite))
  }

  /** In one transaction: whoever waits for it sees either nothing or everything. */
  async #completeTable(
    session: Session,
    table: PostgresTable,
    definer: Definer | undefined,
    rewrite: boolean,
  ): Promise<void> {
    const doing = `installing triggers on ${table.label}`
    await session.run(doing, installLock)
    const [state] = await this.#states(session, [table])
    if (state === undefined || (isDone(state, definer) && !rewrite)) return
    await this.#lock(session, state)
    const name = captureFunction(this.#names, table.oid)
    if ((rewrite && state.replaceable) || state.function !== 'right')
      await session.run(doing, createCapture(this.#names, table, state.level))
    if (state.function === 'missing') await revokeFunction(session, name)
    for (const { relation, form, cloned, state: is } of state.triggers) {
      if (is === 'right' || (cloned && is === 'missing')) continue
      const create = createTrigger(this.#names, table.oid, { relation: relation.name, form, always: relation.owned })
      await session.run(doing, is === 'missing' ? create : enableAlways(relation.name, form.name))
    }
    for (const { relation, trigger, owned } of state.surplus) {
      if (owned) await session.run(doing, `drop trigger if exists ${trigger} on ${relation}`)
    }
    await this.#enableClones(session, table)
    if (definer !== undefined && state.definer !== definer.role) await definer.adopt(session, [name])
  }

  /** Takes every lock before anything is done under one of them. Who does not own a table may not lock it like that. */
  async #lock(session: Session, state: CaptureState): Promise<void> {
    const surplus = state.surplus.filter(({ owned }) => owned).map(({ relation }) => relation)
    if (surplus.length > 0) await lockRelations(session, [...new Set(surplus)], 'access exclusive')
    if (state.triggers.every((trigger) => trigger.state === 'right')) return
    const owned = state.triggers.filter(({ relation }) => relation.owned).map(({ relation }) => relation.name)
    await lockRelations(session, [...new Set(owned)], 'share row exclusive')
  }

  /** Triggers that PostgreSQL has just created on partitions are ordinary ones. */
  async #enableClones(session: Session, table: PostgresTable): Promise<void> {
    if (!table.partitioned) return
    const [after] = await this.#states(session, [table])
    for (const { relation, form } of after?.triggers.filter(({ state }) => state === 'disabled') ?? []) {
      await session.run(`installing triggers on ${table.label}`, enableAlways(relation.name, form.name))
    }
  }

  #states(session: Session, tables: readonly PostgresTable[], eitherLevel = false): Promise<readonly CaptureState[]> {
    const [auditSchema, names, level] = [this.#auditSchema, this.#names, this.#level]
    return readCaptureStates(session, tables, { auditSchema, names, level, eitherLevel })
  }

  #checkAudit(audit: AuditState, role: string): void {
    const { changes } = this.#names
    if (audit.relation === undefined || isUsable(audit)) return
    if (audit.owned) return
    throw new SyncError(
      'E_RIGHTS',
      `The role ${role} does not own the audit table ${changes}, which must be completed`,
      {
        hint: `Run the full sync once as the role that installed it; ${byScript}`,
      },
    )
  }

  #warnOrdinary(states: readonly CaptureState[]): void {
    const ordinary = states.filter(({ triggers }) => triggers.some((trigger) => trigger.ordinary))
    const labels = ordinary.map(({ table }) => table.label)
    const [first] = labels
    if (first === undefined) return
    const which = labels.length === 1 ? first : `${first} and ${labels.length - 1} others`
    this.#warn({
      code: 'triggers_not_always',
      table: first,
      count: labels.length,
      message: `The triggers on ${which} do not fire for replicated writes (session_replication_role = replica, logical replication): only an owner may set that`,
    })
  }
}

/** It is there, and right; what is not ours to complete is taken as it is. */
function isUsable(audit: AuditState): boolean {
  if (audit.relation === undefined || audit.incarnation === undefined || audit.copied) return false
  return audit.complete || !audit.owned
}

function isDone(state: CaptureState, definer: Definer | undefined): boolean {
  const adopted = definer === undefined || state.definer === definer.role
  return isCaptured(state) && adopted && state.surplus.every(({ owned }) => !owned)
}

function checkTriggers({ table, triggers }: CaptureState, role: string): void {
  const refused = triggers.find(({ state, relation }) => state !== 'right' && !mayInstall(state, relation))
  if (refused === undefined) return
  const { name } = refused.relation
  const disabled = refused.state === 'disabled'
  const remedy = disabled
    ? `alter table ${name} enable trigger ${refused.form.name}`
    : `grant trigger on table ${name} to ${role}`
  throw new SyncError('E_RIGHTS', `The role ${role} may not ${disabled ? 'enable' : 'create'} triggers on ${name}`, {
    table: table.label,
    hint: `Run as its owner: ${remedy}; ${byScript}`,
  })
}

/** To enable a trigger is the owner's business; to create one needs less. */
function mayInstall(state: TriggerState['state'], { owned, canTrigger }: TriggerState['relation']): boolean {
  return owned || (canTrigger && state === 'missing')
}
