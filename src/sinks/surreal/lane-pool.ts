/** Hands out lanes, each to one write at a time. */
import type { SyncWarning } from '../../core/events.js'
import type { Abortable } from '../../core/source.js'
import { findEncoding } from './encoding.js'
import type { Lane } from './lane.js'
import type { Lease } from './lease.js'

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
  use(options: Abortable, write: (lane: Lane) => Promise<void>): Promise<void> {
    return this.#use(options, write)
  }

  /** The same on the first lane, whose state record says how far the pipeline is. */
  useFirst(options: Abortable, write: (lane: Lane) => Promise<void>): Promise<void> {
    return this.#use(options, write, this.first)
  }

  /** Finds out how rows get to the server, for all lanes. */
  async findEncoding(warn: (warning: SyncWarning) => void, options: Abortable): Promise<void> {
    const encoding = await findEncoding(this.first.connection, options)
    for (const lane of this.lanes) lane.encoding = encoding
    if (encoding !== 'objects') return
    const message = 'This connection cannot carry floats without a fraction: SurrealDB will store them as integers'
    warn({ code: 'numbers_change_kind', message })
  }

  /** Makes these lanes the only writers of the pipeline, or checks that they still are. */
  async claim(lease: Lease, options: Abortable): Promise<void> {
    if (lease.claimed) {
      await this.check(options)
      return
    }
    const token = await lease.claim((claimed) => this.first.claim(this.lanes.length, claimed, options))
    for (const lane of this.lanes) lane.take(token)
  }

  /** Finds out whether each may still write. Resolves with how long one took, in milliseconds. */
  async check(options: Abortable): Promise<number> {
    const startedAt = performance.now()
    for (const lane of this.lanes) await lane.check(options)
    return (performance.now() - startedAt) / this.lanes.length
  }

  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.connection.close()))
  }

  async #use(options: Abortable, write: (lane: Lane) => Promise<void>, wanted?: Lane): Promise<void> {
    const lane = await this.#acquire(wanted)
    try {
      options.signal?.throwIfAborted()
      await this.#recover(options)
      await write(lane)
    } finally {
      this.#free.push(lane)
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  async #acquire(wanted: Lane | undefined): Promise<Lane> {
    for (;;) {
      const index = wanted === undefined ? this.#free.length - 1 : this.#free.indexOf(wanted)
      const [lane] = index < 0 ? [] : this.#free.splice(index, 1)
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
