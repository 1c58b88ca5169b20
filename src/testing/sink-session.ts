/** Uses a sink as the engine does: open, check, prepare, write, close. */
import { type Batch, deletes, type Row, type RowBatch, upserts } from '../core/batch.js'
import type { Phase } from '../core/events.js'
import type { Table } from '../core/schema.js'
import type { Sink } from '../core/sink.js'
import { defineTable } from './define-table.js'
import { LentBatch, replaceWith } from './lent-batch.js'
import { demandRows } from './row-comparison.js'
import { demand, type Invariant, within } from './suite.js'

/** What {@link testSink} gets for each of its tests: a target of its own, empty, and ways to look at it past the sink. */
export interface SinkSubject {
  /**
   * A new sink onto this target, not yet opened: the kit opens and closes it. Called more than once, as after a restart of the
   * program; never while another sink of this subject is open.
   */
  sink(): Sink | Promise<Sink>
  /**
   * The rows that the target holds now, under the names of the table's columns; none if it has no such table. Read past
   * the sink, so that what a sink merely remembers does not count. A column that a row lacks is taken for null.
   */
  rows(table: Table): Promise<readonly Row[]>
  /** Puts rows there that no pipeline wrote. Where it is given, the sink must refuse to take the table over. */
  plant?(table: Table, rows: readonly Row[]): Promise<void>
  /** Removes the target. Called after each test. */
  close?(): Promise<void>
}

export const pipelineId = 'kit'

export const users = defineTable('kit.users', { id: 'integer', name: 'text', active: 'boolean' }, ['id'])
export const orders = defineTable('kit.orders', { tenant: 'text', number: 'integer', note: 'text' }, [
  'tenant',
  'number',
])
export const tables: readonly Table[] = [users, orders]

export const user = (id: number, name: string | null = `user ${id}`): Row => ({ id, name, active: id % 2 === 0 })
export const order = (tenant: string, number: number, note: string | null = null): Row => ({ tenant, number, note })
export const userRange = (from: number, to: number, name?: string): readonly Row[] =>
  Array.from({ length: to - from + 1 }, (_, index) => user(from + index, name))

/** One use of one sink, from `open` to `close`. */
export class SinkSession {
  readonly sink: Sink
  readonly #subject: SinkSubject

  private constructor(sink: Sink, subject: SinkSubject) {
    this.sink = sink
    this.#subject = subject
  }

  /** Runs work with an open and prepared sink, and closes it whatever happens. */
  static async use<T>(subject: SinkSubject, phase: Phase, work: (session: SinkSession) => Promise<T>): Promise<T> {
    const session = new SinkSession(await subject.sink(), subject)
    try {
      await session.open()
      await session.prepare(phase)
      return await work(session)
    } finally {
      await session.close()
    }
  }

  /** A sink that is not yet open. The caller closes it. */
  static async unopened(subject: SinkSubject): Promise<SinkSession> {
    return new SinkSession(await subject.sink(), subject)
  }

  async open(): Promise<void> {
    await within('L2', 'open()', Promise.resolve(this.sink.open?.({ syncId: pipelineId, warn: () => undefined })))
  }

  async prepare(phase: Phase): Promise<void> {
    await within('L3', 'check()', Promise.resolve(this.sink.check?.(tables, { phase })))
    await within('I4', 'prepare()', Promise.resolve(this.sink.prepare?.(tables, { phase })))
  }

  async close(): Promise<void> {
    await within('L2', 'close()', Promise.resolve(this.sink.close?.()))
  }

  /** Writes one batch, lends it for no longer than that, and says whether the sink kept to it. */
  async write(batch: Batch, signal?: AbortSignal): Promise<LentBatch | undefined> {
    const lent = 'rows' in batch ? new LentBatch(batch) : undefined
    try {
      await within('I4', `write() of a batch to ${batch.op}`, this.sink.write(lent ?? batch, { signal }))
    } finally {
      lent?.takeBack()
    }
    return lent
  }

  upsert(table: Table, rows: readonly Row[]): Promise<LentBatch | undefined> {
    return this.write(upserts(table, rows))
  }

  delete(table: Table, rows: readonly Row[]): Promise<LentBatch | undefined> {
    return this.write(keysOnly(table, rows))
  }

  /** As a full sync does: the barrier, then every row. */
  async replace(table: Table, rows: readonly Row[]): Promise<void> {
    await this.write(replaceWith(table, rows))
    await this.upsert(table, rows)
  }

  /** @throws InvariantError unless the target has exactly these rows, read past the sink */
  async expect(invariant: Invariant, when: string, table: Table, rows: readonly Row[]): Promise<void> {
    demandRows(invariant, when, table, rows, await this.#subject.rows(table))
  }
}

/** A batch that removes these rows. It carries their keys and nothing else. */
export function keysOnly(table: Table, rows: readonly Row[]): RowBatch {
  const keys = rows.map((row) => Object.fromEntries(table.key.map(({ name }) => [name, row[name] ?? null])))
  return deletes(table, keys)
}

/** @throws InvariantError if the batch was read after its write had settled */
export function demandGivenBack(batches: readonly (LentBatch | undefined)[]): void {
  for (const batch of batches) {
    demand('I5', batch?.misused !== true, 'a batch was read after its write had settled')
  }
}
