// A sink of one's own: every change as a line of JSON on standard output.
import { type Batch, PostgresTriggerSource, type Sink, SyncEngine } from 'surreal-sync'

/** Writes may come again after a failure, so a line means what a row is now, not that it has just changed. */
class JsonLinesSink implements Sink {
  readonly name = 'json-lines'
  readonly #out: NodeJS.WritableStream

  constructor(out: NodeJS.WritableStream) {
    this.#out = out
  }

  /** Resolves when the lines have been handed to the operating system. */
  async write(batch: Batch): Promise<void> {
    const table = batch.table.label
    const lines =
      batch.op === 'upsert' || batch.op === 'delete'
        ? [...batch.rows()].map((row) => ({ op: batch.op, table, row }))
        : [{ op: batch.op, table }]
    const text = lines.map((line) => `${JSON.stringify(line, plain)}\n`).join('')
    await new Promise<void>((resolve, reject) => this.#out.write(text, (error) => (error ? reject(error) : resolve())))
  }
}

/** JSON has neither big integers nor bytes. */
function plain(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}

const { DATABASE_URL = '' } = process.env
const source = new PostgresTriggerSource({ url: DATABASE_URL })
const result = await new SyncEngine({ source, sink: new JsonLinesSink(process.stdout) }).run({ phase: 'full' })
console.error(`${[...result.tables.values()].reduce((sum, { rows }) => sum + rows, 0)} rows`)
