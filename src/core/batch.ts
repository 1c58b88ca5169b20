/** Rows of one table that need one operation. */
import type { Column, Table } from './schema.js'
import type { Value, ValueWriter } from './value.js'
import { writeValue } from './write-value.js'

/** A row by column name. */
export type Row = { readonly [column: string]: Value }

/** The values of a table's key columns, in key order. */
export type Key = readonly Value[]

/**
 * Rows that must exist with this content (`upsert`) or must not exist (`delete`). Within one delta a key occurs at most
 * once (I3). A batch is borrowed: it is valid until the write that got it settles, and may be read more than once (I5).
 */
export interface RowBatch {
  readonly op: 'upsert' | 'delete'
  readonly table: Table
  /**
   * Which columns the rows carry, in order: the table's, or only its key columns when `op` is `delete`. After a transform
   * they may be fewer, and columns of its own may follow; those of the key are always there.
   */
  readonly columns: readonly Column[]
  readonly length: number
  /** Size of the rows in the source's wire form, roughly. `undefined`: unknown. */
  readonly bytes?: number
  /** The rows as objects, decoded while iterating. May be called again. */
  rows(): Iterable<Row>
  /** The same rows without decoding; a fresh cursor at each call. */
  cursor(): RowCursor
}

/** Walks over the rows of a batch, from before the first one. */
export interface RowCursor {
  /** Moves to the next row. False: there is none. */
  next(): boolean
  /** False: the current row has no such field, and none is to be written. Absent where every row has every column. */
  has?(column: number): boolean
  /** The cell in this column of the current row. */
  get(column: number): Value
  /** Hands that cell to a writer, in the cheapest form there is. */
  write(column: number, writer: ValueWriter): void
}

/** Every row of the table must disappear; nothing else is said about its content. A barrier (I6). */
export interface TruncateBatch {
  readonly op: 'truncate'
  readonly table: Table
}

/**
 * The whole content of the table follows as upserts, in this delta. A barrier (I6): the sink removes the rows whose key
 * `absent` reports, and only those, so that current rows never disappear on the way. A sink that cannot list its own
 * keys removes all rows instead.
 */
export interface ReplaceBatch {
  readonly op: 'replace'
  readonly table: Table
  /** Which of these keys (at most 1,000) the source does not have. A key of a wrong shape or type is absent. */
  absent(keys: readonly Key[]): Promise<readonly boolean[]>
}

/** Rows of one table that need one operation, or a barrier between such. */
export type Batch = RowBatch | TruncateBatch | ReplaceBatch

/**
 * A batch of rows that must exist with this content. A column of the table that a row lacks is null; where other columns
 * are given, a row is written with those that it has.
 */
export function upserts(table: Table, rows: readonly Row[], columns: readonly Column[] = table.columns): RowBatch {
  return new ObjectBatch('upsert', table, columns, rows)
}

/** A batch of rows that must not exist. Each row has at least the table's key columns. */
export function deletes(table: Table, rows: readonly Row[]): RowBatch {
  return new ObjectBatch('delete', table, table.key, rows)
}

/** Every row of the table must disappear. */
export function truncate(table: Table): TruncateBatch {
  return { op: 'truncate', table }
}

/** True for the operations that must not overlap with any other write (I6). */
export function isBarrier(batch: Batch): batch is TruncateBatch | ReplaceBatch {
  return batch.op === 'truncate' || batch.op === 'replace'
}

class ObjectBatch implements RowBatch {
  readonly op: 'upsert' | 'delete'
  readonly table: Table
  readonly columns: readonly Column[]
  readonly length: number
  readonly #rows: readonly Row[]

  constructor(op: 'upsert' | 'delete', table: Table, columns: readonly Column[], rows: readonly Row[]) {
    this.op = op
    this.table = table
    this.columns = columns
    this.length = rows.length
    this.#rows = rows
  }

  rows(): Iterable<Row> {
    return this.#rows
  }

  cursor(): RowCursor {
    return new ObjectCursor(this.columns, this.#rows, this.columns !== this.table.columns && this.op === 'upsert')
  }
}

class ObjectCursor implements RowCursor {
  readonly #columns: readonly Column[]
  readonly #rows: readonly Row[]
  readonly #sparse: boolean
  #index = -1

  constructor(columns: readonly Column[], rows: readonly Row[], sparse: boolean) {
    this.#columns = columns
    this.#rows = rows
    this.#sparse = sparse
  }

  next(): boolean {
    this.#index += 1
    return this.#index < this.#rows.length
  }

  get(column: number): Value {
    const row = this.#rows[this.#index]
    const name = this.#columns[column]?.name
    if (row === undefined || name === undefined)
      throw new RangeError('The cursor is not on a row, or has no such column')
    return Object.hasOwn(row, name) ? (row[name] ?? null) : null
  }

  has(column: number): boolean {
    const row = this.#rows[this.#index]
    const name = this.#columns[column]?.name
    return !this.#sparse || (row !== undefined && name !== undefined && Object.hasOwn(row, name))
  }

  write(column: number, writer: ValueWriter): void {
    const type = this.#columns[column]?.type
    if (type === undefined) throw new RangeError('The cursor has no such column')
    writeValue(this.get(column), type, writer)
  }
}
