/** One writer: a connection, a buffer to encode into, and a state record that proves and fences its transactions. */
import { randomUUID } from 'node:crypto'
import { BoundExcluded, BoundIncluded, RecordId, RecordIdRange } from 'surrealdb'
import type { Connection } from '../../connections/surreal/connection.js'
import { isConflict, isExistingRecord, notApplied, thrownText, toSyncError } from '../../connections/surreal/errors.js'
import { type Answer, ask, askValue } from '../../connections/surreal/query.js'
import { pause } from '../../connections/surreal/settle.js'
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import type { CborWriter } from './cbor-writer.js'
import { cborBinding, type Encoding } from './encoding.js'
import { fenceError } from './fence-error.js'
import type { ClaimedLease } from './lease.js'
import { type Progress, progressBindings, wroteLast } from './progress.js'
import {
  claimTransaction,
  type FieldChanges,
  readState,
  rehearsedText,
  rehearseSteps,
  stateTable,
  type WriteKind,
  writeParameter,
  writeTransaction,
} from './statements.js'

/** How often a transaction whose outcome was not known is sent again before the engine is asked to. */
const applyAttemptsMax = 3
const conflictAttemptsMax = 6
const conflictDelayMs = 15
/** More lanes than any sink will ever have. */
const laneMax = 1_000

export interface LaneOptions {
  readonly index: number
  readonly connection: Connection
  readonly writer: CborWriter
}

/** What a transaction does with an array of records, or of record ids. */
export interface Step {
  readonly kind: WriteKind
  readonly bytes: Uint8Array
  /** For `alter`. */
  readonly fields?: FieldChanges
}

/** Rows that are put aside, and entries of such rows that are no longer true. */
export interface Aside {
  readonly kept: readonly {
    readonly id: RecordId
    readonly record: string
    readonly table: string
    readonly reason: string
  }[]
  readonly released: readonly RecordId[]
}

/** A transaction of one step. */
export interface Write extends Step {
  readonly aside?: Aside
  /** For messages. */
  readonly table?: string
}

/** What takes effect at once. */
export interface Transaction {
  /** At most one with records, one with ids and one with marks. */
  readonly steps: readonly Step[]
  /** What becomes true with it, for whoever reads the lane's state record. */
  readonly progress?: Progress
  readonly aside?: Aside
  /** For messages. */
  readonly table?: string
}

export class Lane {
  readonly connection: Connection
  readonly writer: CborWriter
  /** How this lane's connection carries rows. */
  encoding: Encoding = 'objects'
  readonly #index: number
  #pipeline = ''
  #conflictCount = 0
  /** The tokens that the state record may hold: several when the outcome of transactions is unknown. */
  #known: readonly string[] = []

  constructor({ index, connection, writer }: LaneOptions) {
    this.#index = index
    this.connection = connection
    this.writer = writer
  }

  /** A transaction was sent and nobody knows what became of it. It may even be carried out later. */
  get suspect(): boolean {
    return this.#known.length > 1
  }

  /** How many conflicts its transactions have met. */
  get conflictCount(): number {
    return this.#conflictCount
  }

  /** Begins a run. */
  bind(pipeline: string): void {
    this.#pipeline = pipeline
    this.#known = []
  }

