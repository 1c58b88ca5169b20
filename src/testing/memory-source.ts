/** A source whose database is this object. */
import type { Row } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Delta } from '../core/delta.js'
import { SyncError } from '../core/errors.js'
import type { Table } from '../core/schema.js'
import type {
  Abortable,
  ChangeOptions,
  CheckOptions,
  RunContext,
  Snapshot,
  SnapshotOptions,
  Source,
} from '../core/source.js'
import type { Json } from '../core/value.js'
import { type Commit, MemoryDelta } from './memory-delta.js'
import { MemorySnapshot } from './memory-snapshot.js'
import { pick, StoredRows } from './stored-rows.js'

/** What a {@link MemorySource} holds, and can do. */
export interface MemorySourceOptions {
  readonly tables: readonly Table[]
  /** How many chunks a snapshot reads each table in. @defaultValue 3 */
  readonly chunks?: number
  /** How many commits one delta spans at most. @defaultValue 10 */
  readonly commitsMax?: number
  /**
   * Whether a snapshot can tell which keys it lacks. If not, tables are truncated before they are copied.
   * @defaultValue true
   */
  readonly absent?: boolean
  /** Whether changes that were acknowledged can no longer be read. @defaultValue true */
  readonly forgets?: boolean
}

/** What happens to one table within a commit. `replace` makes these rows its whole content. */
export type MemoryChange =
  | { readonly op: 'upsert' | 'delete' | 'replace'; readonly table: string; readonly rows: readonly Row[] }
  | { readonly op: 'truncate'; readonly table: string }

/**
 * A complete source over tables in memory, for tests of engines and sinks. It keeps a history of commits; a position is
 * the number of commits so far, `memory:42` in its public form. Rows may change at any time, also while a run reads.
 *
 * It is as strict as a real source and as lazy: nothing works before `open` or after `close`, what a delta promises can
 * be asked only after its end, and with capture each chunk of a snapshot is read as the table is by then.
 */
export class MemorySource implements Source {
  readonly name = 'memory'
  readonly #tables: ReadonlyMap<string, StoredRows>
  readonly #options: Required<Omit<MemorySourceOptions, 'tables'>>
  readonly #history: Commit[] = []
  readonly #waiting = new Set<() => void>()
  #forgotten = 0
  #acknowledged: Position | undefined
  #opened = false

  constructor({ tables, ...options }: MemorySourceOptions) {
    this.#tables = new Map(tables.map((table) => [table.label, new StoredRows(table)]))
    this.#options = { chunks: 3, commitsMax: 10, absent: true, forgets: true, ...options }
  }

  /** Whether `open` was called, and not `close` after it. */
  get opened(): boolean {
    return this.#opened
  }

  /** The newest position acknowledged. */
  get acknowledged(): Position | undefined {
    return this.#acknowledged
  }

  /** The rows that a table has now, in an order that depends on their keys alone. */
  rows(table: string): readonly Row[] {
    return this.#stored(table).list()
  }

  /** Commits: these rows exist with this content. A column that a row lacks is null. */
  upsert(table: string, ...rows: readonly Row[]): Position {
    return this.commit({ op: 'upsert', table, rows })
  }

  /** Commits: rows with these keys do not exist. */
  delete(table: string, ...rows: readonly Row[]): Position {
    return this.commit({ op: 'delete', table, rows })
  }

  /** Commits: the table is empty. */
  truncate(table: string): Position {
    return this.commit({ op: 'truncate', table })
  }

  /** Commits: the table has these rows and no others. */
  replace(table: string, ...rows: readonly Row[]): Position {
    return this.commit({ op: 'replace', table, rows })
  }

