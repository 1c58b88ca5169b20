/** Reads whole tables: all from one state of the database, or each chunk from a state of its own. */
import pg from 'pg'
import type { Key, RowBatch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import type { Table } from '../../core/schema.js'
import type { Abortable, Chunk, ReadOptions, Snapshot } from '../../core/source.js'
import type { Connections } from './connections.js'
import { CopyBatch } from './copy-batch.js'
import type { CopyOptions } from './copy-stream.js'
import { sourceError } from './errors.js'
import { keyJson } from './key-cells.js'
import { isKeyedByAddress } from './keyless-table.js'
import { KnownTables } from './known-tables.js'
import type { PostgresTable } from './postgres-table.js'
import { absentKeys } from './reread.js'
import { filterOf } from './row-filter.js'
import type { Session } from './session.js'
import { ownTable } from './table-selection.js'
import type { TableShaper } from './table-shape.js'

/** A range of pages of one table. */
interface PageChunk extends Chunk {
  readonly table: PostgresTable
  readonly from: number
  /** Exclusive. `undefined`: to the end. */
  readonly to: number | undefined
}

/** 64 MiB of heap; of a partition that is one of many at least 2 MiB. */
const chunkPages = 8_192
const chunkPagesMin = 256

/** How keys are asked about: few at a time, and small. */
const absentLimits = { rowsMax: 1_000, bytesMax: 1_048_576 }

/**
 * A snapshot where changes are captured: each chunk is read in a short transaction, so that no lock and no old row version
 * is held for longer than a chunk. Replaying the changes after the position repairs the mixture.
 */
export class ChunkedSnapshot implements Snapshot {
  readonly position: Position
  readonly #connections: Connections
  readonly #known: KnownTables

  private constructor(connections: Connections, known: KnownTables, position: Position) {
    this.#connections = connections
    this.#known = known
    this.position = position
  }

  static async open(
    connections: Connections,
    tables: readonly PostgresTable[],
    position: Position,
    shaper: TableShaper,
  ): Promise<ChunkedSnapshot> {
    const load = (session: Session) => session.within('look', () => KnownTables.load(session, tables, shaper))
    return new ChunkedSnapshot(connections, await connections.use(load), position)
  }

  chunks(table: Table): Promise<readonly Chunk[]> {
    return this.#connections.use((session) => pageChunks(session, ownTable(table)))
  }

  async *read(chunk: Chunk, options: ReadOptions): AsyncGenerator<RowBatch> {
    const session = await this.#connections.session()
    try {
      await session.begin('snapshot')
      const table = await this.#locked(session, chunk.table)
      yield* readPages(session, { ...pageChunk(chunk), table }, { ...options.limits, signal: options.signal })
      await session.commit()
      session.release()
    } finally {
      session.destroy()
    }
  }

  absent(table: Table, keys: readonly Key[], options: Abortable): Promise<readonly boolean[]> {
    return this.#connections.use((session) =>
      session.within('snapshot', async () => absentFrom(session, await this.#locked(session, table), keys, options)),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Locks the table and finds out how its rows are to be decoded now. */
  async #locked(session: Session, table: Table): Promise<PostgresTable> {
    const own = ownTable(table)
    await lock(session, [own])
    return this.#known.current(session, own)
  }
}

/**
 * A snapshot where nothing is captured: every table from one state of the database, which one session holds until the end
 * and others share.
 */
export class ConsistentSnapshot implements Snapshot {
  readonly position: Position
  readonly #connections: Connections
  readonly #holder: Session
  readonly #id: string

  private constructor(connections: Connections, holder: Session, id: string, position: Position) {
    this.#connections = connections
    this.#holder = holder
    this.#id = id
    this.position = position
  }

  static async open(
    connections: Connections,
    tables: readonly PostgresTable[],
    position: Position,
  ): Promise<ConsistentSnapshot> {
    const session = await connections.session()
    try {
      await session.begin('snapshot')
      await lock(session, tables)
      const [row] = await session.rows('exporting the snapshot', 'select pg_catalog.pg_export_snapshot()')
      return new ConsistentSnapshot(connections, session, row?.[0] ?? '', position)
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  chunks(table: Table): Promise<readonly Chunk[]> {
    return this.#connections.use((session) => pageChunks(session, ownTable(table)))
  }

  async *read(chunk: Chunk, options: ReadOptions): AsyncGenerator<RowBatch> {
    const session = await this.#connections.session()
    try {
      await session.begin('snapshot')
      await session.run('sharing the snapshot', `set transaction snapshot ${pg.escapeLiteral(this.#id)}`)
      yield* readPages(session, pageChunk(chunk), { ...options.limits, signal: options.signal })
      await session.commit()
      session.release()
    } finally {
      session.destroy()
    }
  }

  absent(table: Table, keys: readonly Key[], options: Abortable): Promise<readonly boolean[]> {
    return absentFrom(this.#holder, ownTable(table), keys, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.destroy()
  }
}

/** All rows of a table as upserts, in the session's snapshot. The table must be locked. */
export function readTable(session: Session, table: PostgresTable, options: CopyOptions): AsyncGenerator<RowBatch> {
  return readPages(session, { id: table.label, table, from: 0, to: undefined }, options)
}

/** Which of these keys the table does not have, in the session's snapshot. */
export function absentFrom(
  session: Session,
  table: PostgresTable,
  keys: readonly Key[],
  { signal }: Abortable,
): Promise<readonly boolean[]> {
  const texts = keys.map((key) => keyJson(key, table))
  return absentKeys(session, table, texts, keys, { ...absentLimits, signal })
}

/**
 * Holds off statements that would empty or rewrite the tables under an older snapshot. To be called before the snapshot
 * is taken: a lock does not take it, the first query does.
 */
export async function lock(session: Session, tables: readonly PostgresTable[]): Promise<void> {
  if (tables.length === 0) return
  const names = tables.map(({ relation, only }) => `${only ? 'only ' : ''}${relation}`)
  await session.run(
    'locking tables against changes of their structure',
    `lock table ${names.join(', ')} in access share mode`,
  )
}

async function* readPages(session: Session, chunk: PageChunk, options: CopyOptions): AsyncGenerator<RowBatch> {
  const { table, from, to } = chunk
  const list = table.columns.map(({ select }) => select).join(', ')
  const ranges = [...(from === 0 ? [] : [`ctid >= '(${from},0)'`]), ...(to === undefined ? [] : [`ctid < '(${to},0)'`])]
  const conditions = [...ranges, ...filterOf(table)]
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  const sql = `copy (select ${list} from ${table.only ? 'only ' : ''}${table.relation} t${where}) to stdout (format binary)`
  const columnNames = table.columns.map(({ name }) => name)
  try {
    for await (const rows of session.copy(sql, { ...options, columnNames }))
      yield new CopyBatch('upsert', table, table.columns, rows)
  } catch (error) {
    options.signal?.throwIfAborted()
    throw sourceError(error, `reading ${table.label}`, { table: table.label })
  }
}

/**
 * Ranges of pages; the last one has no end, so that a table that grows is read to its end. Of a partitioned table each range
 * is read from all partitions at once.
 */
async function pageChunks(session: Session, table: PostgresTable): Promise<readonly PageChunk[]> {
  const { partitioned, oid, label } = table
  // Only within one snapshot does an address belong to one row.
  if (isKeyedByAddress(table)) return [{ id: label, table, from: 0, to: undefined }]
  const [row] = await session.rows(`measuring ${label}`, partitioned ? partitionPagesSql : tablePagesSql, [oid])
  const [pages, files] = [Number(row?.[0] ?? 0), Math.max(1, Number(row?.[1] ?? 1))]
  const step = Math.max(chunkPagesMin, Math.floor(chunkPages / files))
  const count = Math.max(1, Math.ceil(pages / step))
  if (count === 1) return [{ id: label, table, from: 0, to: undefined }]
  return Array.from({ length: count }, (_, index) => {
    const from = index * step
    return { id: `${label} ${from}`, table, from, to: index === count - 1 ? undefined : from + step }
  })
}

const pagesOf = (relation: string) =>
  `pg_catalog.pg_relation_size(${relation}) / pg_catalog.current_setting('block_size')::pg_catalog.int8`
const tablePagesSql = `select ${pagesOf('$1::pg_catalog.oid')}, 1`
const partitionPagesSql = `select pg_catalog.max(${pagesOf('p.relid')}), pg_catalog.count(*)
  from pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) p where p.isleaf`

function pageChunk(chunk: Chunk): PageChunk {
  if ('from' in chunk) return chunk as PageChunk
  throw new TypeError(`${chunk.id} is not a chunk of this source`)
}
