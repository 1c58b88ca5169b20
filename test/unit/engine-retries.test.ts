/** Errors that pass by themselves. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Source } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { FailAfterWrite, type FaultyOperation, faulty, MemorySink, Reject } from '../../src/testing/index.js'
import { copied, events, expectEqual, filled, lost, recording, retry, user, users } from '../support/engine-fixtures.js'

describe('errors that pass', () => {
  it('of a write are met by writing the batch again', async () => {
    const source = filled()
    const sink = new MemorySink()
    const flaky = faulty(sink, { write: [new FailAfterWrite(lost), new Reject(lost), undefined, new Reject(lost)] })
    const engine = new SyncEngine({ source, sink: flaky, retry })
    const log = events(engine)
    await engine.run()
    expectEqual(sink, source)
    expect(log.filter(([name]) => name === 'retry').map(([, notice]) => notice)).toMatchObject([
      { code: 'E_CONNECTION_LOST', message: lost.message, attempt: 1, delayMs: 0 },
      { attempt: 2 },
      { attempt: 1 },
    ])
  })

  it('of the changes are met by reading on from the last position', async () => {
    const { source, sink, checkpoints } = await copied()
    for (let id = 0; id < 45; id += 1) source.upsert(users.label, user(id, 'renamed'))
    const after: string[] = []
    const flaky = faulty(source, {
      changes: [undefined, new Reject(lost), undefined, new FailAfterWrite(lost)],
      batches: [undefined, undefined, undefined, undefined, undefined, new Reject(lost)],
    })
    const watched: Source = {
      ...flaky,
      changes: (options) => {
        after.push(options.after)
        return flaky.changes(options)
      },
    }
    await new SyncEngine({ source: watched, sink, checkpoints, retry }).run()
    expectEqual(sink, source)
    expect(after).toEqual(['memory:2', 'memory:12', 'memory:22', 'memory:22'])
  })

  it('of the source while it copies are met by a new snapshot, which reads only what is missing', async () => {
    const source = filled()
    const sink = new MemorySink()
    const log: FaultyOperation[] = []
    const script = {
      chunks: [new Reject(lost)],
      read: [undefined, undefined, new Reject(lost)],
      dispose: [new Reject(lost)],
    }
    const flaky = faulty(faulty(source, script), recording(log))
    const engine = new SyncEngine({ source: flaky, sink, checkpoints: new MemoryCheckpointStore(), retry })
    await engine.run()
    expectEqual(sink, source)
    expect(log.filter((operation) => operation === 'openSnapshot')).toHaveLength(3)
    expect(sink.operations.filter(({ op }) => op === 'replace')).toHaveLength(2)
  })

  it('of the source while it copies without capture are met by copying all from one new snapshot', async () => {
    const source = filled()
    const sink = new MemorySink()
    const flaky = faulty(source, { chunks: [undefined, new Reject(lost)] })
    const engine = new SyncEngine({ source: flaky, sink, retry })
    engine.on('retry', () => source.delete(users.label, user(5)))
    const result = await engine.run({ phase: 'full' })
    expectEqual(sink, source)
    expect(result.tables.get(users.label)).toEqual({ rows: 19, changes: 0 })
  })

  it('do not go on for ever in a copy that must begin again each time', async () => {
    const failing = faulty(filled(), {
      chunks: Array.from({ length: 50 }, (_, index) => (index % 2 === 1 ? new Reject(lost) : undefined)),
    })
    const run = new SyncEngine({ source: failing, sink: new MemorySink(), retry }).run({ phase: 'full' })
    await expect(run).rejects.toMatchObject({ code: 'E_RETRY_EXHAUSTED', cause: lost })
  })

  it('of the source in the middle of a replacement are met by a new snapshot', async () => {
    const { source, sink, checkpoints } = await copied()
    source.delete(users.label, user(3))
    // Once its connection is lost, a snapshot stays lost.
    let snapshots = 0
    const flaky: Source = {
      ...faulty(source, {}),
      openSnapshot: async (options) => {
        snapshots += 1
        const snapshot = await source.openSnapshot(options)
        return faulty(
          { ...faulty(source, {}), openSnapshot: async () => snapshot },
          {
            absent: snapshots === 1 ? Array.from({ length: 50 }, () => new Reject(lost)) : [],
          },
        ).openSnapshot(options)
      },
    }
    await new SyncEngine({ source: flaky, sink, checkpoints, retry }).run({ phase: 'full' })
    expectEqual(sink, source)
    expect(snapshots).toBe(2)
  })

  it.each<FaultyOperation>([
    'prepare',
    'position',
    'openSnapshot',
    'chunks',
    'read',
    'changes',
    'batches',
    'absent',
    'dispose',
    'acknowledge',
  ])('of %s at the source do not end the run', async (operation) => {
    const { source, sink, checkpoints } = await copied()
    source.delete(users.label, user(3))
    const flaky = faulty(source, { [operation]: [new Reject(lost), new FailAfterWrite(lost)] })
    const engine = new SyncEngine({ source: flaky, sink, checkpoints, retry })
    await engine.run({ phase: 'full' })
    source.upsert(users.label, user(60))
    await engine.run()
    expectEqual(sink, source)
  })

  it.each<FaultyOperation>(['prepare', 'write', 'save'])(
    'of %s at the target do not end the run',
    async (operation) => {
      const source = filled()
      const target = new MemorySink()
      const flaky = faulty(target, {
        [operation]: Array.from(
          { length: 20 },
          (_, index) => [undefined, new Reject(lost), new FailAfterWrite(lost)][index % 3],
        ),
      })
      const engine = new SyncEngine({ source, sink: flaky, checkpoints: flaky, retry })
      engine.once('batch', () => source.upsert(users.label, user(60)))
      await engine.run()
      source.upsert(users.label, user(61))
      await engine.run()
      expectEqual(target, source)
    },
  )

  it.each([false, true])(
    'of an acknowledgement whose answer is lost do not go back (the sink commits: %s)',
    async (transactional) => {
      const { source, sink, checkpoints } = await copied({ transactional })
      source.upsert(users.label, user(60))
      const flaky = faulty(source, { acknowledge: [new FailAfterWrite(lost)] })
      const engine = new SyncEngine({ source: flaky, sink, checkpoints, retry })
      const log = events(engine)
      await engine.run()
      expectEqual(sink, source)
      expect(log.map(([name]) => name)).toEqual(['phase', 'batch', 'checkpoint', 'retry', 'caughtUp'])
    },
  )

  it('end it when they do not pass', async () => {
    const { source, sink, checkpoints } = await copied()
    source.upsert(users.label, user(60))
    const dead = Array.from({ length: 9 }, () => new Reject(lost))
    const engines = [
      new SyncEngine({ source, sink: faulty(sink, { write: dead }), checkpoints, retry }),
      new SyncEngine({ source: faulty(source, { changes: dead }), sink, checkpoints, retry }),
      new SyncEngine({ source: faulty(source, { batches: dead }), sink, checkpoints, retry }),
      new SyncEngine({ source, sink, checkpoints: faulty(checkpoints, { save: dead }), retry }),
    ]
    for (const engine of engines) {
      const log = events(engine)
      await expect(engine.run()).rejects.toMatchObject({ code: 'E_RETRY_EXHAUSTED', cause: lost })
      expect(log.filter(([name]) => name === 'retry')).toHaveLength(3)
      expect([source.opened, sink.opened]).toEqual([false, false])
    }
  })
})
