/** The incremental phase: applies deltas in order, each followed by its checkpoint. */
import type { Position } from '../core/checkpoint.js'
import type { Delta } from '../core/delta.js'
import type { Table } from '../core/schema.js'
import { drain } from './pipeline.js'
import type { Run } from './run.js'
import { applyTransforms } from './transform.js'

export interface IncrementalOptions {
  readonly after: Position
  readonly until?: Position
  readonly follow: boolean
}

/** Resolves at the end of the changes with the position reached. Reads on from there after a retryable error. */
export async function runIncremental(
  run: Run,
  tables: readonly Table[],
  options: IncrementalOptions,
): Promise<Position> {
  const { source, sink, limits } = run.settings
  await run.retrying(async () => sink.prepare?.(tables, { phase: 'incremental', signal: run.signal }))
  run.emit('phase', { phase: 'incremental', tables })
  const retries = run.retries()
  let position = options.after
  let caughtUp = false
  for (;;) {
    try {
      for await (const delta of source.changes({ ...options, tables, after: position, limits, signal: run.signal })) {
        const changed = await apply(run, delta)
        position = delta.position
        retries.reset()
        if (delta.drained && (changed || !caughtUp)) {
          caughtUp = true
          run.emit('caughtUp', { position, text: source.describe(position).text })
        }
      }
      return position
    } catch (error) {
      await retries.after(error)
    }
  }
}

/** Applies one delta and its checkpoint. True: it carried changes. */
async function apply(run: Run, delta: Delta): Promise<boolean> {
  const { sink, inFlight, transforms } = run.settings
  let changed = false
  const kind = 'incremental'
  const lagMs = () => (delta.committedAtMs === undefined ? undefined : Math.max(0, Date.now() - delta.committedAtMs))
  if (sink.commit !== undefined) {
    await sink.commit(transformed(run, delta, () => { changed = true }), () => run.checkpoint(kind, delta.position, delta.position), { signal: run.signal })
    await run.saved(kind, delta.position, delta.position, lagMs())
    return changed
  }
  await drain(delta.batches, {
    inFlight,
    transform: (batch) => applyTransforms(batch, transforms),
    write: (batch) => run.write(batch),
    written: (batch) => {
      changed = true
      run.written(kind, batch)
    },
    signal: run.signal,
  })
  await run.save(kind, delta.position, delta.position, lagMs())
  return changed
}

/** The same delta with its rows transformed, for sinks that commit deltas themselves. */
function transformed(run: Run, delta: Delta, seen: () => void): Delta {
  async function* batches() {
    for await (const batch of delta.batches) {
      seen()
      const parts = batch.op === 'upsert' || batch.op === 'delete' ? await applyTransforms(batch, run.settings.transforms) : [batch]
      for (const part of parts) {
        yield part
        run.written('incremental', part)
      }
    }
  }
  return {
    batches: batches(),
    get position() {
      return delta.position
    },
    get drained() {
      return delta.drained
    },
    get committedAtMs() {
      return delta.committedAtMs
    },
  }
}
