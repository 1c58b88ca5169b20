/** The full phase: copies whole tables, between the positions t1 and t2. */
import type { Batch } from '../core/batch.js'
import type { Checkpoint, Position } from '../core/checkpoint.js'
import { isOutdated, SyncError } from '../core/errors.js'
import type { Table } from '../core/schema.js'
import type { Chunk, Snapshot } from '../core/source.js'
import { CopiedChunks, type CutTable, shapeOf } from './copied-chunks.js'
import { CopyProgress } from './copy-progress.js'
import type { EngineSettings } from './options.js'
import { drain } from './pipeline.js'
import type { Retries } from './retry.js'
import { type Run, sizeOf } from './run.js'

export interface FullOptions {
  readonly tables: readonly Table[]
  readonly captured: boolean
  /** The `full_progress` of a full sync that was cut off. */
  readonly interrupted: Checkpoint | undefined
  /** Whether to begin again all the same. */
  readonly restart: boolean
}

export interface FullResult {
  /** t1: changes after it must be replayed. */
  readonly start: Position
  /** t2. Only where changes are captured. */
  readonly end: Position | undefined
}

/**
 * Copies the tables. With capture it goes on after a lost snapshot with a new one, and where an earlier run was cut off,
 * since replaying from t1 repairs the mixture; without, the copy must come from one snapshot, so it begins again.
 */
export async function runFull(run: Run, options: FullOptions): Promise<FullResult> {
  const { source, sink } = run.settings
  const { tables, captured, interrupted, restart } = options
  await run.retrying(async () => sink.prepare?.(tables, { phase: 'full', signal: run.signal }))
  if (captured) await run.retrying(async () => source.prepare?.(tables, { signal: run.signal }))
  // What is written from now on is no part of what the earlier run had begun.
  else if (interrupted !== undefined) await run.retrying(() => run.forgetProgress(interrupted))
  run.emit('phase', { phase: 'full', tables })
  const copy = new Copy(run, captured, captured && !restart ? interrupted : undefined)
  const start = await copy.tables(tables)
  if (!captured) return { start, end: undefined }
  const end = await run.retrying(() => source.position({ signal: run.signal }))
  await run.retrying(() => run.save('full_sync_end', end, start))
  return { start, end }
}

class Copy {
  readonly #run: Run
  readonly #captured: boolean
  readonly #copied: CopiedChunks
  readonly #progress: CopyProgress
  #start: Position | undefined
  /** Another run has begun the copy. */
  #resumes: boolean

  constructor(run: Run, captured: boolean, interrupted: Checkpoint | undefined) {
    this.#run = run
    this.#captured = captured
    this.#copied = new CopiedChunks(interrupted?.completed)
    this.#progress = new CopyProgress(run, this.#copied)
    this.#start = interrupted?.resumeAfter
    this.#resumes = interrupted !== undefined
  }

  async tables(tables: readonly Table[]): Promise<Position> {
    const retries = this.#run.retries()
    for (;;) {
      try {
        // Without capture a failure undoes what was done before it, so that is no progress.
        return await this.#attempt(tables, () => this.#captured && retries.reset())
      } catch (error) {
        await this.#recover(error, retries)
      }
    }
  }

  /** Waits until it is time to try again, or gives up. Then what is done is saved for another run, if that can be. */
  async #recover(error: unknown, retries: Retries): Promise<void> {
    try {
      await retries.after(error)
    } catch (final) {
      // Where nobody answers there is nothing to save to, and what another run took over is not this one's to save.
      const futile = final instanceof SyncError && ['E_RETRY_EXHAUSTED', 'E_LEASE_LOST'].includes(final.code)
      if (!futile) await this.#progress.save().catch(() => undefined)
      throw final
    }
    if (!this.#captured) this.#forget()
  }

  async #attempt(tables: readonly Table[], progressed: () => void): Promise<Position> {
    const snapshot = await this.#open(tables)
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

