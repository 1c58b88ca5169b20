/** Applies one delta and its checkpoint: in one transaction if it fits, else in parts of which only the last has the checkpoint. */
import { randomUUID } from 'node:crypto'
import type { RowBatch } from '../../core/batch.js'
import type { Checkpoint } from '../../core/checkpoint.js'
import type { Abortable } from '../../core/source.js'
import type { Lane } from './lane.js'
import { Part } from './part.js'
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
  #part = new Part()
  #sentCount = 0
  #sending: Promise<void> = Promise.resolve()

  constructor(lane: Lane, limits: PieceLimits, options: Abortable) {
    this.#lane = lane
    this.#limits = limits
    this.#options = options
  }

  /** Takes in the rows of a batch. The batch is no longer needed when this resolves. */
  async add(plan: TablePlan, batch: RowBatch, rewrites: boolean): Promise<void> {
    const kind = batch.op === 'delete' ? plan.removal.kind : rewrites ? 'rewrite' : 'upsert'
    if (kind === undefined) return
    const encoder = new RowEncoder(this.#lane.writer, plan, batch, this.#limits)
    for (let piece = encoder.next(); piece !== undefined; piece = encoder.next()) {
      if (this.#part.isFullFor(piece, this.#limits)) await this.#send()
      this.#part.add(piece, plan, kind)
    }
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
    await this.#lane.apply({ ...this.#part.transaction(), progress }, this.#options)
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    await this.#sending.catch(() => undefined)
  }

  async #send(): Promise<void> {
    const transaction = this.#part.transaction()
    this.#part = new Part()
    await this.#sending
    this.#options.signal?.throwIfAborted()
    this.#sentCount += 1
    const progress = { wrote: randomUUID(), part: this.#sentCount, consistent: false }
    this.#sending = this.#lane.apply({ ...transaction, progress }, this.#options)
    // Whoever sends the next part, or the last one, gets the failure.
    this.#sending.catch(() => undefined)
  }
}
