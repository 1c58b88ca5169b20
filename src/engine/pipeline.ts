/** Moves the batches of one delta into the sink: transform, write, a bounded number of writes at once. The heart. */
import { type Batch, isBarrier, type RowBatch } from '../core/batch.js'
import { transformed } from './transforming.js'

export interface DrainOptions {
  /** How many writes may be open at once. */
  readonly inFlight: number
  /** Resolves when the batch is durable. */
  readonly write: (batch: Batch) => Promise<void>
  /** What is written in place of a batch of rows, in this order. */
  readonly transform?: (batch: RowBatch) => Promise<readonly RowBatch[]>
  /** How many batches are transformed at once; so many are pulled before there is a write slot. @defaultValue 1 */
  readonly transformsMax?: number
  /** Called once for each batch, after its write resolved. */
  readonly written?: (batch: Batch) => void
  readonly signal?: AbortSignal
}

/**
 * Resolves when every batch is durable, so that the delta's position may be saved (I2). Batches start in order, barriers
 * run alone (I6), and nothing is pulled before a write slot is free, but for what is transformed meanwhile.
 *
 * On a failure or an abort it pulls nothing more, closes the iterator, waits until every open write has settled, and
 * rejects with the first failure: of a write, of the source, or the signal's reason.
 */
export async function drain(batches: AsyncIterable<Batch>, options: DrainOptions): Promise<void> {
  const writes = new Writes(options)
  const { transformsMax: aheadMax = 1 } = options
  const transform = options.transform && checkedBefore(options.transform, writes)
  try {
    await writes.slot()
    for await (const batch of transform === undefined ? batches : transformed(batches, { transform, aheadMax })) {
      writes.check()
      if (isBarrier(batch)) {
        await writes.settle()
        await writes.begin(batch)
        await writes.settle()
      } else await writes.begin(batch)
      await writes.slot()
    }
    // A source that stops early because of the signal has not come to the end, whether it says so or not.
    options.signal?.throwIfAborted()
  } catch (error) {
    writes.fail(error)
  }
  await writes.settle()
}

/** After a failure nothing more is begun. */
function checkedBefore(transform: NonNullable<DrainOptions['transform']>, writes: Writes): typeof transform {
  return async (batch) => {
    writes.check()
    return transform(batch)
  }
}

/** The open writes. Its promises never reject: the first failure is remembered, so that a slow source cannot lose it. */
class Writes {
  readonly #options: DrainOptions
  readonly #open = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined

  constructor(options: DrainOptions) {
    this.#options = options
  }

  async begin(batch: Batch): Promise<void> {
    await this.slot()
    const write = this.#write(batch).finally(() => this.#open.delete(write))
    this.#open.add(write)
  }

  /** Resolves when one more write may begin. Rejects with the first failure or with the signal's reason. */
  async slot(): Promise<void> {
    while (this.#open.size >= this.#options.inFlight) await Promise.race(this.#open)
    this.check()
  }

  /** @throws the first failure, or the signal's reason */
  check(): void {
    this.#throwIfFailed()
    this.#options.signal?.throwIfAborted()
  }

  /** Resolves when no write is open. Rejects with the first failure. */
  async settle(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open)
    this.#throwIfFailed()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #write(batch: Batch): Promise<void> {
    try {
      await this.#options.write(batch)
      this.#options.written?.(batch)
    } catch (error) {
      this.fail(error)
    }
  }
}
