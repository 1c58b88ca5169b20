/** Uses a source as the engine does, and mirrors what it says. */
import { type Batch, isBarrier, type Row, type RowBatch } from '../core/batch.js'
import type { Position } from '../core/checkpoint.js'
import type { Delta } from '../core/delta.js'
import type { Table } from '../core/schema.js'
import type { Snapshot, Source } from '../core/source.js'
import { MemorySink } from './memory-sink.js'
import { demandRows } from './row-comparison.js'
import type { SourceModel, SourceSubject } from './source-model.js'
import { identifyKey, StoredRows } from './stored-rows.js'
import { demand, type Invariant, within } from './suite.js'

export const pipelineId = 'kit'
export const limits = { rowsMax: 7, bytesMax: 1_048_576 }

/** One use of one source, from `open` to `close`, and a mirror in memory of what it gave. */
export class SourceSession {
  readonly source: Source
  readonly mirror: MemorySink
  tables: readonly Table[] = []

  private constructor(source: Source, mirror: MemorySink) {
    this.source = source
    this.mirror = mirror
  }

  /** @param mirror what an earlier session mirrored. @defaultValue empty */
  static async use<T>(
    subject: SourceSubject,
    work: (session: SourceSession) => Promise<T>,
    mirror = new MemorySink(),
  ): Promise<T> {
    const session = new SourceSession(await subject.source(), mirror)
    try {
      await session.open()
      return await work(session)
    } finally {
      await session.close()
    }
  }

  /** A source that is not yet open. The caller closes it. */
  static async unopened(subject: SourceSubject): Promise<SourceSession> {
    return new SourceSession(await subject.source(), new MemorySink())
  }

  async open(): Promise<void> {
    const context = { syncId: pipelineId, warn: () => undefined }
    await within('L2', 'open()', Promise.resolve(this.source.open?.(context)))
    await this.mirror.open(context)
    const offered = await within('I7', 'tables()', this.source.tables({}))
    this.tables = offered.filter(({ name }) => name === 'users' || name === 'orders')
    demand('I7', this.tables.length === 2, 'tables() does not offer the tables users and orders')
    await this.mirror.prepare(this.tables, { phase: 'full' })
  }

  async close(): Promise<void> {
    await within('L2', 'close()', Promise.resolve(this.source.close?.()))
  }

  table(name: string): Table {
    const found = this.tables.find((table) => table.name === name)
    demand('I7', found !== undefined, `tables() does not offer the table ${name}`)
    return found
  }

  /** Makes sure that changes are captured, and opens a snapshot. The caller disposes of it. */
  async openSnapshot(captured: boolean): Promise<Snapshot> {
    const { source, tables } = this
    await within('L3', 'check()', Promise.resolve(source.check?.(tables, { captured })))
    if (captured) await within('I1', 'prepare()', Promise.resolve(source.prepare?.(tables, {})))
    return within('I7', 'openSnapshot()', source.openSnapshot({ tables, captured }))
  }

  /** Copies every table. @param between called after each chunk @returns t1 */
  async full(captured: boolean, between: () => Promise<unknown> = async () => undefined): Promise<Position> {
    const snapshot = await this.openSnapshot(captured)
    const { position } = snapshot
    for (const table of this.tables) {
      await this.mirror.write(barrier(snapshot, table), {})
      const chunks = await within('I7', 'chunks()', snapshot.chunks(table, {}))
      const ids = new Set(chunks.map(({ id }) => id))
      demand('I7', ids.size === chunks.length, `two chunks of ${table.label} have one id`)
      for (const chunk of chunks) {
        const batches: RowBatch[] = []
        for await (const batch of snapshot.read(chunk, { limits })) {
          demand('I7', batch.op === 'upsert', `a snapshot gave a batch to ${batch.op}`)
          batches.push(batch)
        }
        for (const batch of batches) await this.mirror.write(checked(batch), {})
        await between()
      }
      await between()
    }
    await within('I7', 'the end of the snapshot', Promise.resolve(snapshot[Symbol.asyncDispose]()))
    return position
  }

