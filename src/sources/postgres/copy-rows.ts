/** Rows as COPY sends them. */
import type { Wire } from './codecs/codec.js'

/**
 * Whole rows in PostgreSQL's binary COPY format, and where each of their cells begins. Nothing is decoded, and nothing is
 * allocated to look at a cell.
 */
export class CopyRows implements Wire {
  readonly bytes: Buffer
  readonly view: DataView
  readonly rowCount: number
  readonly columnCount: number
  /** Where the cells begin, row by row; -1 for NULL. */
  readonly #starts: Int32Array

  constructor(bytes: Uint8Array, starts: Int32Array, rowCount: number, columnCount: number) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#starts = starts
    this.rowCount = rowCount
    this.columnCount = columnCount
  }

  /** The size of the rows. */
  get byteCount(): number {
    return this.bytes.byteLength
  }

  /** Where the cell's value begins in `bytes`; -1: it is NULL. */
  start(row: number, column: number): number {
    const start = column < this.columnCount ? this.#starts[row * this.columnCount + column] : undefined
    if (start === undefined || row >= this.rowCount) throw new RangeError('There is no such cell')
    return start
  }

  /** How many bytes the cell's value has; -1: it is NULL. */
  length(row: number, column: number): number {
    const start = this.start(row, column)
    return start < 0 ? -1 : this.view.getInt32(start - 4)
  }

  /** Where the value that begins at `start` ends: its length stands before it. */
  end(start: number): number {
    return start + this.view.getInt32(start - 4)
  }
}
