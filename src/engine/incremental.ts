/** The incremental phase: applies deltas in order, each followed by its checkpoint. */
import type { Alteration } from '../core/alteration.js'
import type { Batch, Key, RowBatch } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import { type Delta, withBatches } from '../core/delta.js'
import type { Table } from '../core/schema.js'
import { drain } from './pipeline.js'
import { type BatchSize, type Run, sizeOf } from './run.js'
import { isTransformed } from './transform.js'
import { transformed } from './transforming.js'

export interface IncrementalOptions {
  readonly after: Position
  readonly until?: Position
  readonly follow: boolean
  /** Keys to read again before anything else, by table label. */
  readonly reread?: ReadonlyMap<string, readonly Key[]>
}

/** So many keys are read again at once. */
const keysMax = 1_000

/** Resolves at the end of the changes with the position reached. Reads on from there after a retryable error. */
export async function runIncremental(
  run: Run,
  tables: readonly Table[],
  options: IncrementalOptions,
): Promise<Position> {
  const { source, sink, limits, transforms } = run.settings
  await run.retrying(async () => sink.prepare?.(tables, { phase: 'incremental', signal: run.signal }))
  run.emit('phase', { phase: 'incremental', tables })
  const { reread } = options
  if (reread !== undefined)
    await run.retrying(async () => void (await apply(run, rereadDelta(run, tables, reread, options.after))))
  const retries = run.retries()
  // What a transform makes of a row may depend on any of its columns.
  const alterable = (alteration: Alteration) =>
    !isTransformed(alteration.table, transforms) && sink.alter !== undefined && (sink.alterable?.(alteration) ?? true)
  let position = options.after
  let behind = true
  for (;;) {
    try {
      const reading = { ...options, tables, after: position, limits, alterable, signal: run.signal }
      for await (const delta of source.changes(reading)) {
        // What drains it may be a later delta without changes of its own.
        if (await apply(run, delta)) behind = true
        position = delta.position
        retries.reset()
        if (delta.drained && behind) {
          behind = false
          run.emit('caughtUp', { position, text: source.describe(position).text })
        }
      }
      run.signal?.throwIfAborted()
      return position
    } catch (error) {
      await retries.after(error)
    }
  }
}

/** Newer than its position, so it is not drained: what is read after that position repairs the mixture. */
function rereadDelta(
  run: Run,
  tables: readonly Table[],
  reread: ReadonlyMap<string, readonly Key[]>,
  position: Position,
): Delta {
  const { source, limits } = run.settings
  async function* batches(): AsyncGenerator<Batch> {
    for (const table of tables) {
      const keys = reread.get(table.label) ?? []
      for (let start = 0; start < keys.length; start += keysMax) {
        const rows = source.reread?.(table, keys.slice(start, start + keysMax), { limits, signal: run.signal })
        if (rows !== undefined) yield* rows
      }
    }
  }
  return { batches: batches(), position, drained: false, rewrites: true }
}

/** Applies one delta and its checkpoint. True: it carried changes. */
async function apply(run: Run, delta: Delta): Promise<boolean> {
  const { sink } = run.settings
  const { tables = [], beside, alterations = [] } = delta
  const begins = once(() => run.emit('applying', { at: Date.now() }))
  const startedAt = performance.now()
  const preparing = { phase: 'full', beside, signal: run.signal } as const
  if (tables.length > 0) await run.retrying(async () => sink.prepare?.(tables, preparing))
  for (const alteration of alterations) {
    begins()
    await run.retrying(async () => sink.alter?.(alteration, { signal: run.signal }))
  }
  const announced = withBatches(delta, before(delta.batches, begins))
  const sizes = sink.commit === undefined ? await write(run, announced) : await commit(run, announced)
  const { position, committedAtMs } = delta
  const lagMs = committedAtMs === undefined ? undefined : Math.max(0, Date.now() - committedAtMs)
  if (sink.commit === undefined) await run.save('incremental', position, position, lagMs)
  else await run.committed('incremental', position, position, lagMs)
  const rows = sizes.reduce((sum, size) => sum + size.rows, 0)
  const durationMs = performance.now() - startedAt
  run.emit('delta', { batches: sizes.length, rows, drained: delta.drained, durationMs, lagMs })
  return sizes.length > 0 || alterations.length > 0
}

/** Calls before each batch is given on. */
async function* before(batches: AsyncIterable<Batch>, call: () => void): AsyncGenerator<Batch> {
  for await (const batch of batches) {
    call()
    yield batch
  }
}

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (!done) work()
    done = true
  }
}

async function write(run: Run, delta: Delta): Promise<readonly BatchSize[]> {
  const { inFlight, transformConcurrency } = run.settings
  const sizes: BatchSize[] = []
  await drain(delta.batches, {
    inFlight,
    transform: (batch) => run.transform(batch),
    transformsMax: transformConcurrency,
    write: (batch) => run.write(batch),
    written: (batch) => {
      const size = sizeOf(batch)
      sizes.push(size)
      run.written('incremental', size)
    },
    signal: run.signal,
  })
  return sizes
}

/** Lets the sink pull the delta. Its batches are durable when the whole is, and counted only then. */
async function commit(run: Run, delta: Delta): Promise<readonly BatchSize[]> {
  const { sink, transformConcurrency: aheadMax } = run.settings
  const { signal } = run
  const sizes: BatchSize[] = []
  async function* batches(): AsyncGenerator<Batch> {
    const transform = (batch: RowBatch) => run.transform(batch)
    for await (const batch of transformed(delta.batches, { transform, aheadMax })) {
      sizes.push(sizeOf(batch))
      yield batch
    }
    // As in the pipeline: a source that stops early because of the signal has not come to the end.
    signal?.throwIfAborted()
  }
  const pulled = withBatches(delta, batches())
  await sink.commit?.(pulled, () => run.checkpoint('incremental', delta.position, delta.position), { signal })
  for (const size of sizes) run.written('incremental', size)
  return sizes
}
