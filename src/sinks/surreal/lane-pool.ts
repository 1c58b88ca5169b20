/** Hands out lanes, each to one write at a time. */
import type { Abortable } from '../../core/source.js'
import type { Lane } from './lane.js'

export class LanePool {
  readonly lanes: readonly Lane[]
  readonly first: Lane
  readonly #free: Lane[]
  readonly #waiting: (() => void)[] = []
  #recovering: Promise<void> | undefined

  constructor(lanes: readonly Lane[]) {
    const [first] = lanes
    if (first === undefined) throw new RangeError('A pool needs a lane')
    this.lanes = lanes
    this.first = first
    this.#free = [...lanes].reverse()
  }

  /**
   * Runs a write on a free lane. Before that, transactions of unknown outcome are settled on whichever lane they were sent:
   * one that is carried out late must not overwrite what is written from now on.
   */
  async use(options: Abortable, write: (lane: Lane) => Promise<void>): Promise<void> {
    const lane = await this.#acquire()
    try {
      options.signal?.throwIfAborted()
      await this.#recover(options)
      await write(lane)
    } finally {
      this.#free.push(lane)
      this.#waiting.shift()?.()
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.connection.close()))
  }

  async #acquire(): Promise<Lane> {
    for (;;) {
      const lane = this.#free.pop()
      if (lane !== undefined) return lane
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  async #recover(options: Abortable): Promise<void> {
    this.#recovering ??= this.#recoverAll(options).finally(() => {
      this.#recovering = undefined
    })
    await this.#recovering
  }

  async #recoverAll(options: Abortable): Promise<void> {
    for (const lane of this.lanes) await lane.recover(options)
  }
}
