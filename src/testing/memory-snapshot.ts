/** A read of the tables of a memory source. */
import type { Key, RowBatch } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Table } from '../core/schema.js'
import type { Abortable, Chunk, ReadOptions, Snapshot } from '../core/source.js'
import { batchesOf } from './memory-delta.js'
import { identifyKey, StoredRows } from './stored-rows.js'

interface MemorySnapshotOptions {
  readonly chunks: number
  readonly absent: boolean
}

/** A chunk is the rows whose key falls into it by a hash, so that chunks are the same between runs. */
export class MemorySnapshot implements Snapshot {
  readonly position: Position
  readonly absent?: Snapshot['absent']
  readonly #tables: ReadonlyMap<string, StoredRows>
  readonly #chunks: number
  #closed = false

  constructor(position: Position, tables: ReadonlyMap<string, StoredRows>, options: MemorySnapshotOptions) {
    this.position = position
    this.#tables = tables
    this.#chunks = options.chunks
    if (options.absent) this.absent = (table, keys, abortable) => this.#absent(table, keys, abortable)
  }

  /** None for an empty table. */
  async chunks(table: Table, options: Abortable): Promise<readonly Chunk[]> {
    if (this.#stored(table, options).size === 0) return []
    return Array.from({ length: this.#chunks }, (_, index) => ({ id: `${table.label}/${index}`, table }))
  }

  async *read({ id, table }: Chunk, { limits, signal }: ReadOptions): AsyncGenerator<RowBatch> {
    const rows = this.#stored(table, { signal })
    const selected = new StoredRows(table)
    for (const row of rows.list()) {
      if (`${table.label}/${hash(identifyKey(rows.keyOf(row))) % this.#chunks}` === id) selected.put(row)
    }
    for (const batch of batchesOf('upsert', table, selected, limits)) {
      signal?.throwIfAborted()
      yield batch
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
  }

  async #absent(table: Table, keys: readonly Key[], options: Abortable): Promise<readonly boolean[]> {
    const rows = this.#stored(table, options)
    return keys.map((key) => !rows.has(key))
  }

  #stored({ label }: Table, { signal }: Abortable): StoredRows {
    signal?.throwIfAborted()
    const rows = this.#tables.get(label)
    if (this.#closed || rows === undefined) throw new TypeError(`The snapshot is closed or lacks the table ${label}`)
    return rows
  }
}

/** FNV-1a over UTF-16 units: http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(text: string): number {
  let state = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193)
  }
  return state >>> 0
}
