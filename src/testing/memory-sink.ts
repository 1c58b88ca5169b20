/** A sink whose database is this object. */
import type { Alteration } from '../core/alteration.js'
import { type Batch, isBarrier, type ReplaceBatch, type Row, type RowBatch } from '../core/batch.js'
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'
import type { Delta } from '../core/delta.js'
import { SyncError } from '../core/errors.js'
import type { Table } from '../core/schema.js'
import type { PrepareOptions, Sink } from '../core/sink.js'
import type { Abortable, BatchLimits, RunContext } from '../core/source.js'
import { pick, StoredRows } from './stored-rows.js'

/** What a {@link MemorySink} can be made to do otherwise. */
export interface MemorySinkOptions {
  /** Whether the sink applies a delta and its checkpoint together (I10). @defaultValue false */
  readonly transactional?: boolean
  /** Which way it reads batches. @defaultValue `rows` */
  readonly reads?: 'rows' | 'cursor'
  readonly inFlight?: number
  readonly limits?: Partial<BatchLimits>
}

/** One write that took effect. */
export interface MemoryOperation {
  readonly op: Batch['op'] | 'alter'
  readonly table: string
  readonly rows: number
}

/** How many rows of a table are asked about at once when it is replaced. */
const absentMax = 1_000

/**
 * A complete sink over tables in memory, for tests of engines and sources. It is its own checkpoint store: pass it as
 * `checkpoints` too, or, if it is transactional, nothing.
 *
 * It checks what it may rely on, and rejects a write with a `TypeError` when an engine or a source breaks that: the
 * order of calls, barriers that come alone (I6), open writes with disjoint keys (I3).
 */
export class MemorySink implements Sink, CheckpointStore {
  readonly name = 'memory'
  readonly inFlight: number | undefined
  readonly limits: Partial<BatchLimits> | undefined
  readonly commit?: NonNullable<Sink['commit']>
  readonly #reads: 'rows' | 'cursor'
  readonly #operations: MemoryOperation[] = []
  readonly #checkpoints = new Map<string, Checkpoint>()
  /** The keys of each open write; undefined for a barrier. */
  readonly #open = new Map<Batch, ReadonlySet<string> | undefined>()
  readonly #prepared = new Set<string>()
  readonly #owned = new Set<string>()
  #tables: ReadonlyMap<string, StoredRows> = new Map()
  #openMax = 0
  #context: RunContext | undefined

  constructor(options: MemorySinkOptions = {}) {
    this.#reads = options.reads ?? 'rows'
    this.inFlight = options.inFlight
    this.limits = options.limits
    if (options.transactional) {
      this.commit = (delta, checkpoint, abortable) => this.#commit(delta, checkpoint, abortable)
    }
  }

  /** Whether `open` was called, and not `close` after it. */
  get opened(): boolean {
    return this.#context !== undefined
  }

  /** Every write that took effect, in that order. */
  get operations(): readonly MemoryOperation[] {
    return this.#operations
  }

  /** How many writes were open at once at most. */
  get openMax(): number {
    return this.#openMax
  }

  /** The rows that a table has now, in an order that depends on their keys alone. */
  rows(table: string): readonly Row[] {
    return this.#tables.get(table)?.list() ?? []
  }

  /** Puts rows there that no pipeline wrote. */
  plant(table: Table, ...rows: readonly Row[]): void {
    const tables = this.#copyTables([table])
    for (const row of rows) tables.get(table.label)?.put(row)
    this.#tables = tables
  }

  async open(context: RunContext): Promise<void> {
    context.signal?.throwIfAborted()
    this.#prepared.clear()
    this.#context = context
  }

