/** Which target tables belong to a pipeline, kept in the pipeline's own state record. */
import { RecordId, Table as SurrealTable } from 'surrealdb'
import type { Connection } from '../../connections/surreal/connection.js'
import { isMissingTable, notApplied, toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import { fenceError } from './fence-error.js'
import { firstId, readState, stateTable, writePipeline } from './statements.js'
import type { TablePlan } from './table-plan.js'

/** What a full sync does with records that this pipeline did not write. */
export type ExistingRecords = 'refuse' | 'replace' | 'keep'

/** `owned`: the table mirrors its source, and whatever else it holds may go. `shared`: others have records in it. */
export type Holding = 'owned' | 'shared'

export class Ownership {
  readonly #connection: Connection
  readonly #pipeline: string
  readonly #holdings = new Map<string, Holding>()
  /** Targets that held nothing when they were adopted for a full sync. */
  readonly #fresh = new Set<string>()

  constructor(connection: Connection, pipeline: string) {
    this.#connection = connection
    this.#pipeline = pipeline
  }

  /** What each target table is to this pipeline. */
  get holdings(): ReadonlyMap<string, Holding> {
    return this.#holdings
  }

  /** Whether records that the source does not have may be deleted. */
  isOwned(target: string): boolean {
    return this.#holdings.get(target) === 'owned'
  }

  /**
   * Before anything is written for a table: what was neither adopted nor resumed holds records of others.
   * @throws SyncError `E_TARGET_NOT_EMPTY`
   */
  requireDecided(plan: TablePlan): void {
    if (!this.#holdings.has(plan.target)) throw notEmpty(plan)
  }

  /** Whether rows are probably not there yet, so that inserting them is worth a try. */
  isFresh(target: string): boolean {
    return this.#fresh.has(target)
  }

  notFresh(target: string): void {
    this.#fresh.delete(target)
  }

  /** Reads what earlier runs own. False: this pipeline never wrote to this database. */
  async load(options: Abortable): Promise<boolean> {
    const bindings = { record: this.#record() }
    const { results, failure } = await this.#connection.call((db) => ask(db, readState, bindings), options)
    if (failure !== undefined && !isMissingTable(failure, stateTable)) throw toSyncError(failure)
    const found = failure === undefined ? results.at(-1) : undefined
    for (const [target, holding] of holdingsOf(found)) this.#holdings.set(target, holding)
    return found !== undefined && found !== null
  }

  /** Decides about the tables of a full sync. Changes nothing in the database. @throws SyncError `E_TARGET_NOT_EMPTY` */
  async adopt(plans: readonly TablePlan[], existing: ExistingRecords, options: Abortable): Promise<void> {
    this.#fresh.clear()
    for (const plan of plans) {
      const { target } = plan
      const empty = await this.#isEmpty(plan, options)
      if (empty) this.#fresh.add(target)
      if (empty || existing === 'replace') this.#holdings.set(target, 'owned')
      else if (!this.isOwned(target) && existing === 'refuse') throw notEmpty(plan)
      else if (!this.isOwned(target)) this.#holdings.set(target, 'shared')
    }
  }

  /**
   * The same for an incremental sync, which goes on with what is there.
   * @param known Whether this pipeline has been here: then the records of a table that is new to it are those of others,
   * and the table is decided about when it comes to the pipeline, if it does. Until then nothing is written for it.
   */
  async resume(
    plans: readonly TablePlan[],
    existing: ExistingRecords,
    { known, ...options }: Abortable & { readonly known: boolean },
  ): Promise<void> {
    this.#fresh.clear()
    for (const plan of plans) {
      if (this.#holdings.has(plan.target)) continue
      const foreign = existing !== 'replace' && !(await this.#isEmpty(plan, options))
      if (!foreign || (existing === 'refuse' && !known)) this.#holdings.set(plan.target, 'owned')
      else if (existing === 'keep') this.#holdings.set(plan.target, 'shared')
    }
  }

  /**
   * Writes down what is owned, before the first row.
   * @throws SyncError `E_WRITE_NOT_APPLIED`, `E_LEASE_LOST`
   */
  async save(lease: string, options: Abortable): Promise<void> {
    const tables = [...this.#holdings].map(([name, holding]) => ({ name, holding }))
    const first = new RecordId(stateTable, [this.#pipeline, 0])
    const bindings = { record: this.#record(), pipeline: this.#pipeline, tables, first, lease }
    const { results, failure } = await this.#connection.call((db) => ask(db, writePipeline, bindings), options)
    if (failure !== undefined) throw fenceError(failure, this.#pipeline) ?? toSyncError(failure)
    const written = results.some((result) => Array.isArray(result) && result[0] === this.#pipeline)
    if (!written) throw notApplied(undefined)
  }

  #record(): RecordId {
    return new RecordId(stateTable, [this.#pipeline])
  }

  async #isEmpty({ target, table }: TablePlan, options: Abortable): Promise<boolean> {
    const bindings = { table: new SurrealTable(target) }
    const { results, failure } = await this.#connection.call((db) => ask(db, firstId, bindings), options, table.label)
    if (failure !== undefined && !isMissingTable(failure, target)) throw toSyncError(failure, { table: table.label })
    const ids = failure === undefined ? results.at(-1) : []
    return Array.isArray(ids) && ids.length === 0
  }
}

function notEmpty({ target, table }: TablePlan): SyncError {
  return new SyncError(
    'E_TARGET_NOT_EMPTY',
    `The target table ${target} holds records that this pipeline did not write`,
    {
      table: table.label,
      hint: 'Empty it, or choose `existing`: replace deletes what the source does not have, keep leaves it.',
    },
  )
}

function* holdingsOf(record: unknown): Iterable<readonly [string, Holding]> {
  const tables = property(record, 'tables')
  if (!Array.isArray(tables)) return
  for (const entry of tables) {
    const name = property(entry, 'name')
    const holding = property(entry, 'holding')
    if (typeof name === 'string' && (holding === 'owned' || holding === 'shared')) yield [name, holding]
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
