/**
 * Which sequence numbers were seen, and which below the highest one may still come.
 *
 * A number below a visible one was handed out earlier, so its transaction already held a write lock on the audit table.
 * A gap is dead only when every transaction that held such a lock after the gap was noticed has ended, and a later
 * snapshot still lacks the number. PostgreSQL makes a commit visible before it releases the locks. So a gap need not be
 * searched again as long as none of those transactions has ended, and to be sure of one snapshot, while it has each of
 * them in progress.
 */

/** Numbers from `low` to `high`, both included. After very many gaps some of them may have been seen. */
export interface Gap {
  readonly low: number
  readonly high: number
  /** Transactions that may own the numbers. `undefined`: not asked yet. */
  readonly suspects: ReadonlySet<string> | undefined
  /** A snapshot taken after the last of its suspects to end was searched for the numbers. */
  readonly searched: boolean
}

/** More ranges than this are merged with their neighbours: seeing a number twice does no harm. */
const gapsMax = 10_000

export class GapTracker {
  #highest: number
  #gaps: readonly Gap[]

  /** Continues from the position of an earlier tracker; suspects are forgotten on purpose. */
  constructor(highest: number, gaps: readonly (readonly [low: number, high: number])[] = []) {
    this.#highest = highest
    this.#gaps = gaps.map(([low, high]) => ({ low, high, suspects: undefined, searched: false }))
  }

  /** M: the highest number seen. */
  get highest(): number {
    return this.#highest
  }

  /** Ascending, apart from each other. */
  get gaps(): readonly Gap[] {
    return this.#gaps
  }

  /** Gaps in which numbers may have become visible since they were last searched. */
  get unsearched(): readonly Gap[] {
    return this.gaps.filter(({ searched }) => !searched)
  }

  /** N: every number up to this one has been seen or is dead. */
  get sequence(): number {
    const first = this.#gaps[0]
    return first === undefined ? this.#highest : first.low - 1
  }

  /** Takes in who holds a write lock now. To be called before the snapshot of the next {@link advance} is taken. */
  fence(holders: ReadonlySet<string>): void {
    const remaining = new Map<ReadonlySet<string>, ReadonlySet<string>>()
    this.#gaps = this.#gaps.map((gap) => {
      const { suspects } = gap
      if (suspects === undefined) return { ...gap, suspects: holders, searched: false }
      const present = remaining.get(suspects) ?? new Set([...suspects].filter((one) => holders.has(one)))
      remaining.set(suspects, present)
      return present.size === suspects.size ? gap : { ...gap, suspects: present, searched: false }
    })
  }

  /** Takes in that numbers up to this one have been handed out, whether or not they ever become visible. */
  expect(number: number): void {
    if (number <= this.#highest) return
    const gap: Gap = { low: this.#highest + 1, high: number, suspects: undefined, searched: false }
    this.#gaps = merge([...this.#gaps, gap])
    this.#highest = number
  }

  /**
   * Takes in which transactions the next snapshot to be searched surely has in progress. What others may own must be
   * searched there: they may have committed since the last {@link fence}.
   */
  doubt(inProgress: ReadonlySet<string>): void {
    const certain = new Map<ReadonlySet<string>, boolean>()
    this.#gaps = this.#gaps.map((gap) => {
      const { suspects } = gap
      if (!gap.searched || suspects === undefined) return gap
      const known = certain.get(suspects) ?? [...suspects].every((one) => inProgress.has(one))
      certain.set(suspects, known)
      return known ? gap : { ...gap, searched: false }
    })
  }

  /**
   * Takes in what one snapshot showed.
   * @param late Numbers found in the gaps, ascending.
   * @param fresh Numbers above the highest, ascending: all that are visible up to the last one given.
   * @param searchedTo The unsearched gaps were searched up to this number in a snapshot taken after the last {@link fence}.
   */
  advance(late: readonly number[], fresh: readonly number[], searchedTo: number): void {
    const gaps: Gap[] = []
    let index = 0
    for (const gap of this.#gaps) {
      const found: number[] = []
      for (; index < late.length; index += 1) {
        const number = late[index]
        if (number === undefined || number > gap.high) break
        if (number >= gap.low) found.push(number)
      }
      if (gap.searched && found.length === 0) gaps.push(gap)
      else gaps.push(...remainders(gap, found, searchedTo))
    }
    for (const number of fresh) {
      if (number > this.#highest + 1) {
        gaps.push({ low: this.#highest + 1, high: number - 1, suspects: undefined, searched: false })
      }
      this.#highest = number
    }
    this.#gaps = merge(gaps)
  }
}

/** What is left of a gap: nothing of the part that was searched if nobody can own it any more. */
function remainders(gap: Gap, found: readonly number[], searchedTo: number): readonly Gap[] {
  const rest: Gap[] = []
  const add = (low: number, high: number, searched: boolean) => {
    if (low <= high) rest.push({ ...gap, low, high, searched })
  }
  const border = Math.min(gap.high, searchedTo)
  if (gap.suspects?.size !== 0) {
    const searched = gap.suspects !== undefined
    let low = gap.low
    for (const number of found) {
      add(low, number - 1, searched)
      low = number + 1
    }
    add(low, border, searched)
  }
  add(Math.max(gap.low, searchedTo + 1), gap.high, gap.searched)
  return rest
}

function merge(gaps: readonly Gap[]): readonly Gap[] {
  if (gaps.length <= gapsMax) return gaps
  const unions = new Map<ReadonlySet<string>, Map<ReadonlySet<string>, ReadonlySet<string>>>()
  const union = (a: ReadonlySet<string>, b: ReadonlySet<string>) => {
    const known = unions.get(a) ?? new Map<ReadonlySet<string>, ReadonlySet<string>>()
    unions.set(a, known)
    const both = known.get(b) ?? new Set([...a, ...b])
    known.set(b, both)
    return both
  }
  const merged: Gap[] = []
  for (let index = 0; index < gaps.length; index += 2) {
    const [left, right] = [gaps[index], gaps[index + 1]]
    if (left === undefined) break
    if (right === undefined) merged.push(left)
    else merged.push(joined(left, right, union))
  }
  return merge(merged)
}

function joined(
  left: Gap,
  right: Gap,
  union: (a: ReadonlySet<string>, b: ReadonlySet<string>) => ReadonlySet<string>,
): Gap {
  const [a, b] = [left.suspects, right.suspects]
  const suspects = a === b ? a : a === undefined || b === undefined ? undefined : union(a, b)
  const searched = suspects !== undefined && left.searched && right.searched
  return { low: left.low, high: right.high, suspects, searched }
}
