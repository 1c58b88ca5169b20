/** Rows of any tables on their way into one transaction. */
import type { RowBatch } from '../../core/batch.js'
import { cbor } from './cbor-buffer.js'
import { splitItems } from './cbor-items.js'
import type { Transaction } from './lane.js'
import type { Item, Refused } from './quarantine.js'
import { type Piece, type PieceLimits, pieceHeadSize } from './row-encoder.js'
import type { WriteKind } from './statements.js'

/** Encoded rows without the head of the array that they came in. */
class Rows {
  readonly #chunks: { readonly bytes: Uint8Array; readonly rowCount: number; readonly table: string }[] = []
  #rowCount = 0
  #byteCount = 0

  add({ rowCount, bytes }: Piece, table: string): void {
    const chunk = bytes.slice(pieceHeadSize)
    this.#chunks.push({ bytes: chunk, rowCount, table })
    this.#rowCount += rowCount
    this.#byteCount += chunk.length
  }

  get empty(): boolean {
    return this.#rowCount === 0
  }

  /** One array of all rows. */
  bytes(): Uint8Array {
    const all = new Uint8Array(pieceHeadSize + this.#byteCount)
    all[0] = cbor.array | 26
    new DataView(all.buffer).setUint32(1, this.#rowCount)
    let position = pieceHeadSize
    for (const { bytes } of this.#chunks) {
      all.set(bytes, position)
      position += bytes.length
    }
    return all
  }

  /** Each row for itself. */
  items(kind: WriteKind): readonly Item[] {
    return this.#chunks.flatMap(({ bytes, rowCount, table }) =>
      splitItems(bytes, rowCount).map((item) => ({ kind, bytes: item, table })),
    )
  }
}

export class Part {
  readonly #deletes = new Rows()
  readonly #upserts = new Rows()
  readonly #tables = new Set<string>()
  #rowCount = 0
  #byteCount = 0
  #rewrites = false
  /** Rows that could not be encoded. */
  readonly refused: Refused[] = []

  /** Whether a piece would make it larger than a transaction should be. Not if it is empty: a large row travels alone. */
  isFullFor({ rowCount, bytes }: Piece, { rowsMax, bytesMax }: PieceLimits): boolean {
    if (this.#rowCount === 0) return false
    return this.#rowCount + rowCount > rowsMax || this.#byteCount + bytes.length > bytesMax
  }

  /** Takes a copy of the piece. @param rewrites see `rewrite` in {@link WriteKind} */
  add(piece: Piece, { op, table }: Pick<RowBatch, 'op' | 'table'>, rewrites: boolean): void {
    const rows = op === 'delete' ? this.#deletes : this.#upserts
    rows.add(piece, table.label)
    this.#tables.add(table.label)
    this.#rowCount += piece.rowCount
    this.#byteCount += piece.bytes.length
    this.#rewrites ||= rewrites && op === 'upsert'
  }

  get #upsertKind(): 'rewrite' | 'upsert' {
    return this.#rewrites ? 'rewrite' : 'upsert'
  }

  /** Each row for itself. */
  items(): readonly Item[] {
    return [...this.#deletes.items('delete'), ...this.#upserts.items(this.#upsertKind)]
  }

  /** What the transaction does. The order does not matter: no key is in both (I3). */
  transaction(): Transaction {
    const [table] = this.#tables
    const upsert = this.#upsertKind
    return {
      steps: [
        ...(this.#deletes.empty ? [] : [{ kind: 'delete', bytes: this.#deletes.bytes() } as const]),
        ...(this.#upserts.empty ? [] : [{ kind: upsert, bytes: this.#upserts.bytes() } as const]),
      ],
      ...(this.#tables.size === 1 && { table }),
    }
  }
}
