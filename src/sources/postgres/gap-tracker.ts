/**
 * Which sequence numbers were seen, and which below the highest one may still come.
 *
 * A number below a visible one was handed out earlier, so its transaction already held a write lock on the audit table.
 * A gap is dead only when every transaction that held such a lock after the gap was noticed has ended, and a later
 * snapshot still lacks the number. PostgreSQL makes a commit visible before it releases the locks.
 */

/** Numbers from `low` to `high`, both included, that were not seen. */
export interface Gap {
  readonly low: number
  readonly high: number
  /** Transactions that may own the numbers. `undefined`: not asked yet. */
  readonly suspects: ReadonlySet<string> | undefined
}

export class GapTracker {
  #highest: number
  #gaps: readonly Gap[]

  /** Continues from the position of an earlier tracker; suspects are forgotten on purpose. */
  constructor(highest: number, gaps: readonly (readonly [low: number, high: number])[] = []) {
    this.#highest = highest
    this.#gaps = gaps.map(([low, high]) => ({ low, high, suspects: undefined }))
  }

  /** M: the highest number seen. */
  get highest(): number {
    return this.#highest
  }

  get gaps(): readonly Gap[] {
    return this.#gaps
  }

  /** N: every number up to this one has been seen or is dead. */
  get sequence(): number {
    const first = this.#gaps[0]
    return first === undefined ? this.#highest : first.low - 1
  }

  /** Takes in who holds a write lock now. To be called before the snapshot of the next {@link advance} is taken. */
  fence(holders: ReadonlySet<string>): void {
    this.#gaps = this.#gaps.map((gap) => ({
      ...gap,
      suspects: gap.suspects === undefined ? holders : new Set([...gap.suspects].filter((one) => holders.has(one))),
    }))
  }

  /**
   * Takes in what one snapshot showed.
   * @param late Numbers found in the gaps, ascending.
   * @param fresh Numbers above the highest, ascending: all that are visible up to the last one given.
   * @param searchedTo The gaps were searched up to this number in a snapshot taken after the last {@link fence}.
   */
  advance(late: readonly number[], fresh: readonly number[], searchedTo: number): void {
    const gaps: Gap[] = []
    let index = 0
    for (const gap of this.#gaps) {
      const found: number[] = []
      for (; index < late.length; index++) {
        const number = late[index]
        if (number === undefined || number > gap.high) break
        if (number >= gap.low) found.push(number)
      }
      gaps.push(...remainders(gap, found, searchedTo))
    }
    for (const number of fresh) {
      if (number > this.#highest + 1) gaps.push({ low: this.#highest + 1, high: number - 1, suspects: undefined })
      this.#highest = number
    }
    this.#gaps = merge(gaps)
  }
}

/** More ranges than this are merged with their neighbours: seeing a number twice does no harm. */
const gapsMax = 10_000

function remainders(gap: Gap, found: readonly number[], searchedTo: number): readonly Gap[] {
  const rest: Gap[] = []
  const add = (low: number, high: number) => {
    if (low <= high) rest.push({ ...gap, low, high })
  }
  const searched = Math.min(gap.high, searchedTo)
  if (gap.suspects?.size !== 0) {
    let low = gap.low
    for (const number of found) {
      add(low, number - 1)
      low = number + 1
    }
    add(low, searched)
  }
  add(Math.max(gap.low, searchedTo + 1), gap.high)
  return rest
}

function merge(gaps: readonly Gap[]): readonly Gap[] {
  if (gaps.length <= gapsMax) return gaps
  const merged: Gap[] = []
  for (let index = 0; index < gaps.length; index += 2) {
    const [left, right] = [gaps[index], gaps[index + 1]]
    if (left === undefined) break
    merged.push(right === undefined ? left : { low: left.low, high: right.high, suspects: undefined })
  }
  return merge(merged)
}
