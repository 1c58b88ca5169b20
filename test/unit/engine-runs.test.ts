/** What a run does: the first one, and those that come after it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Batch, Row } from '../../src/core/batch.js'
import type { TableProgress } from '../../src/core/events.js'
import type { Sink } from '../../src/core/sink.js'
import type { Snapshot, SnapshotOptions } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { type FaultyOperation, faulty, MemorySink, MemorySource, Reject } from '../../src/testing/index.js'
import {
  copied,
  events,
  expectEqual,
  fatal,
  filled,
  lost,
  orders,
  recording,
  retry,
  tables,
  user,
  users,
} from '../support/engine-fixtures.js'

/** Counts open reads, each of which takes a moment, and makes some of them fail. */
class CountingSource extends MemorySource {
  reading = 0
  readingMax = 0
  failures = 0

  override async openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
    const snapshot = await super.openSnapshot(options)
    const read = snapshot.read.bind(snapshot)
    const slowly = async function* (this: CountingSource, ...args: Parameters<Snapshot['read']>) {
      this.reading += 1
      this.readingMax = Math.max(this.readingMax, this.reading)
      try {
        await sleep(5)
        yield* read(...args)
        this.failures -= 1
        if (this.failures >= 0) throw lost
      } finally {
        this.reading -= 1
      }
    }
    snapshot.read = slowly.bind(this)
    return snapshot
  }
}

