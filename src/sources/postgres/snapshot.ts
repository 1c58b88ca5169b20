/** Reads whole tables: all from one state of the database, or each chunk from a state of its own. */
import type { Key, RowBatch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import { SyncError } from '../../core/errors.js'
import type { Table } from '../../core/schema.js'
import type { Abortable, Chunk, ReadOptions, Snapshot } from '../../core/source.js'
import type { Connections } from './connections.js'
import { CopyBatch } from './copy-batch.js'
import type { CopyOptions } from './copy-stream.js'
import { sourceError } from './errors.js'
import { introspectTables } from './introspect.js'
import { keyJson } from './key-cells.js'
import type { PostgresTable } from './postgres-table.js'
import { absentKeys } from './reread.js'
import type { Session } from './session.js'
import { ownTable } from './table-selection.js'

/** A range of pages of one table. */
interface PageChunk extends Chunk {
  readonly table: PostgresTable
  readonly from: number
  /** Exclusive. `undefined`: to the end. */
  readonly to: number | undefined
}

/** 64 MiB of heap. */
const chunkPages = 8_192

/** How keys are asked about: few at a time, and small. */
const absentLimits = { rowsMax: 1_000, bytesMax: 1_048_576 }

/**
 * A snapshot where changes are captured: each chunk is read in a short transaction, so that no lock and no old row version
 * is held for longer than a chunk. Replaying the changes after the position repairs the mixture.
 */
export class ChunkedSnapshot implements Snapshot {
  readonly position: Position
  readonly #connections: Connections

  constructor(connections: Connections, position: Position) {
    this.#connections = connections
    this.position = position
  }

  chunks(table: Table): Promise<readonly Chunk[]> {
    return this.#connections.use((session) => pageChunks(session, ownTable(table)))
  }

  async *read(chunk: Chunk, options: ReadOptions): AsyncGenerator<RowBatch> {
    const session = await this.#connections.session()
    try {
      await session.begin('snapshot')
      const table = await lockedTable(session, ownTable(chunk.table))
      yield* readPages(session, { ...pageChunk(chunk), table }, { ...options.limits, signal: options.signal })
      await session.commit()
      session.release()
    } finally {
      session.destroy()
    }
  }

  absent(table: Table, keys: readonly Key[], options: Abortable): Promise<readonly boolean[]> {
    return this.#connections.use((session) =>
      session.within('snapshot', async () =>
        absentFrom(session, await lockedTable(session, ownTable(table)), keys, options),
      ),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A snapshot where nothing is captured: every table from one state of the database, held until the end. */
export class ConsistentSnapshot implements Snapshot {
  readonly position: Position
  readonly #session: Session

  private constructor(session: Session, position: Position) {
    this.#session = session
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
      return new ConsistentSnapshot(session, position)
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  async chunks(table: Table): Promise<readonly Chunk[]> {
    return [{ id: table.label, table }]
  }

  async *read(chunk: Chunk, options: ReadOptions): AsyncGenerator<RowBatch> {
    const whole = { id: chunk.id, table: ownTable(chunk.table), from: 0, to: undefined }
    yield* readPages(this.#session, whole, { ...options.limits, signal: options.signal })
  }

  absent(table: Table, keys: readonly Key[], options: Abortable): Promise<readonly boolean[]> {
    return absentFrom(this.#session, ownTable(table), keys, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy()
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
  const where = ranges.length === 0 ? '' : ` where ${ranges.join(' and ')}`
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

/** Ranges of pages; the last one has no end, so that a table that grows is read to its end. */
async function pageChunks(session: Session, table: PostgresTable): Promise<readonly PageChunk[]> {
  const single = { id: table.label, table, from: 0, to: undefined }
  if (table.partitioned) return [single]
  const sql = `select pg_catalog.pg_relation_size($1::oid) / pg_catalog.current_setting('block_size')::bigint`
  const [row] = await session.rows(`measuring ${table.label}`, sql, [table.oid])
  const count = Math.max(1, Math.ceil(Number(row?.[0] ?? 0) / chunkPages))
  if (count === 1) return [single]
  return Array.from({ length: count }, (_, index) => {
    const from = index * chunkPages
    return { id: `${table.label} ${from}`, table, from, to: index === count - 1 ? undefined : from + chunkPages }
  })
}

/** Locks the table and finds out how its rows are to be decoded now. */
async function lockedTable(session: Session, table: PostgresTable): Promise<PostgresTable> {
  await lock(session, [table])
  const [now] = await introspectTables(session.client, [table.oid])
  if (now !== undefined && now.relation === table.relation) return now.fingerprint === table.fingerprint ? table : now
  throw new SyncError('E_TABLE_GONE', `${table.label} was dropped or renamed while it was copied`, {
    table: table.label,
    hint: 'Run the full sync again.',
  })
}

function pageChunk(chunk: Chunk): PageChunk {
  if ('from' in chunk) return chunk as PageChunk
  throw new TypeError(`${chunk.id} is not a chunk of this source`)
}
