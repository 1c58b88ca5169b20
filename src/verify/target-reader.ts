/** The SurrealDB side of a comparison. The server encodes what it has, so that no kind of value is lost on the way. */
import { encodeRecordIds, encodeRecordRange, encodeTable } from './cbor-bytes.js'
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
/** How many keys are looked at ahead. */
const keysPerSegment = 50_000

const tablesQuery = 'return object::keys((info for db).tables)'
const boundaryQuery = `let $table = encoding::cbor::decode($bytes);
return encoding::cbor::encode((select value id from $table start $start limit 1))`
const keysQuery = `let $range = encoding::cbor::decode($bytes);
return encoding::cbor::encode((select value id from $range))`
const recordsQuery = `let $range = encoding::cbor::decode($bytes);
return encoding::cbor::encode((select * from $range))`
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

  /**
   * Every record of a table that exists, a page at a time in the order of their keys. Read by ranges with two ends: of one
   * that is open SurrealDB 3.0 reads all, whatever the limit. It counts quickly, so each end is found by its number.
   */
  async *records(table: string): AsyncGenerator<readonly FoundRecord[]> {
    let after: SurrealValue | undefined
    for (let start = keysPerSegment - 1; ; start += keysPerSegment) {
      const [end] = await this.#keys(boundaryQuery, { bytes: encodeTable(table), start })
      const keys = await this.#keys(keysQuery, { bytes: encodeRecordRange(table, after, end) })
      yield* this.#pages(table, after, keys)
      if (end === undefined) return
      // Records that were deleted meanwhile move the numbers: there may be nothing between the ends.
      after = keys.at(-1) ?? after
    }
  }

  async *#pages(
    table: string,
    before: SurrealValue | undefined,
    keys: readonly SurrealValue[],
  ): AsyncGenerator<readonly FoundRecord[]> {
    let after = before
    let count = recordsPerPageMax / 10
    for (let next = 0; next < keys.length; ) {
      next = Math.min(keys.length, next + count)
      const end = keys[next - 1]
      const bytes = await this.#bytes(recordsQuery, { bytes: encodeRecordRange(table, after, end) })
      const page = elementsOf(bytes).map(recordOf)
      if (page.length > 0) yield page
      after = end
      count = Math.floor((bytesPerPage * count) / (bytes.length + 1))
      count = Math.max(1, Math.min(recordsPerPageMax, count))
    }
  }

  /** The records with these keys, by the printed key. */
  async find(table: string, keys: readonly SurrealValue[]): Promise<ReadonlyMap<string, FoundRecord>> {
    const found = elementsOf(await this.#bytes(findQuery, { bytes: encodeRecordIds(table, keys) }))
    return new Map(found.map(recordOf).map((record) => [printValue(record.key), record]))
  }

  async #keys(text: string, bindings: Record<string, unknown>): Promise<readonly SurrealValue[]> {
    return elementsOf(await this.#bytes(text, bindings)).map((id) => {
      if (id.kind !== 'record') throw new Error('SurrealDB did not answer record ids.')
      return id.key
    })
  }

  async #bytes(text: string, bindings: Record<string, unknown>): Promise<Uint8Array> {
    const answer = (await this.#access.query(text, bindings)).at(-1)
    if (answer instanceof ArrayBuffer) return new Uint8Array(answer)
    if (answer instanceof Uint8Array) return answer
    throw new Error('SurrealDB did not answer bytes.')
  }
}

function elementsOf(bytes: Uint8Array): readonly SurrealValue[] {
  const list = decodeCbor(bytes)
  if (list.kind !== 'array') throw new Error('SurrealDB did not answer a list.')
  return list.elements
}

function recordOf(record: SurrealValue): FoundRecord {
  if (record.kind !== 'object') throw new Error('A record is an object.')
  const fields = new Map(record.fields)
  const id = fields.get('id')
  fields.delete('id')
  if (id?.kind !== 'record') throw new Error('A record has an id.')
  return { key: id.key, fields }
}
