/** What a source under test must say: the rows of its two tables, kept beside it. */
import type { Row } from '../core/batch.js'
import type { Source } from '../core/source.js'
import { defineTable } from './define-table.js'
import { StoredRows } from './stored-rows.js'

/** One change within a transaction. Rows of an upsert are whole; those of a delete have at least the key. */
export type SourceChange =
  | { readonly op: 'upsert' | 'delete'; readonly table: 'users' | 'orders'; readonly rows: readonly Row[] }
  | { readonly op: 'truncate'; readonly table: 'users' | 'orders' }

/** What {@link testSource} gets for each of its tests: a database with two empty tables, and a way to change them. */
export interface SourceSubject {
  /**
   * A new source over this database, not yet opened: the kit opens and closes it. Called more than once, as after a restart
   * of the program; never while another source of this subject is open.
   */
  source(): Source | Promise<Source>
  /** Makes these changes, in this order, in one transaction, past the source. Resolves when they are visible. */
  commit(changes: readonly SourceChange[]): Promise<unknown>
  /**
   * Makes these changes in a transaction that stays open. Where it is given, the kit checks that what commits late is found.
   */
  begin?(changes: readonly SourceChange[]): Promise<{ commit(): Promise<unknown>; rollback(): Promise<unknown> }>
  /** Removes the database. Called after each test. */
  close?(): Promise<void>
}

const users = defineTable('kit.users', { id: 'integer', name: 'text' }, ['id'])
const orders = defineTable('kit.orders', { tenant: 'text', number: 'integer', note: 'text' }, ['tenant', 'number'])

export const user = (id: number, name: string | null = `user ${id}`): Row => ({ id, name })
export const order = (tenant: string, number: number, note: string | null = null): Row => ({ tenant, number, note })
export const userRange = (from: number, to: number): readonly Row[] =>
  Array.from({ length: to - from + 1 }, (_, index) => user(from + index))

/** Changes the source under test and itself. */
export class SourceModel {
  readonly #subject: SourceSubject
  readonly #tables = { users: new StoredRows(users), orders: new StoredRows(orders) }

  constructor(subject: SourceSubject) {
    this.#subject = subject
  }

  /** The rows that the source's table has now. */
  rows(table: string): readonly Row[] {
    return table === 'users' || table === 'orders' ? this.#tables[table].list() : []
  }

  async commit(...changes: readonly SourceChange[]): Promise<void> {
    await this.#subject.commit(changes)
    this.#apply(changes)
  }

  async upsertUsers(...rows: readonly Row[]): Promise<void> {
    await this.commit({ op: 'upsert', table: 'users', rows })
  }

  async deleteUsers(...ids: readonly number[]): Promise<void> {
    await this.commit({ op: 'delete', table: 'users', rows: ids.map((id) => ({ id })) })
  }

  /** Makes changes that are not yet visible. Undefined: the subject cannot. */
  async begin(
    ...changes: readonly SourceChange[]
  ): Promise<{ readonly commit: () => Promise<void>; readonly rollback: () => Promise<unknown> } | undefined> {
    const open = await this.#subject.begin?.(changes)
    if (open === undefined) return undefined
    const commit = async () => {
      await open.commit()
      this.#apply(changes)
    }
    return { commit, rollback: () => open.rollback() }
  }

  #apply(changes: readonly SourceChange[]): void {
    for (const change of changes) {
      const stored = this.#tables[change.table]
      if (change.op === 'truncate') stored.clear()
      else for (const row of change.rows) change.op === 'upsert' ? stored.put(row) : stored.remove(row)
    }
  }
}

/** Twenty users and five orders. */
export async function filled(subject: SourceSubject): Promise<SourceModel> {
  const model = new SourceModel(subject)
  await model.upsertUsers(...userRange(1, 20), user(21, null), user(22, 'Ünï "quoted" \\ 🙂'))
  await model.commit({ op: 'upsert', table: 'orders', rows: [1, 2, 3, 4, 5].map((number) => order('a', number)) })
  return model
}
