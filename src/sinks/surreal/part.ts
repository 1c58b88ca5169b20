/** Rows of any tables on their way into one transaction. */
import { cbor } from './cbor-buffer.js'
import { splitItems } from './cbor-items.js'
import type { Transaction } from './lane.js'
import type { Item, Refused } from './quarantine.js'
import { type Piece, type PieceLimits, pieceHeadSize } from './row-encoder.js'
import type { WriteKind } from './statements.js'
import type { TablePlan } from './table-plan.js'

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
  readonly #marks = new Rows()
  readonly #upserts = new Rows()
  readonly #tables = new Set<string>()
  #rowCount = 0
  #byteCount = 0
  #rewrites = false
  /** Rows that could not be encoded. */
  readonly refused: Refused[] = []
  /** Rows that are gone, and whose records stay: they end what is kept aside of them. */
  readonly ignored: Item[] = []

  /** Whether a piece would make it larger than a transaction should be. Not if it is empty: a large row travels alone. */
  isFullFor({ rowCount, bytes }: Piece, { rowsMax, bytesMax }: PieceLimits): boolean {
    if (this.#rowCount === 0) return false
    return this.#rowCount + rowCount > rowsMax || this.#byteCount + bytes.length > bytesMax
  }

  /** Takes a copy of the piece. Once there is something to rewrite, everything is. */
  add(piece: Piece, { table }: TablePlan, kind: Exclude<WriteKind, 'insert'>): void {
    const rows = kind === 'delete' ? this.#deletes : kind === 'mark' ? this.#marks : this.#upserts
    rows.add(piece, table.label)
    this.#tables.add(table.label)
    this.#rowCount += piece.rowCount
    this.#byteCount += piece.bytes.length
    this.#rewrites ||= kind === 'rewrite'
  }

  get #upsertKind(): 'rewrite' | 'upsert' {
    return this.#rewrites ? 'rewrite' : 'upsert'
  }

  /** Each row for itself. */
  items(): readonly Item[] {
    return [...this.#deletes.items('delete'), ...this.#marks.items('mark'), ...this.#upserts.items(this.#upsertKind)]
  }

  /** What the transaction does. The order does not matter: no key is in two of them (I3). */
  transaction(): Transaction {
    const [table] = this.#tables
    const upsert = this.#upsertKind
    return {
      steps: [
        ...(this.#deletes.empty ? [] : [{ kind: 'delete', bytes: this.#deletes.bytes() } as const]),
        ...(this.#marks.empty ? [] : [{ kind: 'mark', bytes: this.#marks.bytes() } as const]),
        ...(this.#upserts.empty ? [] : [{ kind: upsert, bytes: this.#upserts.bytes() } as const]),
      ],
      ...(this.#tables.size === 1 && { table }),
    }
  }
}
