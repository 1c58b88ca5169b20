/** Reads whole tables: all from one state of the database, or each chunk from a state of its own. */
import pg from 'pg'
import { stateOf } from '../../connections/postgres/errors.js'
import type { Key, RowBatch } from '../../core/batch.js'
import type { Position } from '../../core/checkpoint.js'
import { SyncError } from '../../core/errors.js'
import type { Table } from '../../core/schema.js'
import type { Abortable, Chunk, ReadOptions, Snapshot } from '../../core/source.js'
import type { Connections } from './connections.js'
import type { CopyOptions } from './copy-stream.js'
import { keyJson } from './key-cells.js'
import { KnownTables, tableGone } from './known-tables.js'
import { isWhole, pageChunk, pageChunks, readPages } from './page-chunks.js'
import type { PostgresTable } from './postgres-table.js'
import { absentKeys } from './reread.js'
import type { Session } from './session.js'
import { ownTable } from './table-selection.js'
import type { TableShaper } from './table-shape.js'

/** How a full sync sees the tables. */
export type SnapshotMode = 'auto' | 'consistent' | 'chunked'

interface SnapshotSetup {
  readonly connections: Connections
  readonly tables: readonly PostgresTable[]
  readonly position: Position
  /** Names the run. */
  readonly run: string
  readonly shaper: TableShaper
}

/** How keys are asked about: few at a time, and small. */
const absentLimits = { rowsMax: 1_000, bytesMax: 1_048_576 }

/**
 * A snapshot where changes are captured: each chunk is read in a short transaction, so that no lock and no old row version
 * is held for longer than a chunk. Replaying the changes after the position repairs the mixture.
 */
class ChunkedSnapshot implements Snapshot {
  readonly position: Position
  readonly #connections: Connections
  readonly #known: KnownTables
  readonly #run: string

  private constructor({ connections, position, run }: SnapshotSetup, known: KnownTables) {
    this.#connections = connections
    this.#known = known
    this.#run = run
    this.position = position
  }

  static async open(setup: SnapshotSetup): Promise<ChunkedSnapshot> {
    const { connections, tables, shaper } = setup
    const load = (session: Session) => session.within('look', () => KnownTables.load(session, tables, shaper))
    return new ChunkedSnapshot(setup, await connections.use(load))
  }

  chunks(table: Table): Promise<readonly Chunk[]> {
    const known = this.#known.at(ownTable(table))
    return this.#connections.use((session) => pageChunks(session, known, this.#run))
  }

  async *read(chunk: Chunk, options: ReadOptions): AsyncGenerator<RowBatch> {
    const session = await this.#connections.session()
    try {
      await session.begin('snapshot')
      const part = pageChunk(chunk)
      const table = await this.#locked(session, part.table)
      if (table.storage !== part.table.storage && !isWhole(part)) throw rewritten(part.table)
      yield* readPages(session, { ...part, table }, { ...options.limits, signal: options.signal })
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

  /** Locks the table and finds out how its rows are to be decoded now. @throws SyncError `E_TABLE_GONE` */
  async #locked(session: Session, table: Table): Promise<PostgresTable> {
    const own = ownTable(table)
    try {
      await lock(session, [own])
    } catch (error) {
      // 42P01, 3F000: nothing has that name now, or there is no such schema.
      const state = stateOf(error)
      throw state === '42P01' || state === '3F000' ? tableGone(own, error) : error
    }
    return this.#known.current(session, own)
  }
}

/**
 * Every table from one state of the database, which one session holds until the end and others share. Until then nobody can
 * alter or truncate the tables, and vacuum keeps what has been deleted since.
 */
class ConsistentSnapshot implements Snapshot {
  readonly position: Position
  readonly #connections: Connections
  readonly #holder: Session
  readonly #known: KnownTables
  readonly #id: string
  readonly #run: string

  private constructor({ connections, position, run }: SnapshotSetup, holder: Session, known: KnownTables, id: string) {
    this.#connections = connections
    this.#holder = holder
    this.#known = known
    this.#id = id
    this.#run = run
    this.position = position
  }

  static async open(setup: SnapshotSetup): Promise<ConsistentSnapshot> {
    const { connections, tables } = setup
    const session = await connections.session()
    try {
      await session.begin('snapshot')
      await lock(session, tables)
      const [row] = await session.rows('exporting the snapshot', 'select pg_catalog.pg_export_snapshot()')
      // Before the lock they may have been altered since they were looked at last.
      const known = await KnownTables.load(session, tables, setup.shaper)
      return new ConsistentSnapshot(setup, session, known, row?.[0] ?? '')
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  chunks(table: Table): Promise<readonly Chunk[]> {
    const known = this.#known.at(ownTable(table))
    return this.#connections.use((session) => pageChunks(session, known, this.#run))
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
    return absentFrom(this.#holder, this.#known.at(ownTable(table)), keys, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.destroy()
  }
}

/** @throws SyncError `E_CONFIG` */
export async function openSnapshot(
  mode: SnapshotMode,
  captured: boolean,
  setup: Omit<SnapshotSetup, 'position'>,
  position: () => Promise<Position>,
): Promise<Snapshot> {
  if (mode === 'chunked' && !captured) throw notCaptured()
  const chunked = mode === 'chunked' || (mode === 'auto' && captured)
  // Before the snapshot: what is committed in between is in both, and what is not will be replayed.
  const whole = { ...setup, position: await position() }
  return (chunked ? ChunkedSnapshot : ConsistentSnapshot).open(whole)
}

/** The ranges of pages are those of files that are gone, and other rows may be in them now. */
function rewritten({ label }: PostgresTable): SyncError {
  return new SyncError('E_BUSY', `${label} was rewritten while it was copied, so it is cut into parts again`, {
    table: label,
    hint: 'Run VACUUM FULL, CLUSTER and TRUNCATE when no full sync is under way.',
  })
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

export function notCaptured(): SyncError {
  return new SyncError('E_CONFIG', 'A chunked snapshot needs changes to be captured: rows that move would be missed', {
    hint: "Choose `snapshot: 'consistent'`, or capture changes with `checkpoints`.",
  })
}