  /**
   * Takes the state records of all lanes of the pipeline for this run.
   * @returns the token that they hold from now on
   */
  async claim(laneCount: number, { leases, lease }: ClaimedLease, options: Abortable): Promise<string> {
    this.#known = []
    const all = new RecordIdRange(
      stateTable,
      new BoundIncluded([this.#pipeline, 0]),
      new BoundExcluded([this.#pipeline, laneMax]),
    )
    const lanes = Array.from({ length: laneCount }, (_, index) => new RecordId(stateTable, [this.#pipeline, index]))
    await this.#transact(claimTransaction, { all, lanes, first: lanes[0], leases, lease }, options)
    const [token = ''] = this.#known
    return token
  }

  /** This lane's state record holds this token. */
  take(token: string): void {
    this.#known = [token]
  }

  /** Finds out whether this lane is still the only writer of its state record. */
  async check(options: Abortable): Promise<void> {
    await this.#run({ steps: [] }, options)
  }

  /** After an unknown outcome: from here on the transaction in question cannot take effect any more. */
  async recover(options: Abortable): Promise<void> {
    if (this.suspect) await this.#run({ steps: [] }, options)
  }

  /**
   * Runs one transaction and proves that it took effect. False: an insert met a record that exists, and nothing was written.
   *
   * @throws SyncError `E_LEASE_LOST`, `E_STATE_MISSING`, `E_WRITE_NOT_APPLIED` and all that {@link toSyncError} names
   */
  async write({ table, aside, ...step }: Write, options: Abortable): Promise<boolean> {
    const failure = await this.#run({ steps: [step], table, aside }, options)
    return failure === undefined
  }

  /** Tries a transaction and takes it back. Undefined: it would take effect. @throws SyncError if that cannot be told */
  async rehearse(steps: readonly Step[], options: Abortable): Promise<SyncError | undefined> {
    const text = rehearseSteps({ kinds: steps.map(({ kind }) => kind), decodes: this.encoding === 'function' })
    for (let attempt = 1; ; attempt += 1) {
      const { failure } = await this.connection.call((db) => ask(db, text, this.#bindings({ steps })), options)
      if (thrownText(failure)?.startsWith(rehearsedText) === true) return undefined
      const error = toSyncError(failure)
      if (!error.retryable || attempt === conflictAttemptsMax) return error
      await pause(conflictDelayMs * 2 ** attempt, options.signal)
    }
  }

  /**
   * Runs a transaction that must take effect exactly once. When its outcome is unknown, the state record tells it: one that
   * did not take effect is made unable to, and is sent again.
   *
   * @throws SyncError as {@link Lane.write} does; if it is retryable, the outcome may still be unknown
   */
  async apply(transaction: Transaction & { readonly progress: Progress }, options: Abortable): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#run(transaction, options)
        return
      } catch (error) {
        if (!this.suspect || attempt === applyAttemptsMax) throw error
        await this.recover(options)
        const bindings = { record: this.#state() }
        const state = await askValue(this.connection, readState, bindings, options)
        if (wroteLast(transaction.progress, state)) return
      }
    }
  }

  /** Returns a failure only if it is that a record to insert exists. */
  #run(transaction: Transaction, options: Abortable): Promise<unknown> {
    const { steps, progress, table, aside } = transaction
    const kinds = steps.map(({ kind }) => kind)
    const decodes = this.encoding === 'function'
    const state = progress === undefined ? 'token' : progress.checkpoint === undefined ? 'progress' : 'checkpoint'
    const fields = steps.find((step) => step.fields !== undefined)?.fields
    const text = writeTransaction({ kinds, decodes, state, fields, aside: aside !== undefined })
    return this.#transact(text, this.#bindings(transaction), options, table, kinds.includes('insert'))
  }

  #bindings({ steps, progress, aside }: Transaction): Record<string, unknown> {
    const bindings = progress === undefined ? { ...aside } : { ...progressBindings(progress), ...aside }
    for (const { kind, bytes } of steps)
      Object.assign(bindings, cborBinding(this.encoding, writeParameter(kind), bytes))
    return bindings
  }

  #state(): RecordId {
    return new RecordId(stateTable, [this.#pipeline, this.#index])
  }

  /** Retries conflicts. Returns the failure only if it is an existing record and the caller can deal with that. */
  async #transact(
    text: string,
    bindings: Record<string, unknown>,
    options: Abortable,
    table?: string,
    mayExist = false,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const failure = await this.#once(text, bindings, options, table)
      if (failure === undefined || (mayExist && isExistingRecord(failure))) return failure
      // An update found nothing and the create found something: another writer was in between.
      const passing = isConflict(failure) || isExistingRecord(failure)
      if (passing) this.#conflictCount += 1
      if (!passing || attempt === conflictAttemptsMax) throw this.#explain(failure, table)
      await pause(conflictDelayMs * 2 ** attempt * (0.5 + Math.random()), options.signal)
    }
  }

  /** Returns what made the transaction fail. Throws when nobody knows whether it did. */
  async #once(text: string, bindings: Record<string, unknown>, options: Abortable, table?: string): Promise<unknown> {
    const next = randomUUID()
    const known = this.#known
    const all = { ...bindings, state: this.#state(), known, next, pipeline: this.#pipeline }
    let answer: Answer
    try {
      answer = await this.connection.call((db) => ask(db, text, all), options, table)
    } catch (error) {
      const refused = error instanceof SyncError && error.code !== 'E_CONNECTION_LOST'
      if (!refused) this.#known = [...known, next]
      throw error
    }
    if (answer.failure !== undefined) return answer.failure
    const proved = answer.results.some((result) => Array.isArray(result) && result.length === 1 && result[0] === next)
    if (!proved) throw notApplied(table)
    this.#known = [next]
    return undefined
  }

  #explain(failure: unknown, table?: string): SyncError {
    return fenceError(failure, this.#pipeline) ?? toSyncError(failure, { table })
  }
}
