/** The full phase: copies whole tables, between the positions t1 and t2. */
import type { Batch, ReplaceBatch } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Table } from '../core/schema.js'
import type { Chunk, Snapshot } from '../core/source.js'
import { drain } from './pipeline.js'
import type { Run } from './run.js'
import { applyTransforms } from './transform.js'

export interface FullResult {
  /** t1: changes after it must be replayed. */
  readonly start: Position
  /** t2. Only where changes are captured. */
  readonly end: Position | undefined
}

/**
 * Copies the tables. With capture it goes on after a lost snapshot with a new one, since replaying from t1 repairs the
 * mixture; without, the copy must come from one snapshot, so it begins again.
 */
export async function runFull(run: Run, tables: readonly Table[], captured: boolean): Promise<FullResult> {
  const { source, sink } = run.settings
  await sink.prepare?.(tables, { phase: 'full', signal: run.signal })
  if (captured) await run.retrying(async () => source.prepare?.(tables, { signal: run.signal }))
  run.emit('phase', { phase: 'full', tables })
  const copy = new Copy(run, captured)
  const start = await copy.tables(tables)
  if (!captured) return { start, end: undefined }
  const end = await run.retrying(() => source.position({ signal: run.signal }))
  await run.save('full_sync_end', end, start)
  return { start, end }
}

class Copy {
  readonly #run: Run
  readonly #captured: boolean
  readonly #done = new Set<string>()
  #start: Position | undefined

  constructor(run: Run, captured: boolean) {
    this.#run = run
    this.#captured = captured
  }

  async tables(tables: readonly Table[]): Promise<Position> {
    const retries = this.#run.retries()
    for (;;) {
      try {
        return await this.#attempt(tables, () => retries.reset())
      } catch (error) {
        await retries.after(error)
        if (!this.#captured) this.#forget()
      }
    }
  }

  async #attempt(tables: readonly Table[], progressed: () => void): Promise<Position> {
    const { source } = this.#run.settings
    await using snapshot = await source.openSnapshot({ tables, captured: this.#captured, signal: this.#run.signal })
    if (this.#start === undefined) {
      this.#start = snapshot.position
      if (this.#captured) await this.#run.save('full_sync_start', this.#start, this.#start)
    }
    for (const table of tables) {
      if (this.#done.has(table.label)) continue
      this.#progress(table, 'running')
      for (const chunk of await snapshot.chunks(table, { signal: this.#run.signal })) {
        if (this.#done.has(chunk.id)) continue
        await this.#chunk(snapshot, chunk)
        this.#done.add(chunk.id)
        progressed()
      }
      this.#done.add(table.label)
      this.#progress(table, 'done')
    }
    return this.#start
  }

  #chunk(snapshot: Snapshot, chunk: Chunk): Promise<void> {
    const run = this.#run
    return drain(this.#batches(snapshot, chunk), {
      inFlight: run.settings.inFlight,
      transform: (batch) => applyTransforms(batch, run.settings.transforms),
      write: (batch) => run.write(batch),
      written: (batch) => {
        if (batch.op === 'replace' || batch.op === 'truncate') this.#done.add(replaced(chunk.table))
        run.written('full', batch)
      },
      signal: run.signal,
    })
  }

  async *#batches(snapshot: Snapshot, chunk: Chunk): AsyncGenerator<Batch> {
    const { limits } = this.#run.settings
    const { signal } = this.#run
    if (!this.#done.has(replaced(chunk.table))) yield replaceOrTruncate(snapshot, chunk.table, signal)
    yield* snapshot.read(chunk, { limits, signal })
  }

  #progress(table: Table, state: 'running' | 'done'): void {
    const { rows } = this.#run.tableResult(table.label)
    this.#run.emit('table', { phase: 'full', table, state, rows, rowCountEstimate: table.rowCountEstimate })
  }

  #forget(): void {
    this.#done.clear()
    this.#start = undefined
    this.#run.tables.clear()
  }
}

/** Marks that what the target had of this table before the copy is gone. */
function replaced(table: Table): string {
  return `replaced ${table.label}`
}

function replaceOrTruncate(snapshot: Snapshot, table: Table, signal: AbortSignal | undefined): Batch {
  const { absent } = snapshot
  if (absent === undefined) return { op: 'truncate', table }
  const batch: ReplaceBatch = { op: 'replace', table, absent: (keys) => absent.call(snapshot, table, keys, { signal }) }
  return batch
}
