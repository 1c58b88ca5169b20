/** The full phase: copies whole tables, between the positions t1 and t2. */
import type { Batch } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Table } from '../core/schema.js'
import type { Snapshot } from '../core/source.js'
import { drain } from './pipeline.js'
import { type Run, sizeOf } from './run.js'
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
  await run.retrying(async () => sink.prepare?.(tables, { phase: 'full', signal: run.signal }))
  if (captured) await run.retrying(async () => source.prepare?.(tables, { signal: run.signal }))
  run.emit('phase', { phase: 'full', tables })
  const copy = new Copy(run, captured)
  const start = await copy.tables(tables)
  if (!captured) return { start, end: undefined }
  const end = await run.retrying(() => source.position({ signal: run.signal }))
  await run.retrying(() => run.save('full_sync_end', end, start))
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
        // Without capture a failure undoes what was done before it, so that is no progress.
        return await this.#attempt(tables, () => this.#captured && retries.reset())
      } catch (error) {
        await retries.after(error)
        if (!this.#captured) this.#forget()
      }
    }
  }

  async #attempt(tables: readonly Table[], progressed: () => void): Promise<Position> {
    const { signal, settings } = this.#run
    const snapshot = await settings.source.openSnapshot({ tables, captured: this.#captured, signal })
    let start: Position
    try {
      start = await this.#copy(snapshot, tables, progressed)
    } catch (error) {
      // When the connection is gone the snapshot cannot be closed either: the first failure counts.
      await Promise.allSettled([snapshot[Symbol.asyncDispose]()])
      throw error
    }
    await snapshot[Symbol.asyncDispose]()
    return start
  }

  async #copy(snapshot: Snapshot, tables: readonly Table[], progressed: () => void): Promise<Position> {
    const { position } = snapshot
    if (this.#start === undefined) {
      if (this.#captured) await this.#run.save('full_sync_start', position, position)
      this.#start = position
    }
    for (const table of tables) {
      if (this.#done.has(table.label)) continue
      this.#progress(table, 'running')
      await this.#table(snapshot, table, progressed)
      this.#done.add(table.label)
      this.#progress(table, 'done')
    }
    return this.#start
  }

  /** Also a table without rows, and so perhaps without chunks, replaces what the target has. */
  async #table(snapshot: Snapshot, table: Table, progressed: () => void): Promise<void> {
    const { signal, settings } = this.#run
    const chunks = await snapshot.chunks(table, { signal })
    const replaced = `replaced ${table.label}`
    if (!this.#done.has(replaced)) {
      const batch = replaceOrTruncate(snapshot, table, signal)
      await this.#run.write(batch)
      this.#done.add(replaced)
      this.#run.written('full', sizeOf(batch))
    }
    for (const chunk of chunks) {
      if (this.#done.has(chunk.id)) continue
      await this.#rows(snapshot.read(chunk, { limits: settings.limits, signal }))
      this.#done.add(chunk.id)
      progressed()
    }
  }

  #rows(batches: AsyncIterable<Batch>): Promise<void> {
    const { settings, signal } = this.#run
    return drain(batches, {
      inFlight: settings.inFlight,
      transform: (batch) => applyTransforms(batch, settings.transforms),
      write: (batch) => this.#run.write(batch),
      written: (batch) => this.#run.written('full', sizeOf(batch)),
      signal,
    })
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

function replaceOrTruncate(snapshot: Snapshot, table: Table, signal: AbortSignal | undefined): Batch {
  const { absent } = snapshot
  if (absent === undefined) return { op: 'truncate', table }
  return { op: 'replace', table, absent: (keys) => absent.call(snapshot, table, keys, { signal }) }
}
