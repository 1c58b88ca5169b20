/** A batch of rows that are still in PostgreSQL's format. */
import { bareObject } from '../../core/bare-object.js'
import type { Row, RowBatch, RowCursor } from '../../core/batch.js'
import type { Value, ValueWriter } from '../../core/value.js'
import type { CopyRows } from './copy-rows.js'
import type { PostgresColumn, PostgresTable } from './postgres-table.js'

export interface CopyBatchOptions {
  /**
   * Which column of the COPY is the first of `columns`, the others following it.
   * @defaultValue 0
   */
  readonly firstColumn?: number
  /** The rows that belong to the batch, by index. Default: all. */
  readonly rows?: Int32Array
}

/** The select list that the columns' codecs understand. */
export function selectList(columns: readonly PostgresColumn[]): string {
  return columns.map(({ select }) => select).join(', ')
}

/** Rows of one COPY chunk. Each iteration and each cursor decodes afresh. */
export class CopyBatch implements RowBatch {
  readonly op: 'upsert' | 'delete'
  readonly table: PostgresTable
  readonly columns: readonly PostgresColumn[]
  readonly length: number
  readonly bytes: number
  readonly #rows: CopyRows
  readonly #firstColumn: number
  readonly #indexes: Int32Array | undefined

  constructor(
    op: 'upsert' | 'delete',
    table: PostgresTable,
    columns: readonly PostgresColumn[],
    rows: CopyRows,
    options: CopyBatchOptions = {},
  ) {
    this.op = op
    this.table = table
    this.columns = columns
    this.length = options.rows?.length ?? rows.rowCount
    this.bytes = Math.round((rows.byteCount * this.length) / Math.max(rows.rowCount, 1))
    this.#rows = rows
    this.#firstColumn = options.firstColumn ?? 0
    this.#indexes = options.rows
  }

  *rows(): Generator<Row, void, undefined> {
    const cursor = this.cursor()
    while (cursor.next()) {
      const row = bareObject()
      for (let column = 0; column < this.columns.length; column += 1) {
        const name = this.columns[column]?.name
        if (name !== undefined) row[name] = cursor.get(column)
      }
      yield row
    }
  }

  cursor(): RowCursor {
    return new CopyCursor(this.columns, this.#rows, this.#firstColumn, this.#indexes)
  }
}

class CopyCursor implements RowCursor {
  readonly #columns: readonly PostgresColumn[]
  readonly #rows: CopyRows
  readonly #firstColumn: number
  readonly #indexes: Int32Array | undefined
  readonly #length: number
  #index = -1
  #row = -1

  constructor(
    columns: readonly PostgresColumn[],
    rows: CopyRows,
    firstColumn: number,
    indexes: Int32Array | undefined,
  ) {
    this.#columns = columns
    this.#rows = rows
    this.#firstColumn = firstColumn
    this.#indexes = indexes
    this.#length = indexes?.length ?? rows.rowCount
  }

  next(): boolean {
    this.#index += 1
    if (this.#index >= this.#length) return false
    this.#row = this.#indexes === undefined ? this.#index : (this.#indexes[this.#index] ?? -1)
    return true
  }

  get(column: number): Value {
    const start = this.#rows.start(this.#row, this.#firstColumn + column)
    return start < 0 ? null : this.#codec(column).decode(this.#rows, start, this.#rows.end(start))
  }

  write(column: number, writer: ValueWriter): void {
    const start = this.#rows.start(this.#row, this.#firstColumn + column)
    if (start < 0) writer.null()
    else this.#codec(column).transcode(this.#rows, start, this.#rows.end(start), writer)
  }

  #codec(column: number): PostgresColumn['codec'] {
    const codec = this.#columns[column]?.codec
    if (codec === undefined) throw new RangeError('The cursor has no such column')
    return codec
  }
}
