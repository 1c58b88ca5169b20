/** One poll: a snapshot, the audit rows that it shows, and the current state of the keys that they name. */
import type { Batch, ReplaceBatch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import type { Delta } from '../../core/delta.js'
import type { ReadOptions } from '../../core/source.js'
import type { AuditReading } from './audit-reader.js'
import { type AuditPage, type AuditRow, cut, readAuditRows } from './audit-rows.js'
import { lockHolders } from './fence.js'
import { waitForFlush } from './flush-gate.js'
import type { PostgresTable } from './postgres-table.js'
import { reread } from './reread.js'
import type { Session } from './session.js'
import { absentFrom, readTable } from './snapshot.js'

export class AuditDelta implements Delta {
  readonly drained: boolean
  readonly committedAtMs: number | undefined
  readonly #reading: AuditReading
  readonly #session: Session
  readonly #page: AuditPage
  readonly #work: Work
  readonly #options: ReadOptions
  #finished = false

  private constructor(reading: AuditReading, session: Session, page: AuditPage, work: Work, options: ReadOptions) {
    this.#reading = reading
    this.#session = session
    this.#page = page
    this.#work = work
    this.#options = options
    this.drained = page.drained
    this.committedAtMs = newest([...page.late, ...page.fresh])
  }

  /**
   * Takes the snapshot. Afterwards the delta must be finished or closed.
   * @param oids The tables that the next audit rows name. Rows of others wait for the next poll.
   * @returns undefined if a table is no longer what it was when the structure was looked at
   */
  static async open(
    reading: AuditReading,
    oids: ReadonlySet<number>,
    rowsMax: number,
    options: ReadOptions,
  ): Promise<AuditDelta | undefined> {
    const { connections, names, tracker, structure } = reading
    const session = await connections.session()
    try {
      if (tracker.gaps.length > 0) tracker.fence(await lockHolders(session, names))
      const named = new Map([...structure.tables].filter(([oid]) => oids.has(oid) || structure.pending.has(oid)))
      await session.begin('snapshot')
      await reading.lock(session, [...named.values()])
      if (!(await structure.same(session, named.keys()))) {
        session.destroy()
        return undefined
      }
      const usable = ({ table }: AuditRow) => named.has(table) || !structure.tables.has(table)
      const page = cut(await readAuditRows(session, names, tracker, rowsMax), usable)
      const work = plan(page, named, structure.pending)
      if (!isEmpty(work)) await waitForFlush(session, () => connections.session())
      return new AuditDelta(reading, session, page, work, options)
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** It changes nothing in the sink. */
  get empty(): boolean {
    return isEmpty(this.#work)
  }

  /** It was read to its end. */
  get finished(): boolean {
    return this.#finished
  }

  /** Right once the batches have ended. */
  get position(): Position {
    return this.#reading.position()
  }

  /** Barriers with all rows of their tables first, then changed keys. */
  get batches(): AsyncIterable<Batch> {
    return this.#batches()
  }

  /** Everything in it has been applied: moves the reader on. */
  async finish(): Promise<void> {
    await this.#session.commit()
    this.#session.release()
    const { tracker, structure } = this.#reading
    tracker.advance(sequences(this.#page.late), sequences(this.#page.fresh), this.#page.searchedTo)
    structure.replaced(this.#work.replace.map(({ oid }) => oid))
    this.#finished = true
  }

  /** Gives up what a delta that was not finished holds. */
  close(): void {
    this.#session.destroy()
  }

  async *#batches(): AsyncGenerator<Batch> {
    const { limits, signal } = this.#options
    for (const table of this.#work.replace) {
      yield this.#replace(table)
      yield* readTable(this.#session, table, { ...limits, signal })
    }
    for (const [table, keys] of this.#work.keys) yield* reread(this.#session, table, [...keys], { ...limits, signal })
    await this.finish()
  }

  #replace(table: PostgresTable): ReplaceBatch {
    return { op: 'replace', table, absent: (keys) => absentFrom(this.#session, table, keys, this.#options) }
  }
}

/** What a page asks to be done. */
interface Work {
  /** Tables to read as a whole. */
  readonly replace: readonly PostgresTable[]
  /** Keys to read again, as the capture functions wrote them. */
  readonly keys: ReadonlyMap<PostgresTable, ReadonlySet<string>>
}

function plan(page: AuditPage, tables: ReadonlyMap<number, PostgresTable>, pending: ReadonlySet<number>): Work {
  const whole = new Set(pending)
  const keys = new Map<PostgresTable, Set<string>>()
  for (const { table: oid, key } of [...page.late, ...page.fresh]) {
    const table = tables.get(oid)
    if (table === undefined) continue
    if (key === null) whole.add(oid)
    else if (!whole.has(oid)) keysOf(keys, table).add(key)
  }
  const replace = [...tables.values()].filter(({ oid }) => whole.has(oid))
  for (const table of replace) keys.delete(table)
  return { replace, keys }
}

function keysOf(keys: Map<PostgresTable, Set<string>>, table: PostgresTable): Set<string> {
  const existing = keys.get(table)
  if (existing !== undefined) return existing
  const created = new Set<string>()
  keys.set(table, created)
  return created
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
