/** So many rows a second, over all sessions of a source. */
import type { Abortable } from '../../core/source.js'
import { pause } from './pause.js'

/** Time as a limit sees it. */
export interface RateClock {
  /** Milliseconds on a clock that never goes back. */
  now(): number
  pause(delayMs: number, signal: AbortSignal | undefined): Promise<void>
}

const systemClock: RateClock = { now: () => performance.now(), pause }

/** How much may be taken at once after a time in which nothing was. */
const burstMs = 100

/** Whoever takes more than there is waits until it would be there; those who come later wait behind. */
export class RateLimit {
  readonly #perMs: number
  readonly #clock: RateClock
  /** When all that was taken so far is paid for. */
  #paidAt = Number.NEGATIVE_INFINITY

  constructor(perSecond: number, clock: RateClock = systemClock) {
    this.#perMs = perSecond / 1_000
    this.#clock = clock
  }

  /** Resolves when so many rows may have been read. @throws the signal's reason */
  async take(rows: number, { signal }: Abortable): Promise<void> {
    const now = this.#clock.now()
    this.#paidAt = Math.max(this.#paidAt, now - burstMs) + rows / this.#perMs
    const waitMs = this.#paidAt - now
    if (waitMs > 0) await this.#clock.pause(waitMs, signal)
  }
}