  async check(tables: readonly Table[], { phase, signal }: PrepareOptions): Promise<void> {
    this.#assertOpened(signal)
    if (phase === 'incremental') return
    for (const { label } of tables) {
      if (this.rows(label).length === 0 || this.#owned.has(label)) continue
      throw new SyncError('E_TARGET_NOT_EMPTY', `The table ${label} holds rows of somebody else`, { table: label })
    }
  }

  async prepare(tables: readonly Table[], options: PrepareOptions): Promise<void> {
    await this.check(tables, options)
    this.#tables = this.#copyTables(tables)
    for (const { label } of tables) {
      this.#owned.add(label)
      this.#prepared.add(label)
    }
  }

  async write(batch: Batch, { signal }: Abortable): Promise<void> {
    this.#assertOpened(signal)
    this.#assertAllowed(batch)
    this.#open.set(batch, isBarrier(batch) ? undefined : keysOf(batch))
    this.#openMax = Math.max(this.#openMax, this.#open.size)
    try {
      await this.#apply(batch, this.#tables, this.#operations)
    } finally {
      this.#open.delete(batch)
    }
  }

  async alter({ table, added, dropped }: Alteration, { signal }: Abortable): Promise<void> {
    this.#assertOpened(signal)
    if (this.#open.size > 0) throw new TypeError('An alteration overlaps a write (I6)')
    const rows = this.rows(table.label)
    const gone = new Set(dropped.map(({ name }) => name))
    const nulls = Object.fromEntries(added.map(({ name }) => [name, null]))
    const stored = this.#tables.get(table.label)
    if (stored === undefined) throw new TypeError(`The table ${table.label} was not prepared`)
    stored.describe(table)
    for (const row of rows) {
      stored.put({ ...nulls, ...Object.fromEntries(Object.entries(row).filter(([name]) => !gone.has(name))) })
    }
    this.#operations.push({ op: 'alter', table: table.label, rows: rows.length })
  }

  async load(syncId: string): Promise<Checkpoint | undefined> {
    return this.#checkpoints.get(syncId)
  }

  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    this.#checkpoints.set(syncId, checkpoint)
  }

  async close(): Promise<void> {
    this.#context = undefined
  }

  async #commit(delta: Delta, checkpoint: () => Checkpoint, { signal }: Abortable): Promise<void> {
    const { syncId } = this.#assertOpened(signal)
    const tables = this.#copyTables([])
    const operations: MemoryOperation[] = []
    for await (const batch of delta.batches) {
      this.#assertAllowed(batch)
      await this.#apply(batch, tables, operations)
    }
    signal?.throwIfAborted()
    this.#checkpoints.set(syncId, checkpoint())
    this.#tables = tables
    this.#operations.push(...operations)
  }

  /** Takes effect at once at its end, as a statement does. */
  async #apply(batch: Batch, tables: ReadonlyMap<string, StoredRows>, operations: MemoryOperation[]): Promise<void> {
    const stored = tables.get(batch.table.label)
    if (stored === undefined) throw new TypeError(`The table ${batch.table.label} was not prepared`)
    if (batch.op === 'replace') {
      await removeAbsent(batch, stored)
      stored.describe(batch.table)
    } else if (batch.op === 'truncate') {
      await Promise.resolve()
      stored.clear()
    } else {
      await Promise.resolve()
      const rows = this.#reads === 'rows' ? batch.rows() : rowsOfCursor(batch)
      for (const row of rows) {
        if (batch.op === 'delete') stored.remove(row)
        else stored.put(isWhole(batch) ? pick(row, batch.columns) : row)
      }
    }
    operations.push({ op: batch.op, table: batch.table.label, rows: 'length' in batch ? batch.length : 0 })
  }

  #assertOpened(signal: AbortSignal | undefined): RunContext {
    signal?.throwIfAborted()
    if (this.#context === undefined) throw new TypeError('The sink is not open')
    return this.#context
  }

  #assertAllowed(batch: Batch): void {
    if (!this.#prepared.has(batch.table.label)) throw new TypeError(`${batch.table.label} was not prepared in this run`)
    const keys = isBarrier(batch) ? undefined : keysOf(batch)
    for (const [other, otherKeys] of this.#open) {
      if (keys === undefined || otherKeys === undefined) throw new TypeError('A barrier overlaps another write (I6)')
      if (other.table.label === batch.table.label && [...keys].some((key) => otherKeys.has(key))) {
        throw new TypeError('Two open writes share a key (I3)')
      }
    }
  }

  #copyTables(added: readonly Table[]): ReadonlyMap<string, StoredRows> {
    const tables = new Map([...this.#tables].map(([label, rows]) => [label, rows.copy()]))
    for (const table of added) tables.set(table.label, tables.get(table.label)?.copy(table) ?? new StoredRows(table))
    return tables
  }
}

/** Every row has every column of the table; after a transform it has its own. */
function isWhole(batch: RowBatch): boolean {
  return batch.columns === batch.table.columns
}

function keysOf(batch: RowBatch): ReadonlySet<string> {
  const rows = new StoredRows(batch.table)
  return new Set([...batch.rows()].map((row) => rows.identify(row)))
}

function* rowsOfCursor(batch: RowBatch): Generator<Row> {
  const cursor = batch.cursor()
  while (cursor.next()) {
    const present = batch.columns.map((_, column) => cursor.has?.(column) !== false)
    yield Object.fromEntries(
      batch.columns.flatMap(({ name }, column) => (present[column] ? [[name, cursor.get(column)]] : [])),
    )
  }
}

async function removeAbsent(batch: ReplaceBatch, stored: StoredRows): Promise<void> {
  const rows = stored.list()
  for (let start = 0; start < rows.length; start += absentMax) {
    const page = rows.slice(start, start + absentMax)
    const absent = await batch.absent(page.map((row) => stored.keyOf(row)))
    for (const [index, row] of page.entries()) if (absent[index] === true) stored.remove(row)
  }
}
