/** Randomness that a seed repeats, and waiting that ends when the run does. */
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/demo/seeded-random.js'

/** One actor's random choices. */
export class Dice {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.#random() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.#random() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)]
    if (item === undefined) throw new RangeError('There is nothing to pick from')
    return item
  }
}

/** Waits, or returns early when the signal aborts. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await sleep(delayMs, undefined, { signal }).catch(() => undefined)
}