describe('a first run', () => {
  it('copies every table, then applies what changed, and says so', async () => {
    const source = filled()
    const sink = new MemorySink()
    const engine = new SyncEngine({ source, sink, checkpoints: new MemoryCheckpointStore(), limits: { rowsMax: 4 } })
    const log = events(engine)
    engine.once('batch', () => source.upsert(users.label, user(99)))
    const result = await engine.run()

    expectEqual(sink, source)
    expect(result).toMatchObject({ reason: 'completed', phase: 'incremental', position: 'memory:3' })
    expect(result.tables.get(users.label)?.changes).toBe(1)
    expect(result.tables.get(orders.label)).toEqual({ rows: 2, changes: 0 })
    const story = log.filter(([name]) => name === 'phase' || name === 'checkpoint' || name === 'caughtUp')
    expect(story).toMatchObject([
      ['phase', { phase: 'full', tables }],
      ['checkpoint', { kind: 'full_sync_start', text: 'memory:2', lagMs: undefined }],
      ['checkpoint', { kind: 'full_sync_end', text: 'memory:3', lagMs: undefined }],
      ['phase', { phase: 'incremental', tables }],
      ['checkpoint', { kind: 'incremental', text: 'memory:3', lagMs: expect.any(Number) }],
      ['caughtUp', { text: 'memory:3' }],
    ])
    expect(log.filter(([name]) => name === 'retry' || name === 'warning')).toEqual([])
  })

  it('tells the progress of each table', async () => {
    const engine = new SyncEngine({ source: filled(), sink: new MemorySink() })
    const log = events(engine)
    await engine.run({ phase: 'full' })
    const progress = log.filter(([name]) => name === 'table').map(([, payload]) => payload as TableProgress)
    const of = (label: string) => progress.filter(({ table }) => table.label === label)
    for (const [label, rows] of [
      [users.label, 20],
      [orders.label, 2],
    ] as const) {
      const story = of(label).map(({ state, chunks }) => `${state} ${chunks?.done}/${chunks?.total}`)
      expect(story).toEqual(['running 0/3', 'running 1/3', 'running 1/3', 'running 2/3', 'running 2/3', 'done 3/3'])
      expect(of(label)[0]).toMatchObject({ phase: 'full', rows: 0 })
      expect(of(label).at(-1)).toMatchObject({ phase: 'full', rows })
    }
  })

  it('reads as many chunks at once as it may, and no more; barriers come first and alone', async () => {
    for (const concurrency of [1, 3]) {
      const source = new CountingSource({ tables, chunks: 5 })
      for (let id = 0; id < 40; id++) source.upsert(users.label, user(id))
      const sink = new MemorySink({ inFlight: 3 })
      await new SyncEngine({ source, sink, concurrency }).run({ phase: 'full' })
      expect(source.readingMax).toBe(concurrency)
      expectEqual(sink, source)
      expect(sink.operations.slice(0, 2).map(({ op }) => op)).toEqual(['replace', 'replace'])
    }
  })

  it('stops all readers at the failure of one, and reads on where each of them was', async () => {
    const source = new CountingSource({ tables, chunks: 6 })
    for (let id = 0; id < 60; id++) source.upsert(users.label, user(id))
    source.failures = 2
    const sink = new MemorySink()
    const checkpoints = new MemoryCheckpointStore()
    const engine = new SyncEngine({ source, sink, checkpoints, concurrency: 3, retry })
    const log = events(engine)
    await engine.run({ phase: 'full' })
    expectEqual(sink, source)
    expect(log.filter(([name]) => name === 'retry')).toHaveLength(2)
    expect(source.reading).toBe(0)
    source.failures = Number.POSITIVE_INFINITY
    await expect(engine.run({ phase: 'full' })).rejects.toMatchObject({ code: 'E_RETRY_EXHAUSTED' })
    expect(source.reading).toBe(0)
  })

  it('has the source capture changes before the snapshot, which is before t2', async () => {
    const log: FaultyOperation[] = []
    const source = faulty(filled(), recording(log))
    await new SyncEngine({ source, sink: new MemorySink(), checkpoints: new MemoryCheckpointStore() }).run()
    const wanted = new Set(['open', 'tables', 'check', 'prepare', 'openSnapshot', 'dispose', 'position', 'changes'])
    const order = log.filter((operation, index) => wanted.has(operation) && log.indexOf(operation) === index)
    expect(order).toEqual(['open', 'tables', 'check', 'prepare', 'openSnapshot', 'dispose', 'position', 'changes'])
  })

  it('of the full phase alone, without a store, captures nothing', async () => {
    const log: FaultyOperation[] = []
    const sink = new MemorySink()
    const source = filled()
    const result = await new SyncEngine({ source: faulty(source, recording(log)), sink }).run({ phase: 'full' })
    expectEqual(sink, source)
    expect(result).toMatchObject({ reason: 'completed', phase: 'full', position: undefined })
    expect(log).not.toContain('prepare')
    expect(log).not.toContain('position')
    expect(log).not.toContain('changes')
  })

  it('keeps to the batch size and the number of open writes that the sink prefers', async () => {
    const sink = new MemorySink({ inFlight: 3, limits: { rowsMax: 2 } })
    const slow: Sink = faulty(sink, () => ({
      around: async (call) => {
        await new Promise((resolve) => setImmediate(resolve))
        return call()
      },
    }))
    await new SyncEngine({ source: filled(), sink: slow }).run({ phase: 'full' })
    expect(Math.max(...sink.operations.map(({ rows }) => rows))).toBe(2)
    expect(sink.openMax).toBeLessThanOrEqual(3)
  })

  it('refuses a target that holds rows of somebody else, before it writes', async () => {
    const sink = new MemorySink()
    sink.plant(orders, { tenant: 'z', number: 1, total: '1' })
    const run = new SyncEngine({ source: filled(), sink }).run()
    await expect(run).rejects.toMatchObject({ code: 'E_TARGET_NOT_EMPTY', details: { table: orders.label } })
    expect(sink.operations).toEqual([])
    expect(sink.rows(orders.label)).toHaveLength(1)
  })

  it('I9: writes no row that a transform removes, and removes it later', async () => {
    const source = filled()
    const sink = new MemorySink()
    const options = { source, sink, checkpoints: new MemoryCheckpointStore() }
    const transforms = [(rows: readonly Row[]) => rows.map((row) => (row.name === 'secret' ? null : row))]
    source.upsert(users.label, user(1, 'secret'))
    const { tables: counts } = await new SyncEngine({ ...options, transforms }).run()
    expect(sink.rows(users.label)).toEqual(source.rows(users.label).filter(({ id }) => id !== 1))
    expect(counts.get(users.label)).toEqual({ rows: 19, changes: 0 })
    source.commit({ op: 'upsert', table: users.label, rows: [user(1), user(2, 'secret')] })
    await new SyncEngine({ ...options, transforms }).run()
    expect(sink.rows(users.label)).toEqual(source.rows(users.label).filter(({ id }) => id !== 2))
  })
})

