/** The changes between two positions of a memory source. */
import { type Batch, deletes, type Row, type RowBatch, truncate, upserts } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Delta } from '../core/delta.js'
import type { Table } from '../core/schema.js'
import type { BatchLimits, ReadOptions } from '../core/source.js'
import { identifyKey, StoredRows } from './stored-rows.js'

/** What became visible at once. */
export interface Commit {
  readonly changes: readonly CommittedChange[]
  readonly committedAtMs: number
}

interface CommittedChange {
  readonly op: 'upsert' | 'delete' | 'truncate' | 'replace'
  readonly table: Table
  readonly rows: readonly Row[]
}

interface MemoryDeltaOptions extends ReadOptions {
  readonly commits: readonly Commit[]
  readonly position: Position
  readonly drained: boolean
  /** Labels of the tables asked for. */
  readonly tables: ReadonlySet<string>
}

/** Brings commits down to the last state of each key. */
export class MemoryDelta implements Delta {
  readonly batches: AsyncIterable<Batch>
  readonly #options: MemoryDeltaOptions
  #ended = false

  constructor(options: MemoryDeltaOptions) {
    this.#options = options
    this.batches = this.#read()
  }

  /** Whether the batches were read to their end. */
  get ended(): boolean {
    return this.#ended
  }

  get position(): Position {
    return this.#atEnd(this.#options.position)
  }

  get drained(): boolean {
    return this.#atEnd(this.#options.drained)
  }

  get committedAtMs(): number | undefined {
    return this.#atEnd(this.#options.commits.at(-1)?.committedAtMs)
  }

  #atEnd<T>(value: T): T {
    if (!this.#ended) throw new TypeError('A delta tells where it leads only after its batches have ended')
    return value
  }

  async *#read(): AsyncGenerator<Batch> {
    const { commits, tables, limits, signal } = this.#options
    const nets = [...netsOf(commits).values()].filter(({ table }) => tables.has(table.label))
    for (const net of nets) {
      if (net.barrier === undefined) continue
      signal?.throwIfAborted()
      yield net.barrier === 'truncate' ? truncate(net.table) : replaceOf(net)
    }
    for (const { table, kept, gone } of nets) {
      for (const batch of [...batchesOf('delete', table, gone, limits), ...batchesOf('upsert', table, kept, limits)]) {
        signal?.throwIfAborted()
        yield batch
      }
    }
    this.#ended = true
  }
}

/** What the commits come to for one table. */
interface Net {
  readonly table: Table
  readonly kept: StoredRows
  readonly gone: StoredRows
  barrier: 'truncate' | 'replace' | undefined
}

function netsOf(commits: readonly Commit[]): ReadonlyMap<string, Net> {
  const nets = new Map<string, Net>()
  for (const { op, table, rows } of commits.flatMap(({ changes }) => changes)) {
    const fresh: Net = { table, kept: new StoredRows(table), gone: new StoredRows(table), barrier: undefined }
    const net = nets.get(table.label) ?? fresh
    nets.set(table.label, net)
    if (op === 'truncate' || op === 'replace') {
      net.barrier = op
      net.kept.clear()
      net.gone.clear()
    }
    const [to, from] = op === 'delete' ? [net.gone, net.kept] : [net.kept, net.gone]
    for (const row of rows) {
      from.remove(row)
      to.put(row)
    }
  }
  return nets
}

function replaceOf({ table, kept }: Net): Batch {
  return { op: 'replace', table, absent: async (keys) => keys.map((key) => !kept.has(key)) }
}

/** Cuts rows into batches within the limits. A single row that is too large travels alone. */
export function* batchesOf(
  op: 'upsert' | 'delete',
  table: Table,
  rows: StoredRows,
  { rowsMax, bytesMax }: BatchLimits,
): Generator<RowBatch> {
  const batchOf = op === 'upsert' ? upserts : deletes
  let batch: Row[] = []
  let bytes = 0
  for (const row of rows.list()) {
    const size = identifyKey(Object.values(row)).length
    if (batch.length > 0 && (batch.length >= rowsMax || bytes + size > bytesMax)) {
      yield batchOf(table, batch)
      batch = []
      bytes = 0
    }
    batch.push(row)
    bytes += size
  }
  if (batch.length > 0) yield batchOf(table, batch)
}
