/** The SurrealDB side of a comparison. */
import { Table } from 'surrealdb'
import { decodeCbor } from './cbor-reader.js'
import type { SurrealValue } from './surreal-value.js'

/** The part of `Surreal` that is used here. */
export interface SurrealQueries {
  query<R extends unknown[]>(query: string, bindings?: Record<string, unknown>): PromiseLike<R>
}

/** What SurrealDB holds under a record id. */
export interface FoundRecord {
  readonly key: SurrealValue
  readonly fields: ReadonlyMap<string, SurrealValue>
}

const recordsPerPage = 1_000

/** The names of the database's tables. */
export async function readTargetTables(target: SurrealQueries): Promise<ReadonlySet<string>> {
  // The SDK would lose a name like `__proto__`.
  const [names] = await target.query<[readonly string[]]>('return object::keys((info for db).tables)')
  return new Set(names)
}

/** Every record of a table that exists, a page at a time. The server encodes them, so that no kind is lost on the way. */
export async function* readTargetRecords(
  target: SurrealQueries,
  table: string,
): AsyncGenerator<readonly FoundRecord[]> {
  for (let start = 0; ; start += recordsPerPage) {
    const page = await readPage(target, table, start)
    if (page.length > 0) yield page.map((bytes) => foundRecord(new Uint8Array(bytes)))
    if (page.length < recordsPerPage) return
  }
}

async function readPage(target: SurrealQueries, table: string, start: number): Promise<readonly ArrayBuffer[]> {
  try {
    const [page] = await target.query<[ArrayBuffer[]]>(
      'select value encoding::cbor::encode($this) from $table start $start limit $limit',
      { table: new Table(table), start, limit: recordsPerPage },
    )
    return page
  } catch (cause) {
    throw new Error(`SurrealDB cannot read its table ${table}`, { cause })
  }
}

export async function countTargetRecords(target: SurrealQueries, table: string): Promise<number> {
  const [counts] = await target.query<[{ readonly count: number }[]]>('select count() from $table group all', {
    table: new Table(table),
  })
  return counts[0]?.count ?? 0
}

function foundRecord(bytes: Uint8Array): FoundRecord {
  const record = decodeCbor(bytes)
  if (record.kind !== 'object') throw new Error('A record is an object.')
  const fields = new Map(record.fields)
  const id = fields.get('id')
  fields.delete('id')
  if (id?.kind !== 'record') throw new Error('A record has an id.')
  return { key: id.key, fields }
}