  async #open(tables: readonly Table[]): Promise<Snapshot> {
    const { signal, settings, emit } = this.#run
    const options = { tables, captured: this.#captured, signal }
    if (this.#start === undefined || !this.#captured) return settings.source.openSnapshot(options)
    try {
      return await settings.source.openSnapshot({ ...options, since: this.#start })
    } catch (error) {
      if (!isOutdated(error)) throw error
      const message = `The full sync cannot go on where it was, so it begins again: ${error.message}`
      emit('warning', { code: 'full_sync_restarted', message })
      this.#forget()
      return settings.source.openSnapshot(options)
    }
  }

  async #copy(snapshot: Snapshot, tables: readonly Table[], progressed: () => void): Promise<Position> {
    const cuts: CutTable[] = []
    for (const table of biggestFirst(tables)) {
      const chunks = await snapshot.chunks(table, { signal: this.#run.signal })
      cuts.push({ table, chunks, shape: shapeOf(table, this.#run.settings) })
    }
    const start = await this.#begin(snapshot, cuts)
    const copies: TableCopy[] = []
    for (const cut of cuts) copies.push(await this.#replace(snapshot, cut))
    await this.#readAll(snapshot, copies, progressed)
    this.#progress.end()
    return start
  }

  /** Makes durable, before anything is written, where changes will be replayed from and what is believed to be copied. */
  async #begin({ position }: Snapshot, cuts: readonly CutTable[]): Promise<Position> {
    const { source } = this.#run.settings
    const before = this.#start
    const start = before !== undefined && source.compare(before, position) !== 0 ? before : position
    if (this.#captured) {
      if (before === undefined) await this.#run.save('full_sync_start', start, start)
      else await this.#goOn(start, cuts)
      this.#progress.begin(start)
    }
    this.#start = start
    return start
  }

  async #goOn(start: Position, cuts: readonly CutTable[]): Promise<void> {
    const { emit, settings } = this.#run
    // Later tables are filled by this run itself.
    const isEmptied = (table: Table) => this.#resumes && settings.sink.isEmpty?.(table) === true
    for (const { label } of this.#copied.keep(cuts, isEmptied)) {
      const message = `${label} is copied from the start again: it has changed since, or what is made of its rows has`
      emit('warning', { code: 'table_restarted', table: label, message })
    }
    await this.#run.saveProgress(start, this.#copied.entries)
    if (!this.#resumes) return
    this.#resumes = false
    const chunks = cuts.flatMap((cut) => cut.chunks.map((chunk) => this.#copied.has(cut, chunk)))
    const { text } = settings.source.describe(start)
    emit('resumed', { position: start, text, chunks: { done: chunks.filter(Boolean).length, total: chunks.length } })
  }

  /** Barriers come alone (I6), so all of them come first. Also a table without rows replaces what the target has. */
  async #replace(snapshot: Snapshot, cut: CutTable): Promise<TableCopy> {
    const { table, chunks } = cut
    if (!this.#copied.isReplaced(cut)) {
      const batch = replaceOrTruncate(snapshot, table, this.#run.signal)
      await this.#run.write(batch)
      this.#copied.addReplaced(cut)
      this.#run.written('full', sizeOf(batch))
      await this.#progress.advanced()
    }
    const left = new Set(chunks.filter((chunk) => !this.#copied.has(cut, chunk)))
    const copy = { ...cut, left }
    if (left.size === 0) this.#tell(copy)
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
          if (!copy.left.has(chunk)) continue
          this.#tell(copy)
          await this.#rows(snapshot.read(chunk, { limits: settings.limits, signal: abort }), abort)
          copy.left.delete(chunk)
          this.#copied.add(copy, chunk)
          progressed()
          this.#tell(copy)
          await this.#progress.advanced()
        }
      } catch (error) {
        failure ??= { error }
        stop.abort()
      }
    }
    await Promise.all(Array.from({ length: readersOf(settings) }, read))
    if (failure !== undefined) throw failure.error
  }

  #rows(batches: AsyncIterable<Batch>, signal: AbortSignal): Promise<void> {
    const { settings } = this.#run
    const { inFlight, transformConcurrency } = settings
    return drain(batches, {
      inFlight: Math.max(1, Math.floor(inFlight / readersOf(settings))),
      transform: (batch) => this.#run.transform(batch),
      transformsMax: transformConcurrency,
      write: (batch) => this.#run.write(batch),
      written: (batch) => this.#run.written('full', sizeOf(batch)),
      signal,
    })
  }

  #tell({ table, chunks, left }: TableCopy): void {
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
    this.#copied.clear()
    this.#start = undefined
    this.#resumes = false
    this.#run.tables.clear()
  }
}

/** One table on its way. */
interface TableCopy extends CutTable {
  /** The chunks that are not yet durable. */
  readonly left: Set<Chunk>
}

/** Each has a write open now and then, of which there may be only so many. */
function readersOf({ concurrency, inFlight }: EngineSettings): number {
  return Math.min(concurrency, inFlight)
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
