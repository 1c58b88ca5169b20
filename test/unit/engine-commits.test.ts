/** Sinks that apply a delta and its checkpoint together. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import { deletes, type Row } from '../../src/core/batch.js'
import type { CheckpointStore } from '../../src/core/checkpoint.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { FailAfterWrite, type FaultyOperation, faulty, MemorySink, Reject } from '../../src/testing/index.js'
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
  user,
  users,
} from '../support/engine-fixtures.js'

describe('a sink that commits', () => {
  it('I10: gets rows and checkpoint together, and needs no store', async () => {
    const source = filled()
    const sink = new MemorySink({ transactional: true })
    await new SyncEngine({ source, sink }).run()
    expect(await sink.load('default')).toMatchObject({ kind: 'incremental', position: 'memory:2' })
    for (let id = 100; id < 125; id += 1) source.upsert(users.label, user(id))
    const engine = new SyncEngine({ source, sink })
    const positions: unknown[] = []
    engine.on('checkpoint', ({ text }) => positions.push([text, sink.rows(users.label).length]))
    const result = await engine.run()
    expect(result.phase).toBe('incremental')
    expect(positions).toEqual([
      ['memory:12', 30],
      ['memory:22', 40],
      ['memory:27', 45],
    ])
    expect(result.tables.get(users.label)).toEqual({ rows: 0, changes: 25 })
    expectEqual(sink, source)
  })

  it('I10: that fails has applied nothing, and nothing is counted', async () => {
    const { source, sink, checkpoints } = await copied({ transactional: true })
    source.upsert(users.label, user(60))
    const broken = faulty(source, { batches: [undefined, new Reject(fatal)] })
    const engine = new SyncEngine({ source: broken, sink, checkpoints })
    const log = events(engine)
    await expect(engine.run()).rejects.toBe(fatal)
    expect(log.map(([name]) => name)).toEqual(['phase'])
    expect(sink.rows(users.label)).toHaveLength(20)
    expect(await sink.load('default')).toMatchObject({ position: 'memory:2' })
  })

  it('I10: whose answer is lost ends with the same rows', async () => {
    const { source, sink, checkpoints } = await copied({ transactional: true })
    source.upsert(users.label, user(60))
    source.delete(users.label, user(1))
    const flaky = faulty(sink, { commit: [new FailAfterWrite(lost), new Reject(lost)] })
    const engine = new SyncEngine({ source, sink: flaky, checkpoints, retry })
    const log = events(engine)
    await engine.run()
    expectEqual(sink, source)
    expect(log.map(([name]) => name)).toEqual(['phase', 'retry', 'retry', 'batch', 'batch', 'checkpoint', 'caughtUp'])
  })

  it('is followed by a store apart, so that a restart does not ask for changes that are forgotten', async () => {
    const { source, sink, checkpoints } = await copied({ transactional: true })
    source.upsert(users.label, user(60))
    await new SyncEngine({ source, sink, checkpoints }).run()
    expect(source.acknowledged).toBe('memory:3')
    expect(await checkpoints.load('default')).toMatchObject({ resumeAfter: 'memory:3' })
    await new SyncEngine({ source, sink, checkpoints }).run()
    expectEqual(sink, source)
  })

  it('gets transformed rows, and barriers as they are', async () => {
    const { source, sink, checkpoints } = await copied({ transactional: true })
    source.commit(
      { op: 'truncate', table: orders.label },
      { op: 'upsert', table: users.label, rows: [user(1), user(2)] },
    )
    const transforms = [(rows: readonly Row[]) => rows.map((row) => (row.id === 2 ? null : { ...row, name: 'x' }))]
    await new SyncEngine({ source, sink, checkpoints, transforms }).run()
    expect(sink.operations.slice(-3).map(({ op }) => op)).toEqual(['truncate', 'upsert', 'delete'])
    expect(sink.rows(users.label).slice(0, 2)).toEqual([user(0), user(1, 'x')])
    expect(sink.rows(orders.label)).toEqual([])
  })

  it('is believed when it is ahead of a store apart', async () => {
    const { source, sink, checkpoints } = await copied({ transactional: true })
    source.upsert(users.label, user(60))
    const halting = faulty(checkpoints, { save: [new Reject(fatal)] })
    await expect(new SyncEngine({ source, sink, checkpoints: halting }).run()).rejects.toBe(fatal)
    expect(await checkpoints.load('default')).toMatchObject({ resumeAfter: 'memory:2' })
    expect(await sink.load('default')).toMatchObject({ resumeAfter: 'memory:3' })
    const engine = new SyncEngine({ source, sink, checkpoints })
    const log = events(engine)
    expect(await engine.plan()).toMatchObject({ phases: ['incremental'], from: 'memory:3' })
    await engine.run()
    expect(log.map(([name]) => name)).toEqual(['phase', 'checkpoint', 'caughtUp'])
    expect(await checkpoints.load('default')).toMatchObject({ resumeAfter: 'memory:3' })
  })

  it('is believed when it was restored to what it had been, with a warning', async () => {
    const { source, sink, checkpoints } = await copied({ transactional: true, forgets: false })
    const before = await sink.load('default')
    source.upsert(users.label, user(60))
    await new SyncEngine({ source, sink, checkpoints }).run()
    await sink.write(deletes(users, [user(60)]), {}).catch(() => undefined)
    if (before !== undefined) await sink.save('default', before)
    const engine = new SyncEngine({ source, sink, checkpoints })
    const log = events(engine)
    await engine.run()
    expect(log[0]).toMatchObject(['warning', { code: 'target_behind', message: expect.stringContaining('memory:3') }])
    expectEqual(sink, source)
  })

  it('is not written to when it lost what a store apart knows of', async () => {
    const { source, checkpoints } = await copied({ transactional: true, forgets: false })
    const emptied = new MemorySink({ transactional: true })
    const log: FaultyOperation[] = []
    const engine = new SyncEngine({ source, sink: faulty(emptied, recording(log)), checkpoints })
    for (const options of [{}, { phase: 'incremental' }, { from: 'memory:0' }] as const) {
      await expect(engine.run(options)).rejects.toMatchObject({ code: 'E_STATE_MISSING' })
    }
    expect(new Set(log)).toEqual(new Set(['open', 'load', 'probe']))
    await engine.run({ phase: 'full' })
    await engine.run()
    expectEqual(emptied, source)
  })

  it('goes on after another tool, which kept nothing in the target', async () => {
    const source = filled()
    const sink = new MemorySink({ transactional: true })
    const position = source.parse('memory:1')
    const external = { kind: 'full_sync_end', position, resumeAfter: position, described: null, timestamp: '' } as const
    const saved = new MemoryCheckpointStore()
    const checkpoints: CheckpointStore = {
      load: async (id) => (await saved.load(id)) ?? { ...external, external: true },
      save: (id, checkpoint) => saved.save(id, checkpoint),
    }
    await new SyncEngine({ source, sink, checkpoints }).run()
    expect(sink.rows(orders.label)).toEqual(source.rows(orders.label))
    expect(await sink.load('default')).toMatchObject({ kind: 'incremental', position: 'memory:2' })
  })

  it('captures nothing in a full phase alone if nobody asked for checkpoints', async () => {
    const log: FaultyOperation[] = []
    const [source, sink] = [faulty(filled(), recording(log)), new MemorySink({ transactional: true })]
    await new SyncEngine({ source, sink }).run({ phase: 'full' })
    expect(log).not.toContain('prepare')
    await new SyncEngine({ source, sink, checkpoints: sink }).run({ phase: 'full' })
    expect(log).toContain('prepare')
    expect(await sink.load('default')).toMatchObject({ kind: 'full_sync_end' })
  })
})
