/** Compares one table with its target: sums first, then the keys of those buckets whose sums differ. */
import type { Abortable } from '../core/source.js'
import { Buckets, type Hashed, hashRecord } from './buckets.js'
import type { FormsOf, SourceReader, SourceTable } from './source-reader.js'
import type { SurrealValue } from './surreal-value.js'
import type { TargetReader } from './target-reader.js'

/** A table and where it is. */
export interface TablePair {
  /** Undefined: only the target has it, and every record is one too many. */
  readonly source: SourceTable | undefined
  /** Undefined: there is no such table in the target. */
  readonly target: string | undefined
  readonly forms: FormsOf
  /** Why its rows cannot be told to be the same. */
  readonly reshaped?: string | undefined
}

export interface Sides {
  readonly source: SourceReader
  readonly target: TargetReader
}

/** What has been read of a table. */
export interface Reading {
  /** First all records are summed up, then those of some buckets are listed, perhaps several times. */
  readonly step: 'summing' | 'listing'
  readonly rows: number
  readonly records: number
}

/** Memory is bounded by this many records of both sides; more that differ are listed a share at a time. */
const listedMax = 200_000
/** How many rows are looked at once more together. */
export const suspectsPerPage = 100

export class TableComparison {
  readonly #sides: Sides
  readonly #pair: TablePair
  readonly #options: Abortable
  readonly #reading: (reading: Reading) => void
  readonly #rows = new Buckets()
  readonly #records = new Buckets()
  #failed = false

  constructor(sides: Sides, pair: TablePair, reading: (reading: Reading) => void, options: Abortable) {
    this.#sides = sides
    this.#pair = pair
    this.#reading = reading
    this.#options = options
  }

  get rows(): number {
    return this.#rows.total
  }

  get records(): number {
    return this.#records.total
  }

  /** Keys of rows that did not look the same, a hundred of them at a time. Nothing is open at the source meanwhile. */
  async *suspects(): AsyncGenerator<readonly SurrealValue[]> {
    await this.#sum()
    const differing = this.#rows.differing(this.#records)
    for (let next = 0; next < differing.length; ) {
      const share = new Set<number>()
      for (let size = 0; next < differing.length; next += 1) {
        const bucket = differing[next] ?? 0
        size += this.#rows.count(bucket) + this.#records.count(bucket)
        if (share.size > 0 && size > listedMax) break
        share.add(bucket)
      }
      yield* await this.#list(share)
    }
  }

  async #sum(): Promise<void> {
    const report = () => this.#reading({ step: 'summing', rows: this.rows, records: this.records })
    const both = [
      this.#eachRow((row) => this.#rows.add(row), report),
      this.#eachRecord((record) => this.#records.add(record), report),
    ]
    // Neither is left reading when the other has failed.
    for (const side of both) {
      side.catch(() => {
        this.#failed = true
      })
    }
    const ends = await Promise.allSettled(both)
    const failure = ends.find((end) => end.status === 'rejected')
    if (failure !== undefined) throw failure.reason
  }

  async #list(share: ReadonlySet<number>): Promise<readonly (readonly SurrealValue[])[]> {
    let [rows, records] = [0, 0]
    const report = () => this.#reading({ step: 'listing', rows, records })
    const expected = new Map<string, { readonly key: SurrealValue; readonly digest: string }>()
    const suspects: SurrealValue[] = []
    await this.#eachRow((row, key) => {
      rows += 1
      if (share.has(row.bucket)) expected.set(row.key, { key, digest: text(row.digest) })
    }, report)
    await this.#eachRecord((record, key) => {
      records += 1
      if (!share.has(record.bucket)) return
      if (expected.get(record.key)?.digest !== text(record.digest)) suspects.push(key)
      expected.delete(record.key)
    }, report)
    for (const { key } of expected.values()) suspects.push(key)
    const pages = Math.ceil(suspects.length / suspectsPerPage)
    return Array.from({ length: pages }, (_, page) =>
      suspects.slice(page * suspectsPerPage, (page + 1) * suspectsPerPage),
    )
  }

  async #eachRow(visit: (row: Hashed, key: SurrealValue) => void, report: () => void): Promise<void> {
    const { source: table, forms } = this.#pair
    if (table === undefined) return
    const { source } = this.#sides
    await source.begin()
    for await (const page of source.records(table, forms)) {
      this.#options.signal?.throwIfAborted()
      if (this.#failed) return
      for (const record of page) visit(hashRecord(record), record.key)
      report()
    }
    await source.end()
  }

  async #eachRecord(visit: (record: Hashed, key: SurrealValue) => void, report: () => void): Promise<void> {
    const { target: table } = this.#pair
    if (table === undefined) return
    for await (const page of this.#sides.target.records(table)) {
      this.#options.signal?.throwIfAborted()
      if (this.#failed) return
      for (const record of page) visit(hashRecord(record), record.key)
      report()
    }
  }
}

function text(digest: Buffer): string {
  return digest.toString('latin1')
}
