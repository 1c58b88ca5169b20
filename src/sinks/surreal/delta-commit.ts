/** Applies one delta and its checkpoint: in one transaction if it fits, else in parts of which only the last has the checkpoint. */
import { randomUUID } from 'node:crypto'
import type { RowBatch } from '../../core/batch.js'
import type { Checkpoint } from '../../core/checkpoint.js'
import type { Abortable } from '../../core/source.js'
import type { Aside, Lane } from './lane.js'
import { Part } from './part.js'
import type { Progress } from './progress.js'
import { type Quarantine, type Refused, stepsOf } from './quarantine.js'
import { type PieceLimits, RowEncoder } from './row-encoder.js'
import type { TablePlan } from './table-plan.js'

/**
 * Every part is sent when the one before it has taken effect: the lane's token, which changes with every transaction,
 * compares position and part at once. While one is on its way the next is being encoded.
 *
 * A delta that breaks off leaves `consistent: false` and the position as it was. The next one is read from there, and so
 * has at least the same keys, as they are then.
 */
export class DeltaCommit {
  readonly #lane: Lane
  readonly #limits: PieceLimits
  readonly #options: Abortable
  readonly #quarantine: Quarantine
  #part = new Part()
  #sentCount = 0
  #sending: Promise<void> = Promise.resolve()

  constructor(lane: Lane, limits: PieceLimits, quarantine: Quarantine, options: Abortable) {
    this.#lane = lane
    this.#limits = limits
    this.#options = options
    this.#quarantine = quarantine
  }

  /** Takes in the rows of a batch. The batch is no longer needed when this resolves. */
  async add(plan: TablePlan, batch: RowBatch, rewrites: boolean): Promise<void> {
    const kind = batch.op === 'delete' ? plan.removal.kind : rewrites ? 'rewrite' : 'upsert'
    if (kind === undefined) {
      this.#part.ignored.push(...this.#quarantine.ignored(this.#lane.writer, plan, batch, this.#limits))
      return
    }
    const refused: Refused[] = []
    const collector = this.#quarantine.collector(plan.table.label, kind, refused)
    const encoder = new RowEncoder(this.#lane.writer, plan, batch, this.#limits, collector)
    for (let piece = encoder.next(); piece !== undefined; piece = encoder.next()) {
      if (this.#part.isFullFor(piece, this.#limits)) await this.#send()
      this.#part.add(piece, plan, kind)
      this.#part.refused.push(...refused.splice(0))
    }
    this.#part.refused.push(...refused)
  }

  /** Makes everything before a barrier durable, and tells readers that the delta is not complete. */
  async beforeBarrier(): Promise<void> {
    await this.#send()
    await this.#sending
  }

  /** Sends what is left, with the checkpoint. */
  async finish(checkpoint: Checkpoint, consistent: boolean): Promise<void> {
    await this.#sending
    this.#options.signal?.throwIfAborted()
    const progress = { wrote: randomUUID(), part: 0, consistent, checkpoint }
    await this.#apply(this.#part, progress)
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    await this.#sending.catch(() => undefined)
  }

  async #send(): Promise<void> {
    const part = this.#part
    this.#part = new Part()
    await this.#sending
    this.#options.signal?.throwIfAborted()
    this.#sentCount += 1
    const progress = { wrote: randomUUID(), part: this.#sentCount, consistent: false }
    this.#sending = this.#apply(part, progress)
    // Whoever sends the next part, or the last one, gets the failure.
    this.#sending.catch(() => undefined)
  }

  /** Where rows are kept aside, the target is no state that the source had. */
  async #apply(part: Part, progress: Progress): Promise<void> {
    const quarantine = this.#quarantine
    const released = quarantine.empty ? undefined : quarantine.release([...part.items(), ...part.ignored])
    const aside = part.refused.length === 0 ? released : quarantine.keep(part.refused, released)
    const consistent = (now: Aside | undefined) => progress.consistent && quarantine.emptyAfter(now)
    const transaction = part.transaction()
    try {
      const whole = { ...progress, consistent: consistent(aside) }
      await this.#lane.apply({ ...transaction, aside, progress: whole }, this.#options)
      quarantine.settled(aside)
    } catch (error) {
      if (!quarantine.isAboutRows(error)) throw error
      const rows = { items: part.items(), refused: part.refused, ignored: part.ignored }
      const sieved = await quarantine.sieve(this.#lane, rows, error, this.#options)
      const rest = { steps: stepsOf(sieved.items), aside: sieved.aside, table: transaction.table }
      await this.#lane.apply({ ...rest, progress: { ...progress, consistent: false } }, this.#options)
      quarantine.settled(sieved.aside)
    }
  }
}
