/** How much one transaction may hold, less for a while after transactions that were too much for the target. */

const slowMs = 250
const goodToGrow = 16
const growth = 1.25
const bytesMin = 32 * 1024

/** What is known of a transaction that has ended. */
export interface WrittenPiece {
  readonly rowCount: number
  readonly byteCount: number
  readonly ms: number
  /** Whether it met a conflict, or was refused for its size. */
  readonly failed: boolean
}

/**
 * Halves the size of transactions when one takes more than 250 ms beyond the round trip, meets a conflict or is refused for its
 * size, and lets it grow by a quarter after 16 good ones, up to where it began. It decides how rows are cut, never what is
 * written. A single row cannot be cut, so it says nothing.
 */
export class ByteTarget {
  #roundTripMs = 0
  #bytesMax = Number.POSITIVE_INFINITY
  #goodCount = 0

  /** Begins a run. @param roundTripMs What a transaction of nearly nothing takes. */
  begin(roundTripMs: number): void {
    this.#roundTripMs = roundTripMs
    this.#bytesMax = Number.POSITIVE_INFINITY
    this.#goodCount = 0
  }

  /** The most bytes of the next transaction, and never more than this. */
  atMost(bytesMax: number): number {
    return Math.min(bytesMax, this.#bytesMax)
  }

  note({ rowCount, byteCount, ms, failed }: WrittenPiece): void {
    if (failed || ms > slowMs + this.#roundTripMs) {
      this.#goodCount = 0
      if (rowCount > 1) this.#bytesMax = Math.max(bytesMin, Math.min(this.#bytesMax, byteCount) / 2)
      return
    }
    this.#goodCount += 1
    if (this.#goodCount < goodToGrow) return
    this.#goodCount = 0
    this.#bytesMax *= growth
  }
}
