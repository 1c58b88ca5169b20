/** The SurrealDB side of a comparison. The server encodes what it has, so that no kind of value is lost on the way. */
import { encodeRecordIds, encodeRecordRange } from './cbor-bytes.js'
import { decodeCbor } from './cbor-reader.js'
import type { TargetAccess } from './sides.js'
import { printValue, type SurrealValue } from './surreal-value.js'

/** What SurrealDB holds under a record id. */
export interface FoundRecord {
  readonly key: SurrealValue
  readonly fields: ReadonlyMap<string, SurrealValue>
}

const recordsPerPageMax = 1_000
const bytesPerPage = 4_000_000

const tablesQuery = 'return object::keys((info for db).tables)'
const pageQuery = `let $range = encoding::cbor::decode($bytes);
select value encoding::cbor::encode($this) from $range limit $limit`
const findQuery = `let $ids = encoding::cbor::decode($bytes);
return encoding::cbor::encode((select * from $ids))`

export class TargetReader {
  readonly #access: TargetAccess

  constructor(access: TargetAccess) {
    this.#access = access
  }

  /** The names of the database's tables. */
  async tables(): Promise<ReadonlySet<string>> {
    // The SDK would lose a name like `__proto__`.
    const names = (await this.#access.query(tablesQuery)).at(-1)
    if (!Array.isArray(names)) throw new Error('SurrealDB does not say which tables there are.')
    return new Set(names.filter((name) => typeof name === 'string'))
  }

  /** Every record of a table that exists, a page at a time in the order of their keys. */
  async *records(table: string): AsyncGenerator<readonly FoundRecord[]> {
    let after: SurrealValue | undefined
    for (let limit = recordsPerPageMax / 10; ; ) {
      const encoded = await this.#encoded(pageQuery, { bytes: encodeRecordRange(table, after), limit })
      const page = encoded.map((bytes) => recordOf(decodeCbor(bytes)))
      const [first, last] = [page[0], page.at(-1)]
      if (first === undefined || last === undefined) return
      // SurrealDB 3.0 does not read every number in a key back as it was written.
      if (after !== undefined && printValue(first.key) === printValue(after)) {
        throw new Error(`SurrealDB cannot be asked for what follows the record ${table}:${printValue(after)}`)
      }
      yield page
      if (page.length < limit) return
      after = last.key
      const size = encoded.reduce((sum, { length }) => sum + length, 1)
      limit = Math.max(1, Math.min(recordsPerPageMax, Math.floor((bytesPerPage * page.length) / size)))
    }
  }

  /** The records with these keys, by the printed key. */
  async find(table: string, keys: readonly SurrealValue[]): Promise<ReadonlyMap<string, FoundRecord>> {
    const answer = bytesOf((await this.#access.query(findQuery, { bytes: encodeRecordIds(table, keys) })).at(-1))
    const found = decodeCbor(answer)
    if (found.kind !== 'array') throw new Error('SurrealDB did not answer a list of records.')
    return new Map(found.elements.map(recordOf).map((record) => [printValue(record.key), record]))
  }

  async #encoded(text: string, bindings: Record<string, unknown>): Promise<readonly Uint8Array[]> {
    const rows = (await this.#access.query(text, bindings)).at(-1)
    if (!Array.isArray(rows)) throw new Error('SurrealDB did not answer a list of records.')
    return rows.map(bytesOf)
  }
}

function bytesOf(answer: unknown): Uint8Array {
  if (answer instanceof ArrayBuffer) return new Uint8Array(answer)
  if (answer instanceof Uint8Array) return answer
  throw new Error('SurrealDB did not answer bytes.')
}

function recordOf(record: SurrealValue): FoundRecord {
  if (record.kind !== 'object') throw new Error('A record is an object.')
  const fields = new Map(record.fields)
  const id = fields.get('id')
  fields.delete('id')
  if (id?.kind !== 'record') throw new Error('A record has an id.')
  return { key: id.key, fields }
}