  /** Does all of this at once. Returns the position just after it. */
  commit(...changes: readonly MemoryChange[]): Position {
    const complete = changes.map((change) => {
      const rows = this.#stored(change.table)
      const { table } = rows
      if (change.op === 'truncate') {
        rows.clear()
        return { op: change.op, table, rows: [] }
      }
      if (change.op === 'replace') rows.clear()
      const columns = change.op === 'delete' ? table.key : table.columns
      const full = change.rows.map((row) => pick(row, columns))
      for (const row of full) {
        if (change.op === 'delete') rows.remove(row)
        else rows.put(row)
      }
      return { op: change.op, table, rows: full }
    })
    this.#history.push({ changes: complete, committedAtMs: Date.now() })
    for (const wake of this.#waiting) wake()
    return positionAt(this.#history.length)
  }

  async open({ signal }: RunContext): Promise<void> {
    signal?.throwIfAborted()
    this.#opened = true
  }

  async tables(options: Abortable): Promise<readonly Table[]> {
    this.#assertUsable(options)
    return [...this.#tables.values()].map(({ table }) => table)
  }

  async check(_: readonly Table[], options: CheckOptions): Promise<void> {
    this.#assertUsable(options)
    if (options.after !== undefined) this.#assertRemembered(sequenceOf(options.after))
  }

  async position(options: Abortable): Promise<Position> {
    this.#assertUsable(options)
    return positionAt(this.#history.length)
  }

  parse(text: string): Position {
    const digits = /^(?:memory:)?(\d{1,15})$/.exec(text)?.[1]
    if (digits === undefined) throw new SyncError('E_CONFIG', 'The position is not of the form memory:42')
    return positionAt(Number(digits))
  }

  describe(position: Position): { readonly text: string; readonly json: Json } {
    return { text: position, json: { Memory: { sequence: sequenceOf(position) } } }
  }

  compare(a: Position, b: Position): number {
    return sequenceOf(a) - sequenceOf(b)
  }

  async openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
    this.#assertUsable(options)
    const { chunks, absent } = this.#options
    if (options.since !== undefined) this.#assertRemembered(sequenceOf(options.since))
    const read = options.captured
      ? this.#tables
      : new Map([...this.#tables].map(([label, rows]) => [label, rows.copy()]))
    return new MemorySnapshot(options.since ?? positionAt(this.#history.length), read, { chunks, absent })
  }

  async *changes(options: ChangeOptions): AsyncGenerator<Delta> {
    const { after, until, follow, signal, limits } = options
    const tables = new Set(options.tables.map(({ label }) => label))
    let sequence = sequenceOf(after)
    let first = true
    for (;;) {
      this.#assertUsable(options)
      this.#assertRemembered(sequence)
      const end = Math.min(sequence + this.#options.commitsMax, this.#history.length)
      const drained = end === this.#history.length
      if (end > sequence || first) {
        const commits = this.#history.slice(sequence, end)
        const delta = new MemoryDelta({ commits, position: positionAt(end), drained, tables, limits, signal })
        yield delta
        if (!delta.ended) throw new TypeError('The next delta was asked for before the last one was read to its end')
        first &&= !drained
      }
      sequence = end
      if (!drained) continue
      if (!follow || (until !== undefined && sequence >= sequenceOf(until))) return
      await this.#committed(sequence, signal)
    }
  }

  async acknowledge(position: Position): Promise<void> {
    this.#assertUsable({})
    if (this.#acknowledged !== undefined && this.compare(position, this.#acknowledged) < 0) return
    this.#acknowledged = position
    if (this.#options.forgets) this.#forgotten = sequenceOf(position)
  }

  async close(): Promise<void> {
    this.#opened = false
  }

  #stored(label: string): StoredRows {
    const rows = this.#tables.get(label)
    if (rows === undefined) throw new TypeError(`There is no table ${label}`)
    return rows
  }

  #assertUsable({ signal }: Abortable): void {
    signal?.throwIfAborted()
    if (!this.#opened) throw new TypeError('The source is not open')
  }

  #assertRemembered(sequence: number): void {
    if (sequence > this.#history.length) throw new SyncError('E_SOURCE_REWOUND', 'The source is behind this position')
    if (sequence >= this.#forgotten) return
    throw new SyncError('E_AUDIT_HOLE', `Changes after ${positionAt(sequence)} were acknowledged and forgotten`)
  }

  /** Resolves when there are more commits than that. */
  #committed(sequence: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (this.#history.length <= sequence && signal?.aborted !== true) return
        this.#waiting.delete(settle)
        signal?.removeEventListener('abort', settle)
        if (signal?.aborted === true) reject(signal.reason)
        else resolve()
      }
      this.#waiting.add(settle)
      signal?.addEventListener('abort', settle)
      settle()
    })
  }
}

function positionAt(sequence: number): Position {
  return `memory:${sequence}` as Position
}

function sequenceOf(position: Position): number {
  return Number(position.slice('memory:'.length))
}
