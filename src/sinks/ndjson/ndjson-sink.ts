/** Writes every operation as a line of JSON. */
import type { Batch } from '../../core/batch.js'
import { SyncError } from '../../core/errors.js'
import type { Table } from '../../core/schema.js'
import type { Sink } from '../../core/sink.js'
import type { Abortable } from '../../core/source.js'
import { jsonText } from './json-text.js'
import { LineFile } from './line-file.js'

/** What is written to: `process.stdout`, for one. */
export interface NdjsonStream {
  write(text: string, done: (error?: Error | null) => void): unknown
}

/** Where lines go: a file, or a stream of the program. */
export type NdjsonSinkOptions =
  | {
      /** Made, for its owner alone, at the first write. Lines are added to one that exists. */
      readonly file: string
      readonly stream?: undefined
    }
  | {
      /** Stays open. */
      readonly stream: NdjsonStream
      readonly file?: undefined
    }

/**
 * Writes newline-delimited JSON, one line an operation, in the order in which the writes were called:
 *
 * - `{"op":"table","table":"public.users","columns":[{"name":"id","type":{"kind":"integer"},"sourceType":"integer"},…],"key":["id"]}`
 *   before the first line of a table, and again when its structure changed;
 * - `{"op":"upsert","table":"public.users","row":{"id":1,…}}`: the row has this content now;
 * - `{"op":"delete","table":"public.users","key":{"id":1}}`: there is no row with this key;
 * - `{"op":"truncate","table":"public.users"}`: the table has no rows.
 *
 * Whoever applies the lines in order has the tables; a line that comes twice changes nothing. Values can be told exactly by
 * the type of their column: integers have all their digits, `decimal` and `timestamp` are text, `bytes` are base64 text, and a
 * `float` is text where JSON has no number for it. A column that a row lacks is null.
 *
 * With a file, a write resolves when its lines are on disk, and a line that a crash tore is removed by the next run. With a
 * stream it resolves when the stream has taken the lines, which is no promise that they are kept. One sink to a file.
 *
 * @example
 * ```ts
 * const engine = new SyncEngine({ source, sink: new NdjsonSink({ file: 'changes.ndjson' }), checkpoints })
 * ```
 */
export class NdjsonSink implements Sink {
  readonly name = 'ndjson'
  readonly address: string
  readonly #file: LineFile | undefined
  readonly #stream: NdjsonStream | undefined
  /** The description of each table that was written last, by label. */
  readonly #described = new Map<string, Table>()
  #lastWrite: Promise<void> = Promise.resolve()

  /** @throws SyncError `E_CONFIG` */
  constructor({ file, stream }: NdjsonSinkOptions) {
    if ((file === undefined || file === '') && stream === undefined) {
      throw new SyncError('E_CONFIG', 'The NDJSON sink has neither a file nor a stream to write to')
    }
    this.#file = file === undefined ? undefined : new LineFile(file)
    this.#stream = stream
    this.address = file ?? 'a stream'
  }

  /** @throws SyncError `E_CONFIG` if the file could not be written to */
  async check(): Promise<void> {
    await this.#file?.probe()
  }

  /** @throws SyncError `E_BUSY` for a full disk, `E_CONFIG`, `E_TARGET` */
  write(batch: Batch, { signal }: Abortable): Promise<void> {
    const write = this.#lastWrite.then(async () => {
      signal?.throwIfAborted()
      const described = this.#described.get(batch.table.label) === batch.table
      const lines = described ? linesOf(batch) : [tableLine(batch.table), ...linesOf(batch)]
      if (lines.length === 0) return
      await this.#append(`${lines.join('\n')}\n`)
      this.#described.set(batch.table.label, batch.table)
    })
    this.#lastWrite = write.catch(() => undefined)
    return write
  }

  async close(): Promise<void> {
    await this.#lastWrite
    this.#described.clear()
    await this.#file?.close().catch(() => undefined)
  }

  async #append(text: string): Promise<void> {
    if (this.#file !== undefined) return this.#file.append(text)
    await new Promise<void>((resolve, reject) => {
      this.#stream?.write(text, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(new SyncError('E_TARGET', 'The stream of the NDJSON sink cannot be written to', { cause: error }))
      })
    })
  }
}

function tableLine({ label, columns, key }: Table): string {
  const described = columns.map(({ name, type, sourceType }) => ({ name, type, sourceType }))
  return JSON.stringify({ op: 'table', table: label, columns: described, key: key.map(({ name }) => name) })
}

/** The file is a history and holds no keys that could be asked about, so all rows of a replaced table go. */
function linesOf(batch: Batch): readonly string[] {
  const table = JSON.stringify(batch.table.label)
  if (batch.op === 'truncate' || batch.op === 'replace') return [`{"op":"truncate","table":${table}}`]
  const name = batch.op === 'upsert' ? 'row' : 'key'
  return Array.from(batch.rows(), (row) => `{"op":"${batch.op}","table":${table},"${name}":${jsonText(row)}}`)
}
