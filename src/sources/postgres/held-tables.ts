/**
 * Tables whose changes must wait while those of others go on, for example because somebody holds a lock. Their rows count
 * as seen for the gap tracker, so the debt is kept here: for each table a number below all that it still lacks.
 */
export class HeldTables {
  readonly #after = new Map<number, number>()

  /** The tables by oid, and the number after which each one's rows must be read again. */
  get tables(): ReadonlyMap<number, number> {
    return this.#after
  }

  /** Every row up to this number has been applied, of all tables. `undefined`: no table is held back. */
  get lowest(): number | undefined {
    return this.#after.size === 0 ? undefined : Math.min(...this.#after.values())
  }

  /** Holds back a table. Everything up to the number has been applied. Says whether it is news. */
  hold(oid: number, after: number): boolean {
    if (this.#after.has(oid)) return false
    this.#after.set(oid, after)
    return true
  }

  /** A row of a table was seen and not applied; it may be one of an old transaction. */
  owe(oid: number, sequence: number): void {
    const after = this.#after.get(oid)
    if (after !== undefined && sequence <= after) this.#after.set(oid, sequence - 1)
  }

  /** The rows up to this number have been read again. */
  advance(oid: number, sequence: number): void {
    if (this.#after.has(oid)) this.#after.set(oid, sequence)
  }

  /** It lacks nothing any more. */
  release(oid: number): void {
    this.#after.delete(oid)
  }
}
