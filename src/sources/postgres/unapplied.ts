/** What is known of the structure of tables and has not reached the sink yet, by oid. */
import type { Alteration } from '../../core/alteration.js'
import { type ColumnChanges, columnChanges } from './column-changes.js'
import type { PostgresTable } from './postgres-table.js'

export class Unapplied {
  readonly #replaced = new Set<number>()
  readonly #altered = new Map<number, ColumnChanges>()

  /** Tables that must be replaced as a whole before anything else is believed about them. */
  get replaced(): ReadonlySet<number> {
    return this.#replaced
  }

  /** Tables of which columns came or went, and that is all: to be told before anything is read of them. */
  get altered(): ReadonlyMap<number, Alteration> {
    return this.#altered
  }

  get size(): number {
    return this.#replaced.size + this.#altered.size
  }

  has(oid: number): boolean {
    return this.#replaced.has(oid) || this.#altered.has(oid)
  }

  replace(oid: number): void {
    this.#altered.delete(oid)
    this.#replaced.add(oid)
  }

  /**
   * Adds to what happened to the table's columns before.
   * @returns undefined, and adds nothing, if more happened than columns that come and go, or `alterable` does not want it
   */
  alter(
    last: PostgresTable,
    table: PostgresTable,
    alterable: (alteration: Alteration) => boolean,
  ): Alteration | undefined {
    const changes = columnChanges(this.#altered.get(table.oid)?.before ?? last, table)
    if (changes === undefined || !alterable(changes)) return undefined
    if (changes.added.length + changes.dropped.length > 0) this.#altered.set(table.oid, changes)
    else this.#altered.delete(table.oid)
    return changes
  }

  /** Returns whether there was something. */
  delete(oid: number): boolean {
    const wasReplaced = this.#replaced.delete(oid)
    return this.#altered.delete(oid) || wasReplaced
  }
}
