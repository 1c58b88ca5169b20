/** Tables cut into ranges of pages, and how the rows of one are read. */
import type { RowBatch } from '../../core/batch.js'
import type { Chunk } from '../../core/source.js'
import { CopyBatch, selectList } from './copy-batch.js'
import type { CopyOptions } from './copy-stream.js'
import { isKeyedByAddress } from './keyless-table.js'
import type { PostgresTable } from './postgres-table.js'
import { fromOf, readingError } from './row-expression.js'
import { filterOf } from './row-filter.js'
import type { Session } from './session.js'

/** A range of pages of one table. */
export interface PageChunk extends Chunk {
  readonly table: PostgresTable
  readonly from: number
  /** Exclusive. `undefined`: to the end. */
  readonly to: number | undefined
}

/** 64 MiB of heap; of a partition that is one of many at least 2 MiB. */
const chunkPages = 8_192
const chunkPagesMin = 256

/**
 * Ranges of pages; the last one has no end, so that a table that grows is read to its end. Of a partitioned table each range
 * is read from all partitions at once.
 *
 * An id names the files that the rows are in: while those are the same, a row stays where it is until it changes. What is
 * written into pages that are new since has been captured, so the last range may mean the same when it has become longer.
 * @param run Names this run: of a table without a key no change is captured, so its rows are read again by the next one.
 */
export async function pageChunks(session: Session, table: PostgresTable, run: string): Promise<readonly PageChunk[]> {
  const { partitioned, oid, label, fingerprint } = table
  // Only within one snapshot does an address belong to one row.
  if (isKeyedByAddress(table)) return [{ id: `${fingerprint} ${run}`, table, from: 0, to: undefined }]
  const [row] = await session.rows(`measuring ${label}`, partitioned ? partitionPagesSql : tablePagesSql, [oid])
  const [pages, files] = [Number(row?.[0] ?? 0), Math.max(1, Number(row?.[1] ?? 1))]
  const step = Math.max(chunkPagesMin, Math.floor(chunkPages / files))
  const count = Math.max(1, Math.ceil(pages / step))
  return Array.from({ length: count }, (_, index) => {
    const from = index * step
    const id = `${fingerprint.slice(0, 12)} ${from}-${from + step}`
    return { id, table, from, to: index === count - 1 ? undefined : from + step }
  })
}

/** Whether it is the whole table, wherever its rows are. */
export function isWhole({ from, to }: PageChunk): boolean {
  return from === 0 && to === undefined
}

const pagesOf = (relation: string) =>
  `pg_catalog.pg_relation_size(${relation}) / pg_catalog.current_setting('block_size')::pg_catalog.int8`
const tablePagesSql = `select ${pagesOf('$1::pg_catalog.oid')}, 1`
const partitionPagesSql = `select pg_catalog.max(${pagesOf('p.relid')}), pg_catalog.count(*)
  from pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) p where p.isleaf`

/** The rows of the chunk as upserts, in the session's snapshot. */
export async function* readPages(session: Session, chunk: PageChunk, options: CopyOptions): AsyncGenerator<RowBatch> {
  const { table, from, to } = chunk
  const ranges = [...(from === 0 ? [] : [`ctid >= '(${from},0)'`]), ...(to === undefined ? [] : [`ctid < '(${to},0)'`])]
  const conditions = [...ranges, ...filterOf(table)]
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  const sql = `copy (select ${selectList(table.columns)} from ${fromOf(table)}${where}) to stdout (format binary)`
  const columnNames = table.columns.map(({ name }) => name)
  try {
    for await (const rows of session.copy(sql, { ...options, columnNames }))
      yield new CopyBatch('upsert', table, table.columns, rows)
  } catch (error) {
    options.signal?.throwIfAborted()
    throw readingError(error, table)
  }
}

export function pageChunk(chunk: Chunk): PageChunk {
  if ('from' in chunk) return chunk as PageChunk
  throw new TypeError(`${chunk.id} is not a chunk of this source`)
}
