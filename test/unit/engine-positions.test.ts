/** Where runs start and end, and what they save on the way. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { CheckpointStore } from '../../src/core/checkpoint.js'
import type { Source } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { type FaultyOperation, faulty, HoldResponse, MemorySink, Reject } from '../../src/testing/index.js'
import {
  copied,
  expectEqual,
  fatal,
  filled,
  lost,
  once,
  orders,
  recording,
  retry,
  tables,
  user,
  users,
} from '../support/engine-fixtures.js'

describe('where to start and to end', () => {
  it('goes on from a stored position at or past `from`', async () => {
    const { source, sink, checkpoints } = await copied()
    for (const from of ['memory:0', 'memory:2', '2']) {
      source.upsert(users.label, user(60))
      const result = await new SyncEngine({ source, sink, checkpoints }).run({ from })
      expect(result.phase).toBe('incremental')
      expectEqual(sink, source)
    }
  })

  it('refuses a `from` past the stored position, which would skip changes', async () => {
    const { source, sink, checkpoints } = await copied()
    source.upsert(users.label, user(60))
    const run = new SyncEngine({ source, sink, checkpoints }).run({ from: 'memory:3' })
    await expect(run).rejects.toMatchObject({
      code: 'E_CHECKPOINT_MISMATCH',
      message: expect.stringContaining('memory:2'),
    })
  })

  it('refuses `from` after an unfinished full phase, unless it is a replay', async () => {
    const source = filled({ forgets: false })
    const sink = new MemorySink()
    const checkpoints = new MemoryCheckpointStore()
    const broken = faulty(sink, { write: [undefined, new Reject(fatal)] })
    await expect(new SyncEngine({ source, sink: broken, checkpoints }).run()).rejects.toBe(fatal)
    const engine = new SyncEngine({ source, sink, checkpoints })
    await expect(engine.run({ from: '0' })).rejects.toMatchObject({ code: 'E_CHECKPOINT_MISMATCH' })
    await engine.run({ from: '0', replay: true })
    expectEqual(sink, source)
  })

  it('replays from `from` exactly', async () => {
    const { source, sink, checkpoints } = await copied({ forgets: false })
    const before = sink.operations.length
    await new SyncEngine({ source, sink, checkpoints }).run({ from: 'memory:1', replay: true })
    expect(sink.operations.slice(before)).toEqual([{ op: 'upsert', table: orders.label, rows: 2 }])
  })

  it('starts at `from` when nothing is stored', async () => {
    const source = filled()
    const sink = new MemorySink()
    await new SyncEngine({ source, sink, checkpoints: new MemoryCheckpointStore() }).run({ from: 'memory:1' })
    expect(sink.rows(users.label)).toEqual([])
    expect(sink.rows(orders.label)).toEqual(source.rows(orders.label))
  })

  it('does not start the incremental phase alone without knowing where', async () => {
    for (const checkpoints of [undefined, new MemoryCheckpointStore()]) {
      const engine = new SyncEngine({ source: filled(), sink: new MemorySink(), checkpoints })
      await expect(engine.run({ phase: 'incremental' })).rejects.toMatchObject({ code: 'E_STATE_MISSING' })
    }
  })

  it('ends at the first drained delta at or past `until`, also while it follows', async () => {
    const { source, sink, checkpoints } = await copied()
    const engine = new SyncEngine({ source, sink, checkpoints })
    engine.on('caughtUp', ({ position }) => {
      if (source.compare(position, source.parse('6')) < 0) source.upsert(users.label, user(70))
    })
    const result = await engine.run({ until: 'memory:5', follow: true })
    expect(result).toMatchObject({ reason: 'completed', position: 'memory:5' })
    expect(source.rows(users.label)).toHaveLength(21)
  })

  it.each(['from', 'until'])('refuses an unreadable `%s` before it connects', async (option) => {
    const log: FaultyOperation[] = []
    const engine = new SyncEngine({ source: faulty(filled(), recording(log)), sink: new MemorySink() })
    await expect(engine.run({ [option]: 'postgresql:42' })).rejects.toMatchObject({ code: 'E_CONFIG' })
    expect(log).toEqual([])
  })

  it('is what a plan says, which changes nothing', async () => {
    const log: FaultyOperation[] = []
    const source = filled()
    const sink = new MemorySink()
    const options = { source: faulty(source, recording(log)), sink, checkpoints: new MemoryCheckpointStore() }
    const engine = new SyncEngine(options)
    expect(await engine.plan()).toEqual({ phases: ['full', 'incremental'], tables, from: undefined, resumes: false })
    expect(log).toEqual(['open', 'tables', 'check'])
    await engine.run()
    expect(await engine.plan()).toEqual({ phases: ['incremental'], tables, from: 'memory:2', resumes: false })
    expect([source.opened, sink.opened]).toEqual([false, false])
  })
})

describe('checkpoints', () => {
  it('I2: are saved when everything up to them is in the target', async () => {
    const { source, sink, checkpoints } = await copied()
    const seen: string[] = []
    const watched: CheckpointStore = {
      load: (id) => checkpoints.load(id),
      save: async (id, checkpoint) => {
        seen.push(checkpoint.position)
        if (checkpoint.position === 'memory:32') expectEqual(sink, source)
        await checkpoints.save(id, checkpoint)
      },
    }
    for (let id = 100; id < 130; id += 1) source.upsert(users.label, user(id))
    await new SyncEngine({ source, sink, checkpoints: watched, limits: { rowsMax: 1 } }).run()
    expect(seen).toEqual(['memory:12', 'memory:22', 'memory:32'])
  })

  it('I2: are acknowledged to the source after they are durable', async () => {
    const { source, sink, checkpoints } = await copied()
    source.upsert(users.label, user(60))
    const refusing = faulty(checkpoints, { save: [new Reject(fatal)] })
    await expect(new SyncEngine({ source, sink, checkpoints: refusing }).run()).rejects.toBe(fatal)
    expect(source.acknowledged).toBe('memory:2')
    await new SyncEngine({ source, sink, checkpoints }).run()
    expect(source.acknowledged).toBe('memory:3')
  })

  it('I2: mark the start of a copy even if the store fails at first', async () => {
    const { source, sink, checkpoints } = await copied()
    const saved: unknown[] = []
    const flaky = faulty(checkpoints, { save: [new Reject(lost)] })
    const watched: CheckpointStore = {
      load: (id) => flaky.load(id),
      save: async (id, checkpoint) => {
        await flaky.save(id, checkpoint)
        saved.push(checkpoint.kind)
      },
    }
    const broken = faulty(sink, { write: [undefined, new Reject(fatal)] })
    const engine = new SyncEngine({ source, sink: broken, checkpoints: watched, retry })
    await expect(engine.run({ phase: 'full' })).rejects.toBe(fatal)
    expect(saved).toEqual(['full_sync_start', 'full_progress'])
  })
})

describe('following', () => {
  it('applies changes as they come until the signal aborts, and then resolves', async () => {
    const { source, sink, checkpoints } = await copied()
    const stop = new AbortController()
    const engine = new SyncEngine({ source, sink, checkpoints })
    let caughtUp = once(engine, 'caughtUp')
    const run = engine.run({ follow: true, signal: stop.signal })
    await caughtUp
    for (let id = 200; id < 203; id += 1) {
      caughtUp = once(engine, 'caughtUp')
      source.upsert(users.label, user(id))
      await caughtUp
      expectEqual(sink, source)
    }
    stop.abort()
    expect(await run).toMatchObject({ reason: 'aborted', phase: 'incremental', position: 'memory:5' })
    expect([source.opened, sink.opened]).toEqual([false, false])
  })

  it('resolves so also when the source ends quietly on an abort', async () => {
    const { source, sink, checkpoints } = await copied()
    const stop = new AbortController()
    const quiet: Source = {
      ...faulty(source, {}),
      async *changes(options) {
        try {
          yield* source.changes(options)
        } catch (error) {
          if (!options.signal?.aborted) throw error
        }
      },
    }
    const engine = new SyncEngine({ source: quiet, sink, checkpoints })
    engine.on('caughtUp', () => stop.abort())
    expect(await engine.run({ follow: true, signal: stop.signal })).toMatchObject({ reason: 'aborted' })
  })

  it('stops in the middle of a delta without losing anything', async () => {
    const { source, sink, checkpoints } = await copied()
    for (let id = 300; id < 309; id += 1) source.upsert(users.label, user(id))
    const stop = new AbortController()
    const hold = new HoldResponse()
    const held = faulty(sink, { write: [undefined, hold] })
    const options = { source, checkpoints, limits: { rowsMax: 1 } }
    const run = new SyncEngine({ ...options, sink: held }).run({ signal: stop.signal })
    await hold.held
    stop.abort()
    hold.release()
    expect(await run).toMatchObject({ reason: 'aborted', position: 'memory:2' })
    expect(await checkpoints.load('default')).toMatchObject({ resumeAfter: 'memory:2' })
    expect(sink.rows(users.label).length).toBeLessThan(source.rows(users.label).length)
    await new SyncEngine({ ...options, sink }).run()
    expectEqual(sink, source)
  })

  it('resolves when it is aborted during the copy, and before the start', async () => {
    const source = filled()
    const sink = new MemorySink()
    const checkpoints = new MemoryCheckpointStore()
    const stop = new AbortController()
    const engine = new SyncEngine({ source, sink, checkpoints, limits: { rowsMax: 1 } })
    engine.once('batch', () => stop.abort(new Error('own reason')))
    expect(await engine.run({ signal: stop.signal })).toMatchObject({ reason: 'aborted', phase: 'full' })
    expect(await engine.run({ signal: stop.signal })).toMatchObject({ reason: 'aborted', position: undefined })
    await engine.run()
    expectEqual(sink, source)
  })

  it('rejects with an error that is not the abort', async () => {
    const { source, sink, checkpoints } = await copied()
    const stop = new AbortController()
    source.upsert(users.label, user(60))
    const broken = faulty(sink, {
      write: [
        {
          around: async () => {
            stop.abort()
            throw fatal
          },
        },
      ],
    })
    const run = new SyncEngine({ source, sink: broken, checkpoints }).run({ signal: stop.signal })
    await expect(run).rejects.toBe(fatal)
  })
})
