/** Throughput and lag over the time of a run, in a bounded number of points. */

export interface Sample {
  /** Milliseconds since 1970, the end of the time that it stands for. */
  readonly at: number
  readonly rowsPerSecond: number
  /** Undefined: unknown. */
  readonly lagMs: number | undefined
}

const samplesMax = 600

/**
 * Begins with a point for each sample. Whenever it is full, two neighbours become one, so that it always spans everything
 * since the beginning: the rate of two is their mean, the lag the greater.
 */
export class History {
  #samples: Sample[] = []
  #span = 1
  #pending: Sample[] = []

  get samples(): readonly Sample[] {
    return this.#samples
  }

  /** How many samples a point stands for. */
  get span(): number {
    return this.#span
  }

  /** True: points have been joined, so whoever has a copy needs all of them. */
  add(sample: Sample): boolean {
    this.#pending.push(sample)
    if (this.#pending.length < this.#span) return false
    this.#samples.push(joined(this.#pending))
    this.#pending = []
    if (this.#samples.length < samplesMax) return false
    const pairs: Sample[] = []
    for (let index = 0; index < this.#samples.length; index += 2) {
      pairs.push(joined(this.#samples.slice(index, index + 2)))
    }
    this.#samples = pairs
    this.#span *= 2
    return true
  }
}

function joined(samples: readonly Sample[]): Sample {
  const lags = samples.flatMap(({ lagMs }) => lagMs ?? [])
  return {
    at: samples.at(-1)?.at ?? 0,
    rowsPerSecond: samples.reduce((sum, { rowsPerSecond }) => sum + rowsPerSecond, 0) / Math.max(1, samples.length),
    lagMs: lags.length === 0 ? undefined : Math.max(...lags),
  }
}
