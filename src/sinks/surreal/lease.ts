/** The right of one run to write: a random text in the first lane's state record that each run replaces with its own. */
import { randomUUID } from 'node:crypto'

/** What a claim replaces with what. */
export interface ClaimedLease {
  /** One of these must be there. */
  readonly leases: readonly string[]
  readonly lease: string
}

/**
 * What is there is read before the run decides where to begin, so that the claim fails if another run has begun since.
 * Every try has a text of its own: one whose answer was lost, and that is carried out late, changes nothing any more.
 */
export class Lease {
  #known: readonly string[] | undefined
  #claimed = false

  /** Whether it is known what is there. */
  get seen(): boolean {
    return this.#known !== undefined
  }

  get claimed(): boolean {
    return this.#claimed
  }

  /** This run's own. */
  get current(): string {
    return this.#known?.at(-1) ?? ''
  }

  /** What is there. Does nothing once it is claimed. */
  see(lease: string): void {
    if (!this.#claimed) this.#known = [lease]
  }

  async claim<T>(work: (claimed: ClaimedLease) => Promise<T>): Promise<T> {
    const leases = this.#known ?? []
    const lease = randomUUID()
    // Until it is known to have been refused.
    this.#known = [...leases, lease]
    const result = await work({ leases, lease })
    this.#known = [lease]
    this.#claimed = true
    return result
  }
}
