/** The records of rows that are kept aside. */
import { BoundExcluded, BoundIncluded, RecordId, RecordIdRange } from 'surrealdb'
import type { Connection } from '../../connections/surreal/connection.js'
import { isMissingTable, toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import type { Abortable } from '../../core/source.js'
import { quarantineTable, readQuarantine } from './statements.js'

/** The entry for a record. */
export function quarantineId(pipeline: string, record: string): RecordId {
  return new RecordId(quarantineTable, [pipeline, record])
}

/** An entry, as whoever looks at it sees it. */
export interface QuarantinedRow {
  /** The source table's label. */
  readonly table: string
  /** The record that would have been written or deleted: `users:5`. */
  readonly record: string
  /** The key part of its id, in CBOR. */
  readonly key: Uint8Array
  /** What kind of trouble: `E_POISON_ROW`, `E_ROW_TOO_LARGE`, `E_VALUE`. */
  readonly code: string
  /** Why, without any value. */
  readonly reason: string
}

/** What is kept aside for a pipeline. */
export async function readEntries(
  connection: Connection,
  pipeline: string,
  options: Abortable,
): Promise<readonly QuarantinedRow[]> {
  const range = new RecordIdRange(quarantineTable, new BoundIncluded([pipeline]), new BoundExcluded([`${pipeline}\0`]))
  const { results, failure } = await connection.call((db) => ask(db, readQuarantine, { range }), options)
  if (failure !== undefined && !isMissingTable(failure, quarantineTable)) throw toSyncError(failure)
  const found = failure === undefined ? results.at(-1) : []
  return Array.isArray(found) ? found.flatMap((row) => entryOf(row) ?? []) : []
}

function entryOf(row: unknown): QuarantinedRow | undefined {
  if (typeof row !== 'object' || row === null) return undefined
  const key: unknown = Reflect.get(row, 'key')
  const [table, record, code, reason] = ['table', 'record', 'code', 'reason'].map((name) => Reflect.get(row, name))
  const bytes = key instanceof ArrayBuffer ? new Uint8Array(key) : key
  if (typeof table !== 'string' || typeof record !== 'string' || !(bytes instanceof Uint8Array)) return undefined
  return { table, record, key: bytes, code: String(code), reason: String(reason) }
}