describe.each([
  ['that can list absent keys', true],
  ['that cannot', false],
])('a repeated full phase from a source %s', (_, absent) => {
  it('leaves no row behind that is gone, also in a table that has become empty', async () => {
    const source = filled({ absent })
    const sink = new MemorySink()
    const engine = new SyncEngine({ source, sink })
    await engine.run({ phase: 'full' })
    source.delete(users.label, user(3))
    source.truncate(orders.label)
    await engine.run({ phase: 'full' })
    expectEqual(sink, source)
    expect(sink.operations.some(({ op }) => op === (absent ? 'replace' : 'truncate'))).toBe(true)
  })
})

describe('a second run', () => {
  it('goes on where the first one ended, without copying again', async () => {
    const { source, sink, checkpoints } = await copied()
    source.upsert(users.label, user(1, 'renamed'), user(50))
    source.delete(users.label, user(2))
    source.commit(
      { op: 'truncate', table: orders.label },
      { op: 'upsert', table: orders.label, rows: [{ tenant: 'c', number: 3 }] },
    )
    const before = sink.operations.length
    const result = await new SyncEngine({ source, sink, checkpoints }).run()
    expectEqual(sink, source)
    expect(sink.operations.slice(before).map(({ op, rows }) => [op, rows])).toEqual([
      ['truncate', 0],
      ['delete', 1],
      ['upsert', 2],
      ['upsert', 1],
    ])
    expect(result).toMatchObject({ reason: 'completed', phase: 'incremental', position: 'memory:5' })
    expect(result.tables.get(users.label)).toEqual({ rows: 0, changes: 3 })
  })

  it('after a full phase alone replays from before the copy', async () => {
    const source = filled()
    const sink = new MemorySink()
    const checkpoints = new MemoryCheckpointStore()
    const engine = new SyncEngine({ source, sink, checkpoints })
    engine.once('batch', () => source.delete(users.label, user(0)))
    await engine.run({ phase: 'full' })
    expect(await checkpoints.load('default')).toMatchObject({
      kind: 'full_sync_end',
      position: 'memory:3',
      resumeAfter: 'memory:2',
      described: { Memory: { sequence: 3 } },
    })
    const result = await new SyncEngine({ source, sink, checkpoints }).run()
    expect(result.phase).toBe('incremental')
    expectEqual(sink, source)
  })

  it('begins again with the full phase when the first copy did not finish', async () => {
    const source = filled()
    const sink = new MemorySink()
    const checkpoints = new MemoryCheckpointStore()
    const broken = faulty(sink, { write: [undefined, undefined, new Reject(fatal)] })
    await expect(new SyncEngine({ source, sink: broken, checkpoints }).run()).rejects.toBe(fatal)
    expect(await checkpoints.load('default')).toMatchObject({ kind: 'full_progress' })
    const engine = new SyncEngine({ source, sink, checkpoints })
    const log = events(engine)
    await engine.run()
    expect(log.filter(([name]) => name === 'phase')).toHaveLength(2)
    expectEqual(sink, source)
  })

  it('saves nothing and says once that it has caught up when nothing changed', async () => {
    const pipeline = await copied()
    const engine = new SyncEngine(pipeline)
    const log = events(engine)
    await engine.run()
    expect(log.map(([name]) => name)).toEqual(['phase', 'checkpoint', 'caughtUp'])
  })

  it('says that it has caught up again also when a delta without changes is what drains it', async () => {
    const { source, sink, checkpoints } = await copied()
    source.upsert(users.label, user(50))
    async function* nothing(): AsyncGenerator<Batch> {}
    const changes = source.changes.bind(source)
    source.changes = async function* (options) {
      yield { batches: nothing(), position: options.after, drained: true }
      for await (const delta of changes(options)) {
        // Where they lead is known at their end only.
        yield Object.defineProperty(delta, 'drained', { value: false })
        yield { batches: nothing(), position: delta.position, drained: true }
      }
    }
    const engine = new SyncEngine({ source, sink, checkpoints })
    const log = events(engine)
    await engine.run()
    const names = log.map(([name]) => name).filter((name) => name === 'batch' || name === 'caughtUp')
    expect(names).toEqual(['caughtUp', 'batch', 'caughtUp'])
  })

  it('keeps pipelines apart by their id', async () => {
    const { source, checkpoints } = await copied({ forgets: false })
    const sink = new MemorySink()
    const engine = new SyncEngine({ source, sink, checkpoints, id: 'other' })
    const log = events(engine)
    await engine.run()
    expect(log[0]).toMatchObject(['phase', { phase: 'full' }])
    expectEqual(sink, source)
  })
})
