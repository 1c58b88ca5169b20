/** Transforms several batches at once and keeps their order. */
import { type Batch, isBarrier, type RowBatch } from '../core/batch.js'

export interface TransformingOptions {
  /** What becomes of a batch of rows, in this order. */
  readonly transform: (batch: RowBatch) => Promise<readonly RowBatch[]>
  /** How many batches may be pulled before the first of them has been given on. */
  readonly aheadMax: number
}

/**
 * Yields what becomes of each batch, in the order of the batches. Barriers pass as they are, and nothing behind one is
 * pulled before the consumer is done with it (I6). Ends, for good or ill, only when no transform is running any more.
 */
export async function* transformed(
  batches: AsyncIterable<Batch>,
  { transform, aheadMax }: TransformingOptions,
): AsyncGenerator<Batch> {
  const iterator = batches[Symbol.asyncIterator]()
  const queue: Promise<readonly Batch[]>[] = []
  let pulling: Promise<IteratorResult<Batch>> | undefined
  let stop: 'barrier' | 'end' | undefined
  try {
    for (;;) {
      if (stop === undefined && queue.length < aheadMax) pulling ??= quiet(iterator.next())
      const [head] = queue
      if (pulling !== undefined && (head === undefined || (await isFirst(pulling, head)))) {
        const { done, value } = await pulling
        pulling = undefined
        if (done === true) stop = 'end'
        else if (isBarrier(value)) {
          stop = 'barrier'
          queue.push(Promise.resolve([value]))
        } else queue.push(quiet(transform(value)))
      } else if (head !== undefined) {
        const parts = await head
        queue.shift()
        yield* parts
        if (stop === 'barrier' && queue.length === 0) stop = undefined
      } else return
    }
  } finally {
    await Promise.allSettled([...queue, pulling])
    if (stop !== 'end') await iterator.return?.()
  }
}

/** Whether the pull settles before the transform does. */
function isFirst(pulling: Promise<unknown>, head: Promise<unknown>): Promise<boolean> {
  return Promise.race([head.then(() => false), pulling.then(() => true)])
}

/** Whoever awaits it gets the failure; nobody may have to. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
