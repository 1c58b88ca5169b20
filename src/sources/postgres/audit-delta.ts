/** One poll: a snapshot, the audit rows that it shows, and the current state of the keys that they name. */
import type { Alteration } from '../../core/alteration.js'
import type { Batch, ReplaceBatch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import type { Table } from '../../core/schema.js'
import type { ReadOptions } from '../../core/source.js'
import type { AuditReading } from './audit-reader.js'
import { type AuditPage, type AuditRow, cut, readAuditRows, readTableRows } from './audit-rows.js'
import { planWork, type Work } from './delta-work.js'
import { invisibleHolders } from './fence.js'
import { waitForFlush } from './flush-gate.js'
import type { PostgresTable } from './postgres-table.js'
import { reread } from './reread.js'
import type { Session } from './session.js'
import { absentFrom, readTable } from './snapshot.js'
import { lockAvailable } from './table-locks.js'

/** What a delta is to look at. */
export interface DeltaScope {
  /** The tables that the next audit rows name. Rows of others wait for the next poll. */
  readonly tables: ReadonlySet<number>
  /** Those that somebody asked for: if they are not followed, they are not to be. */
  readonly asked: ReadonlySet<number>
  readonly rowsMax: number
}

/** What one snapshot shows. */
interface View {
  readonly page: AuditPage
  readonly work: Work
  /** Tables of which columns came or went. */
  readonly altered: ReadonlyMap<number, Alteration>
  /** Tables whose rows are in the page and must wait. */
  readonly held: ReadonlySet<number>
  /** Tables that were held back and are read now: up to where, or `undefined` to the end. */
  readonly returned: ReadonlyMap<number, number | undefined>
}

export class AuditDelta implements Delta {
  /** After this delta the target equals the source as of this read. */
  readonly drained: boolean
  /** All that keeps it from being drained is tables that must wait. */
  readonly blocked: boolean
  readonly committedAtMs: number | undefined
  /** Tables that the sink does not know yet. */
  readonly tables: readonly Table[]
  readonly beside: readonly Table[]
  readonly alterations: readonly Alteration[]
  readonly #reading: AuditReading
  readonly #session: Session
  readonly #view: View
  readonly #options: ReadOptions
  #finished = false

  private constructor(reading: AuditReading, session: Session, view: View, options: ReadOptions) {
    const { page, work, altered, returned } = view
    const { structure, progress } = reading
    this.#reading = reading
    this.#session = session
    this.#view = view
    this.#options = options
    const replaced = new Set(work.replace.map(({ oid }) => oid))
    const { unapplied } = structure
    const waiting =
      [...progress.held.tables.keys()].some((oid) => !replaced.has(oid) && !isComplete(returned, oid)) ||
      [...unapplied.replaced].some((oid) => !replaced.has(oid)) ||
      [...unapplied.altered.keys()].some((oid) => !altered.has(oid))
    this.drained = page.drained && !waiting
    this.blocked = page.drained && waiting
    this.committedAtMs = newest([...page.late, ...page.fresh])
    this.tables = structure.takeAdded()
    this.beside = [...structure.tables.values()].filter((table) => !this.tables.includes(table))
    this.alterations = [...altered.values()]
  }

  /**
   * Takes the snapshot. Afterwards the delta must be finished or closed.
   * @returns undefined if a table is no longer what it was when the structure was looked at
   */
  static async open(reading: AuditReading, scope: DeltaScope, options: ReadOptions): Promise<AuditDelta | undefined> {
    const { connections } = reading
    const session = await connections.session()
    try {
      await session.begin('snapshot')
      const view = await look(reading, session, scope)
      if (view === undefined) {
        session.destroy()
        return undefined
      }
      if (!isEmpty(view.work)) await waitForFlush(session, () => connections.session())
      return new AuditDelta(reading, session, view, options)
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** It changes nothing in the sink. */
  get empty(): boolean {
    return isEmpty(this.#view.work) && this.tables.length === 0 && this.alterations.length === 0
  }

  /** It was read to its end. */
  get finished(): boolean {
    return this.#finished
  }

  /** Right once the batches have ended. */
  get position(): Position {
    return this.#reading.progress.position()
  }

  /** Barriers with all rows of their tables first, then changed keys. */
  get batches(): AsyncIterable<Batch> {
    return this.#batches()
  }

  /** Everything in it has been applied: moves the reader on. */
  async finish(): Promise<void> {
    await this.#session.commit()
    this.#session.release()
    const { progress, structure } = this.#reading
    const { page, work, altered, held, returned } = this.#view
    const { late, fresh, searchedTo } = page
    for (const row of late) if (held.has(row.table)) progress.held.owe(row.table, row.sequence)
    for (const [oid, upTo] of returned) {
      if (upTo === undefined) progress.held.release(oid)
      else progress.held.advance(oid, upTo)
    }
    for (const { oid } of work.replace) progress.held.release(oid)
    progress.tracker.advance(sequences(late), sequences(fresh), searchedTo)
    structure.applied([...work.replace.map(({ oid }) => oid), ...altered.keys()])
    const last = fresh.at(-1) ?? late.at(-1)
    if (last !== undefined) progress.anchorAt(last.sequence, last.transaction)
    this.#finished = true
  }

  /** Gives up what a delta that was not finished holds. */
  close(): void {
    this.#session.destroy()
  }

  async *#batches(): AsyncGenerator<Batch> {
    const { limits, signal } = this.#options
    const { work } = this.#view
    for (const table of work.replace) {
      yield this.#replace(table)
      yield* readTable(this.#session, table, { ...limits, signal })
    }
    for (const [table, keys] of work.keys) {
      // Neighbours in the index one after the other: half the server's time for random keys.
      yield* reread(this.#session, table, [...keys].sort(), { ...limits, signal })
    }
    await this.finish()
  }

  #replace(table: PostgresTable): ReplaceBatch {
    return { op: 'replace', table, absent: (keys) => absentFrom(this.#session, table, keys, this.#options) }
  }
}

/** Locks, takes the snapshot, and reads what it says is to be done. */
async function look(reading: AuditReading, session: Session, scope: DeltaScope): Promise<View | undefined> {
  const { names, progress, structure } = reading
  const { tracker, held } = progress
  const locked = await lockNamed(reading, session, scope)
  if (!(await structure.same(session, locked))) return undefined
  if (tracker.gaps.some(({ searched }) => searched)) tracker.doubt(await invisibleHolders(session, names))
  // What was asked for since it was looked, is asked for the next time.
  const isOthers = ({ table, asks }: AuditRow) => !structure.tables.has(table) && (!asks || scope.asked.has(table))
  const usable = (row: AuditRow) => locked.has(row.table) || held.tables.has(row.table) || isOthers(row)
  const page = cut(await readAuditRows(session, names, tracker, scope.rowsMax), usable)
  const rows = [...page.late, ...page.fresh]
  const returned = new Map<number, number | undefined>()
  for (const [oid, after] of held.tables) {
    if (!locked.has(oid)) continue
    const { rowsMax } = scope
    const owed = await readTableRows(session, names, oid, { after, upTo: tracker.highest, rowsMax })
    rows.push(...owed.rows)
    returned.set(oid, owed.complete ? undefined : owed.rows.at(-1)?.sequence)
  }
  const ready = new Map([...structure.tables].filter(([oid]) => locked.has(oid)))
  const waiting = new Set([...held.tables.keys()].filter((oid) => !locked.has(oid)))
  const { unapplied } = structure
  const altered = new Map([...unapplied.altered].filter(([oid]) => locked.has(oid)))
  return { page, work: planWork(rows, ready, unapplied.replaced), altered, held: waiting, returned }
}

/** Locks the tables that the delta may have to read. One that cannot be had now is held back. */
async function lockNamed(reading: AuditReading, session: Session, scope: DeltaScope): Promise<ReadonlySet<number>> {
  const { structure, progress, lock, warn } = reading
  const { tracker, held } = progress
  const named = [...structure.tables.values()].filter(
    ({ oid }) => scope.tables.has(oid) || structure.unapplied.has(oid) || held.tables.has(oid),
  )
  const free = named.filter(({ oid }) => !structure.isStuck(oid))
  const isWaiting = ({ oid }: PostgresTable) => held.tables.has(oid)
  const locked = await lockAvailable(
    session,
    free.filter((table) => !isWaiting(table)),
    free.filter(isWaiting),
    lock,
  )
  for (const table of named) {
    if (locked.has(table.oid) || !held.hold(table.oid, tracker.sequence)) continue
    warn({
      code: 'table_held_back',
      table: table.label,
      message: `${table.label} is locked by somebody else: its changes wait, those of other tables go on`,
    })
  }
  return locked
}

function isComplete(returned: ReadonlyMap<number, number | undefined>, oid: number): boolean {
  return returned.has(oid) && returned.get(oid) === undefined
}

function isEmpty({ replace, keys }: Work): boolean {
  return replace.length === 0 && keys.size === 0
}

function sequences(rows: readonly AuditRow[]): readonly number[] {
  return rows.map(({ sequence }) => sequence)
}

function newest(rows: readonly AuditRow[]): number | undefined {
  return rows.length === 0 ? undefined : rows.reduce((latest, { changedAtMs }) => Math.max(latest, changedAtMs), 0)
}
