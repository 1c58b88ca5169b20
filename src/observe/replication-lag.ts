/** How far the target is behind, as far as an engine's events tell. */

/**
 * Zero when everything that is visible at the source has been applied. Otherwise at least so long ago the target last had
 * everything: the age of the newest change applied and the time since then, or since a delta began. Of a run that has applied
 * nothing yet that is the least it can be, not how far it is behind.
 */
export class ReplicationLag {
  #behind: { readonly lagMs: number; readonly at: number } | undefined
  #current = false
  #measured = false

  /** Whether anything was applied that tells how far the target is behind. */
  get measured(): boolean {
    return this.#measured
  }

  /** In milliseconds. Undefined: nothing has been applied yet that would tell, and nothing is on its way. */
  get ms(): number | undefined {
    if (this.#current) return 0
    return this.#behind === undefined ? undefined : this.#behind.lagMs + performance.now() - this.#behind.at
  }

  /** A delta took effect, whose newest change was so old. */
  applied(drained: boolean, lagMs: number | undefined): void {
    this.#current = drained
    this.#measured ||= drained || lagMs !== undefined
    if (drained) this.#behind = undefined
    else if (lagMs !== undefined) this.#behind = { lagMs, at: performance.now() }
  }

  /** From now on something is missing: a delta with changes is on its way, or nothing arrives. */
  began(): void {
    this.#behind ??= { lagMs: 0, at: performance.now() }
    this.#current = false
  }

  unknown(): void {
    this.#behind = undefined
    this.#measured = false
    this.#current = false
  }
}
