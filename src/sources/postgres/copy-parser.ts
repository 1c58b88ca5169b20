/**
 * The binary format of COPY, cut into chunks of whole rows. Format: PostgreSQL manual, COPY, "Binary Format".
 */
import { SyncError } from '../../core/errors.js'
import { CopyRows } from './copy-rows.js'

/** Upper bounds of one chunk. A single row may exceed `bytesMax`: it travels alone. */
export interface ChunkLimits {
  readonly bytesMax: number
  readonly rowsMax: number
  /** A larger row is refused. */
  readonly rowBytesMax?: number
  /** The names of the columns, for the refusal. */
  readonly columnNames?: readonly string[]
}

const signature = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00)
const headerLength = signature.length + 8
/** The upper half of the flags: "reserved for critical format issues; a reader should abort if it finds an unexpected bit". */
const criticalFlags = 0xffff_0000
const capacityMin = 8_192
/** PostgreSQL sends none; larger ones would have to be kept until they end. */
const extensionMax = 65_536

/**
 * Takes the bytes in pieces of any size and gives chunks. It copies what it gets once: pg's own parser reuses its buffers.
 * After an error it must not be used any more.
 */
export class CopyParser {
  readonly #limits: ChunkLimits
  readonly #rowBytesMax: number
  readonly #emit: (rows: CopyRows) => void
  #columnCount: number
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  #starts = new Int32Array(0)
  #rowCount = 0
  #totalCount = 0
  /** How far the bytes have been looked at, and where the row begins in which that is. */
  #position = 0
  #rowStart = 0
  /** The next column of that row; -1: its number of columns comes next. */
  #column = -1
  #headerRead = false
  #complete = false

  /** `columnCount` -1: the first row tells. */
  constructor(columnCount: number, limits: ChunkLimits, emit: (rows: CopyRows) => void) {
    this.#columnCount = columnCount
    this.#limits = limits
    this.#rowBytesMax = limits.rowBytesMax ?? Number.POSITIVE_INFINITY
    this.#emit = emit
  }

  /** Whether the trailer has been read: nothing may follow, and nothing is missing. */
  get complete(): boolean {
    return this.#complete
  }

  /** How many rows there were so far. */
  get rowCount(): number {
    return this.#totalCount
  }

