/** The full phase: copies whole tables, between the positions t1 and t2. */
import type { Batch } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Table } from '../core/schema.js'
import type { Chunk, Snapshot } from '../core/source.js'
import { drain } from './pipeline.js'
import { type Run, sizeOf } from './run.js'

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
  /** Ids of chunks that are durable, and of the tables whose old rows are gone. */
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
    const copies: TableCopy[] = []
    for (const table of biggestFirst(tables)) copies.push(await this.#begin(snapshot, table))
    await this.#readAll(snapshot, copies, progressed)
    return this.#start
  }

  /** Barriers come alone (I6), so all of them come first. Also a table without rows replaces what the target has. */
  async #begin(snapshot: Snapshot, table: Table): Promise<TableCopy> {
    const { signal } = this.#run
    const chunks = await snapshot.chunks(table, { signal })
    const replaced = `replaced ${table.label}`
    if (!this.#done.has(replaced)) {
      const batch = replaceOrTruncate(snapshot, table, signal)
      await this.#run.write(batch)
      this.#done.add(replaced)
      this.#run.written('full', sizeOf(batch))
    }
    const copy = { table, chunks, left: new Set(chunks.filter(({ id }) => !this.#done.has(id)).map(({ id }) => id)) }
    if (copy.left.size === 0) this.#progress(copy)
    return copy
  }

  /** Several readers, each of one chunk at a time. The first failure stops all of them. */
  async #readAll(snapshot: Snapshot, copies: readonly TableCopy[], progressed: () => void): Promise<void> {
    const { signal, settings } = this.#run
    const queue = copies.flatMap((copy) => copy.chunks.map((chunk) => ({ copy, chunk }))).values()
    const stop = new AbortController()
    const abort = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
    let failure: { readonly error: unknown } | undefined
    const read = async () => {
      try {
        for (const { copy, chunk } of queue) {
          abort.throwIfAborted()
          if (!copy.left.has(chunk.id)) continue
          this.#progress(copy)
          await this.#rows(snapshot.read(chunk, { limits: settings.limits, signal: abort }), abort)
          copy.left.delete(chunk.id)
          this.#done.add(chunk.id)
          progressed()
          this.#progress(copy)
        }
      } catch (error) {
        failure ??= { error }
        stop.abort()
      }
    }
    await Promise.all(Array.from({ length: settings.concurrency }, read))
    if (failure !== undefined) throw failure.error
  }

  #rows(batches: AsyncIterable<Batch>, signal: AbortSignal): Promise<void> {
    const { inFlight, concurrency, transformConcurrency } = this.#run.settings
    return drain(batches, {
      inFlight: Math.max(1, Math.floor(inFlight / concurrency)),
      transform: (batch) => this.#run.transform(batch),
      transformsMax: transformConcurrency,
      write: (batch) => this.#run.write(batch),
      written: (batch) => this.#run.written('full', sizeOf(batch)),
      signal,
    })
  }

  #progress({ table, chunks, left }: TableCopy): void {
    const { rows } = this.#run.tableResult(table.label)
    this.#run.emit('table', {
      phase: 'full',
      table,
      state: left.size === 0 ? 'done' : 'running',
      rows,
      rowCountEstimate: table.rowCountEstimate,
      chunks: { done: chunks.length - left.size, total: chunks.length },
    })
  }

  #forget(): void {
    this.#done.clear()
    this.#start = undefined
    this.#run.tables.clear()
  }
}

/** One table on its way. */
interface TableCopy {
  readonly table: Table
  readonly chunks: readonly Chunk[]
  /** The chunks that are not yet durable, by id. */
  readonly left: Set<string>
}

/** So that no large table is left over when all others are done. */
function biggestFirst(tables: readonly Table[]): readonly Table[] {
  return [...tables].sort((a, b) => (b.rowCountEstimate ?? 0) - (a.rowCountEstimate ?? 0))
}

function replaceOrTruncate(snapshot: Snapshot, table: Table, signal: AbortSignal | undefined): Batch {
  const { absent } = snapshot
  if (absent === undefined) return { op: 'truncate', table }
  return { op: 'replace', table, absent: (keys) => absent.call(snapshot, table, keys, { signal }) }
}