  /** Applies every change after a position that is visible by now. @returns the position reached */
  async drain(after: Position, until?: Position): Promise<Position> {
    let position = after
    let drained = false
    const deltas = this.source.changes({ tables: this.tables, after, until, follow: until !== undefined, limits })
    const iterator = deltas[Symbol.asyncIterator]()
    for (;;) {
      const step = await within('I8', 'the next delta', iterator.next())
      if (step.done === true) break
      await this.apply(step.value)
      const backwards = this.source.compare(step.value.position, position) < 0
      demand('I2', !backwards, 'the position of a delta is before that of the one before it')
      position = step.value.position
      drained = step.value.drained
    }
    demand('I8', drained, 'changes() ended though no delta was drained')
    if (until !== undefined) {
      demand('I1', this.source.compare(position, until) >= 0, 'changes() ended before the position `until`')
    }
    return position
  }

  /** Applies one delta, holding its batches as long as an engine might. */
  async apply(delta: Delta): Promise<void> {
    const held: RowBatch[] = []
    const iterator = delta.batches[Symbol.asyncIterator]()
    for (;;) {
      const step = await within('I8', 'the next batch of a delta', iterator.next())
      if (step.done === true) break
      const batch = step.value
      if (isBarrier(batch)) {
        demand('I6', held.length === 0, `a batch to ${batch.op} came after rows of the same delta`)
        await this.mirror.write(batch, {})
      } else held.push(batch)
    }
    demandDisjoint(held)
    for (const batch of held) await this.mirror.write(checked(batch), {})
  }

  /** @throws InvariantError unless the mirror has exactly the rows of the source */
  expect(invariant: Invariant, when: string, model: SourceModel): void {
    for (const table of this.tables) {
      demandRows(invariant, when, table, model.rows(table.name), this.mirror.rows(table.label))
    }
  }
}

function barrier(snapshot: Snapshot, table: Table): Batch {
  const { absent } = snapshot
  if (absent === undefined) return { op: 'truncate', table }
  return { op: 'replace', table, absent: (keys) => absent.call(snapshot, table, keys, {}) }
}

/** Reads a batch in every way, more than once. @throws InvariantError for I5 */
function checked(batch: RowBatch): RowBatch {
  const { label } = batch.table
  demand('I5', batch.length <= limits.rowsMax, `a batch of ${label} has ${batch.length} rows, more than it may`)
  const [first, again] = [textOf(batch, batch.rows()), textOf(batch, batch.rows())]
  demand('I5', first === again, `rows() of a batch of ${label} gave other rows when it was called again`)
  const [walked, walkedAgain] = [textOf(batch, walk(batch)), textOf(batch, walk(batch))]
  demand('I5', walked === walkedAgain, `cursor() of a batch of ${label} gave other rows when it was called again`)
  demand('I5', walked === first, `cursor() and rows() of a batch of ${label} give different rows`)
  demand(
    'I5',
    [...batch.rows()].length === batch.length,
    `a batch of ${label} has another number of rows than its length`,
  )
  const names = new Set(batch.columns.map(({ name }) => name))
  demand(
    'I5',
    batch.table.key.every(({ name }) => names.has(name)),
    `a batch of ${label} lacks a column of the key`,
  )
  return batch
}

function* walk(batch: RowBatch): Generator<Row> {
  const cursor = batch.cursor()
  while (cursor.next()) yield Object.fromEntries(batch.columns.map(({ name }, column) => [name, cursor.get(column)]))
}

function textOf(batch: RowBatch, rows: Iterable<Row>): string {
  return [...rows].map((row) => identifyKey(batch.columns.map(({ name }) => row[name] ?? null))).join('\n')
}

function demandDisjoint(batches: readonly RowBatch[]): void {
  const seen = new Map<string, Set<string>>()
  for (const batch of batches) {
    const stored = new StoredRows(batch.table)
    const keys = seen.get(batch.table.label) ?? new Set()
    seen.set(batch.table.label, keys)
    for (const row of batch.rows()) {
      const key = stored.identify(row)
      demand('I3', !keys.has(key), `the key ${key} of ${batch.table.label} occurs twice in one delta`)
      keys.add(key)
    }
  }
}