  /** @throws SyncError `E_SOURCE_PROTOCOL`, `E_ROW_TOO_LARGE` */
  push(bytes: Uint8Array, start = 0, end = bytes.byteLength): void {
    if (start === end) return
    if (this.#complete) throw malformed('it goes on after its end')
    this.#append(bytes, start, end)
    if (!this.#headerRead && !this.#readHeader()) return
    while (this.#readRow());
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start
    if (length > this.#bytes.byteLength) {
      const capacity = Math.max(length, Math.min(this.#bytes.byteLength * 2, 2 * this.#limits.bytesMax), capacityMin)
      this.#replaceBytes(Math.max(capacity, length > this.#limits.bytesMax ? Math.ceil(length * 1.25) : 0), 0)
    }
    copyBytes(bytes, start, end, this.#bytes, this.#length)
    this.#length = length
  }

  /** Moves the bytes from this position on into a new buffer. */
  #replaceBytes(capacity: number, from: number): void {
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(capacity).buffer)
    bytes.set(this.#bytes.subarray(from, this.#length))
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
    this.#length -= from
  }

  #readHeader(): boolean {
    const known = Math.min(this.#length, signature.length)
    for (let index = 0; index < known; index += 1) {
      if (this.#bytes[index] !== signature[index]) throw malformed('its signature is wrong')
    }
    if (this.#length < headerLength) return false
    if ((this.#view.getUint32(signature.length) & criticalFlags) !== 0) throw malformed('it has unknown flags')
    const extension = this.#view.getInt32(signature.length + 4)
    if (extension < 0 || extension > extensionMax) throw malformed('its header extension has an impossible length')
    if (this.#length < headerLength + extension) return false
    this.#headerRead = true
    this.#position = headerLength + extension
    this.#rowStart = this.#position
    return true
  }

  /** Reads on in the current row. False: more bytes are needed, or it was the trailer. */
  #readRow(): boolean {
    if (this.#column < 0 && !this.#readColumnCount()) return false
    const view = this.#view
    const length = this.#length
    const columnCount = this.#columnCount
    const starts = this.#starts
    const base = this.#rowCount * columnCount
    let position = this.#position
    let column = this.#column
    while (column < columnCount) {
      if (position + 4 > length) break
      const size = view.getInt32(position)
      if (size < -1) throw malformed('a cell has a negative length')
      const next = position + 4 + (size < 0 ? 0 : size)
      if (next - this.#rowStart > this.#rowBytesMax) throw this.#tooLarge(column)
      if (next > length) break
      starts[base + column] = size < 0 ? -1 : position + 4
      position = next
      column += 1
    }
    this.#position = position
    this.#column = column
    if (column < columnCount) return false
    this.#endRow()
    return true
  }

  /** Names the largest of the row's columns, up to the one that was too much. */
  #tooLarge(last: number): SyncError {
    let position = this.#rowStart + 2
    let largest = { column: 0, size: -1 }
    for (let column = 0; column <= last; column += 1) {
      const size = this.#view.getInt32(position)
      if (size > largest.size) largest = { column, size }
      position += 4 + Math.max(size, 0)
    }
    const column = this.#limits.columnNames?.[largest.column]
    const part = column === undefined ? '' : `: column ${column} alone has ${largest.size}`
    return new SyncError('E_ROW_TOO_LARGE', `A row takes more than ${this.#rowBytesMax} bytes${part}`, {
      ...(column !== undefined && { column }),
      hint: 'Leave the table out, or raise `maxRowBytes`.',
    })
  }

  #readColumnCount(): boolean {
    if (this.#position + 2 > this.#length) return false
    const count = this.#view.getInt16(this.#position)
    if (count === -1) {
      if (this.#position + 2 !== this.#length) throw malformed('it goes on after its end')
      this.#complete = true
      this.#flush(this.#rowStart)
      return false
    }
    if (this.#columnCount < 0) this.#columnCount = Math.max(count, 0)
    if (count !== this.#columnCount) throw malformed(`a row has ${count} columns instead of ${this.#columnCount}`)
    const needed = (this.#rowCount + 1) * count
    if (needed > this.#starts.length) this.#growStarts(needed)
    this.#column = 0
    this.#position += 2
    return true
  }

  #growStarts(needed: number): void {
    const starts = new Int32Array(
      Math.max(needed, Math.min(2 * this.#starts.length, this.#limits.rowsMax * this.#columnCount)),
    )
    starts.set(this.#starts)
    this.#starts = starts
  }

  #endRow(): void {
    this.#totalCount += 1
    if (this.#rowCount > 0 && this.#position > this.#limits.bytesMax) this.#flush(this.#rowStart)
    this.#rowCount += 1
    this.#rowStart = this.#position
    this.#column = -1
    if (this.#rowCount >= this.#limits.rowsMax || this.#position >= this.#limits.bytesMax) this.#flush(this.#position)
  }

  /** Hands over the finished rows, which end here, and keeps the rest. */
  #flush(end: number): void {
    const { bytesMax } = this.#limits
    const cells = this.#rowCount * this.#columnCount
    if (this.#rowCount > 0) {
      this.#emit(new CopyRows(this.#bytes.subarray(0, end), this.#starts, this.#rowCount, this.#columnCount))
    }
    if (this.#complete) return
    const usual = Math.min(this.#bytes.byteLength, bytesMax + capacityMin)
    const rest = this.#starts.slice(cells, cells + Math.max(this.#columnCount, 0))
    this.#starts = new Int32Array(this.#starts.length)
    for (const [column, start] of rest.entries()) this.#starts[column] = start < 0 ? -1 : start - end
    this.#replaceBytes(Math.max(usual, this.#length - end), end)
    this.#position -= end
    this.#rowStart -= end
    this.#rowCount = 0
  }
}

/** Spans up to this length are copied byte by byte: cheaper than making a view of the source. */
const shortBytes = 64

function copyBytes(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  if (end - start > shortBytes) {
    target.set(source.subarray(start, end), at)
    return
  }
  for (let index = start, to = at; index < end; index += 1, to += 1) target[to] = source[index] ?? 0
}

function malformed(what: string): SyncError {
  return new SyncError('E_SOURCE_PROTOCOL', `PostgreSQL sent a COPY stream that is not valid: ${what}`, {
    hint: 'Run again; if it happens again, see what stands between here and PostgreSQL.',
  })
}
