/** Cuts a batch into pieces of CBOR that fit into one transaction each. */
import type { RowBatch, RowCursor } from '../../core/batch.js'
import { SyncError } from '../../core/errors.js'
import { cbor } from './cbor-buffer.js'
import type { CborWriter } from './cbor-writer.js'
import { type PlannedCell, type RowLayout, rowLayout, type TablePlan } from './table-plan.js'

/** Bounds of one piece. A row larger than `bytesMax` travels alone; one larger than `rowBytesMax` is refused. */
export interface PieceLimits {
  readonly rowsMax: number
  readonly bytesMax: number
  readonly rowBytesMax: number
  /** What the refusal tells to do. */
  readonly rowHint: string
}

/** An array of records, or of record ids for a delete, or of marks with those ids. The bytes are borrowed until the next piece is asked for. */
export interface Piece {
  readonly rowCount: number
  readonly bytes: Uint8Array
}

/** @param id The record id in CBOR. */
export type RefusedRow = (id: Uint8Array, error: SyncError) => void

/** How many bytes of a piece come before its first row. */
export const pieceHeadSize = 5
/** Encoded rows as an array. */
export function joinItems(items: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(pieceHeadSize)
  head[0] = cbor.array | 26
  new DataView(head.buffer).setUint32(1, items.length)
  return Buffer.concat([head, ...items])
}

/** A larger buffer is given back after the batch that needed it. */
const keptBytesMax = 4 * 1024 * 1024

export class RowEncoder {
  readonly #writer: CborWriter
  readonly #plan: TablePlan
  readonly #layout: RowLayout
  readonly #cursor: RowCursor
  readonly #limits: PieceLimits
  readonly #deleting: boolean
  readonly #refused: RefusedRow | undefined
  /** The row that did not fit into the last piece. */
  #carriedStart = 0
  #carriedEnd = 0

  /** @param refused Called for a row that cannot be written, which is then left out. Without it the error is thrown. */
  constructor(writer: CborWriter, plan: TablePlan, batch: RowBatch, limits: PieceLimits, refused?: RefusedRow) {
    this.#writer = writer
    this.#plan = plan
    this.#layout = rowLayout(plan, batch)
    this.#cursor = batch.cursor()
    this.#limits = limits
    this.#deleting = batch.op === 'delete'
    this.#refused = refused
    writer.reset(keptBytesMax)
  }

  /** The next piece, or undefined after the last one. @param bytesMax Overrides that of the limits. */
  next(bytesMax = this.#limits.bytesMax): Piece | undefined {
    const writer = this.#writer
    const { rowsMax } = this.#limits
    writer.position = 0
    writer.putArrayPlaceholder()
    let rowCount = 0
    if (this.#carriedEnd > 0) {
      writer.move(this.#carriedStart, this.#carriedEnd, pieceHeadSize)
      this.#carriedEnd = 0
      rowCount = 1
    }
    while (rowCount < rowsMax && (rowCount === 0 || writer.position <= bytesMax) && this.#cursor.next()) {
      const start = writer.position
      if (!this.#tryRow(start)) continue
      if (rowCount > 0 && writer.position > bytesMax) {
        this.#carriedStart = start
        this.#carriedEnd = writer.position
        return this.#piece(rowCount, start)
      }
      rowCount += 1
    }
    return rowCount === 0 ? undefined : this.#piece(rowCount, writer.position)
  }

  #piece(rowCount: number, end: number): Piece {
    this.#writer.setArrayLength(0, rowCount)
    return { rowCount, bytes: this.#writer.slice(0, end) }
  }

  #tryRow(start: number): boolean {
    try {
      this.#putRow()
      this.#checkSize(this.#writer.position - start)
      return true
    } catch (error) {
      if (this.#refused === undefined || !(error instanceof SyncError)) throw error
      const writer = this.#writer
      // Gives up what was begun, and keeps the rows before.
      writer.reset(Number.POSITIVE_INFINITY)
      writer.position = start
      this.#putRecordId()
      this.#refused(writer.slice(start, writer.position).slice(), error)
      writer.position = start
      return false
    }
  }

  #putRow(): void {
    const writer = this.#writer
    const { recordPrefix, fields, open } = this.#layout
    if (this.#deleting) {
      writer.putRaw(this.#plan.removal.prefix)
      this.#putRecordId()
      return
    }
    writer.putRaw(recordPrefix)
    this.#putRecordId()
    const cursor = this.#cursor
    for (let field = 0; field < fields.length; field += 1) {
      const { name, index, site } = fields[field] as PlannedCell
      if (open && cursor.has?.(index) === false) continue
      const start = writer.position
      writer.putRaw(name)
      writer.site = site
      cursor.write(index, writer)
      if (open && site.forms.nulls === 'none' && this.#isNull(start + name.length)) writer.position = start
    }
    if (open) writer.putByte(cbor.end)
  }

  #putRecordId(): void {
    const writer = this.#writer
    const { idPrefix, bare } = this.#plan.shape
    writer.putRaw(idPrefix)
    writer.keyed = true
    for (const { index, site, json } of this.#layout.key) {
      const start = writer.position
      writer.site = site
      this.#cursor.write(index, writer)
      if (this.#isNull(start) && !json) throw site.refuse('NULL in a key')
      if (bare && !isBareKey(writer.byteAt(start))) throw site.refuse('a value that cannot be a record id')
    }
    writer.keyed = false
  }

  #isNull(start: number): boolean {
    return this.#writer.position === start + 1 && this.#writer.byteAt(start) === cbor.null
  }

  #checkSize(byteCount: number): void {
    const { rowBytesMax, rowHint } = this.#limits
    if (byteCount <= rowBytesMax) return
    const { label } = this.#plan.table
    // To measure the columns overwrites the rows before.
    const { column, size } = this.#refused === undefined ? this.#largestColumn() : { column: undefined, size: 0 }
    const part = column === undefined ? '' : `: column ${column} alone takes ${size}`
    const message = `A row of ${label} takes ${byteCount} bytes, more than ${rowBytesMax}${part}`
    throw new SyncError('E_ROW_TOO_LARGE', message, {
      table: label,
      ...(column !== undefined && { column }),
      hint: rowHint,
    })
  }

  /** Writes the row's cells once more, one over the other: they go nowhere. */
  #largestColumn(): { readonly column?: string; readonly size: number } {
    const writer = this.#writer
    let largest: { column?: string; size: number } = { size: 0 }
    for (const { index, site } of this.#deleting ? this.#layout.key : this.#layout.fields) {
      if (this.#cursor.has?.(index) === false) continue
      writer.position = 0
      writer.site = site
      this.#cursor.write(index, writer)
      if (writer.position > largest.size) largest = { column: site.column, size: writer.position }
    }
    return largest
  }
}

/** Integers, text and UUIDs; anything else would make the whole transaction unreadable. */
function isBareKey(initialByte: number | undefined): boolean {
  if (initialByte === undefined) return false
  const major = initialByte >> 5
  return major === 0 || major === 1 || major === 3 || initialByte === 0xd8
}
