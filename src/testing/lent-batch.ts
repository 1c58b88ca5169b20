/** Batches that notice how a sink treats what it was lent (I5). */
import {
  type Batch,
  type Key,
  type ReplaceBatch,
  type Row,
  type RowBatch,
  type RowCursor,
  upserts,
} from '../core/batch.js'
import type { Table } from '../core/schema.js'
import { StoredRows } from './stored-rows.js'
import { InvariantError } from './suite.js'

/** Rows that cannot be changed, and cannot be read after {@link LentBatch.takeBack}. */
export class LentBatch implements RowBatch {
  readonly op: 'upsert' | 'delete'
  readonly table: Table
  readonly columns: RowBatch['columns']
  readonly length: number
  readonly #rows: readonly Row[]
  #ended = false
  #misused = false

  constructor(batch: RowBatch) {
    this.op = batch.op
    this.table = batch.table
    this.columns = batch.columns
    this.#rows = [...batch.rows()].map((row) => Object.freeze({ ...row }))
    this.length = this.#rows.length
  }

  /** Whether somebody read it after it had been taken back. */
  get misused(): boolean {
    return this.#misused
  }

  takeBack(): void {
    this.#ended = true
  }

  *rows(): Generator<Row> {
    for (const row of this.#rows) {
      this.#assertLent()
      yield row
    }
  }

  cursor(): RowCursor {
    this.#assertLent()
    const cursor = upserts(this.table, this.#rows, this.columns).cursor()
    const lent = () => this.#assertLent()
    return {
      next() {
        lent()
        return cursor.next()
      },
      get(column) {
        lent()
        return cursor.get(column)
      },
      write(column, writer) {
        lent()
        cursor.write(column, writer)
      },
    }
  }

  #assertLent(): void {
    if (!this.#ended) return
    this.#misused = true
    throw new InvariantError('I5', 'a batch was read after its write had settled')
  }
}

/** A replace batch over these rows, and what the sink asked it. */
export function replaceWith(table: Table, rows: readonly Row[]): ReplaceBatch & { readonly asked: readonly number[] } {
  const stored = new StoredRows(table)
  for (const row of rows) stored.put(row)
  const asked: number[] = []
  return {
    op: 'replace',
    table,
    asked,
    absent: async (keys: readonly Key[]) => {
      asked.push(keys.length)
      return keys.map((key) => !stored.has(key))
    },
  }
}

/** Batches as a delta gives them: one by one, with turns of the event loop between them. */
export async function* trickle(batches: readonly Batch[]): AsyncGenerator<Batch> {
  for (const batch of batches) {
    await new Promise((resolve) => setImmediate(resolve))
    yield batch
  }
}
