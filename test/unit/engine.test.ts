/** What a run does, on sources and sinks that check the engine's side of their contracts. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Batch, Row } from '../../src/core/batch.js'
import type { CheckpointStore } from '../../src/core/checkpoint.js'
import { SyncError } from '../../src/core/errors.js'
import type { SyncEvents } from '../../src/core/events.js'
import type { Sink } from '../../src/core/sink.js'
import type { Source } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import {
  defineTable,
  FailAfterWrite,
  type FaultyOperation,
  faulty,
  HoldResponse,
  MemorySink,
  MemorySource,
  Reject,
} from '../../src/testing/index.js'

const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
const orders = defineTable('public.orders', { tenant: 'text', number: 'integer', total: 'decimal' }, [
  'tenant',
  'number',
])
const tables = [users, orders]
const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost')
const fatal = new SyncError('E_TARGET', 'The target refuses')
const retry = { attemptsMax: 4, delayMs: 0, delayMsMax: 0 }

const user = (id: number, name = `user ${id}`): Row => ({ id, name })

function filled(options: { absent?: boolean; forgets?: boolean } = {}): MemorySource {
  const source = new MemorySource({ tables, ...options })
  source.upsert(users.label, ...Array.from({ length: 20 }, (_, id) => user(id)))
  source.upsert(orders.label, { tenant: 'a', number: 1, total: '9.99' }, { tenant: 'b', number: 1, total: '0' })
  return source
}

function expectEqual(sink: MemorySink, source: MemorySource): void {
  for (const { label } of tables) expect(sink.rows(label)).toEqual(source.rows(label))
}

/** A script without faults that notes every call. */
function recording(log: FaultyOperation[]) {
  return (operation: FaultyOperation) => {
    log.push(operation)
    return undefined
  }
}

/** Everything that the engine says, in order. */
function events(engine: SyncEngine): [keyof SyncEvents, unknown][] {
  const log: [keyof SyncEvents, unknown][] = []
  const names = ['phase', 'table', 'batch', 'checkpoint', 'caughtUp', 'retry', 'warning'] as const
  for (const name of names) engine.on(name, (payload: unknown) => log.push([name, payload]))
  return log
}

function once<E extends keyof SyncEvents>(engine: SyncEngine, event: E): Promise<void> {
  return new Promise((resolve) => engine.once(event, () => resolve()))
}

/** A pipeline that has copied everything once. */
async function copied(options: { forgets?: boolean; transactional?: boolean } = {}) {
  const source = filled(options)
  const sink = new MemorySink({ transactional: options.transactional })
  const checkpoints = new MemoryCheckpointStore()
  await new SyncEngine({ source, sink, checkpoints }).run()
  return { source, sink, checkpoints }
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
    expect(log.filter(([name]) => name === 'table').map(([, progress]) => progress)).toMatchObject([
      { phase: 'full', table: users, state: 'running', rows: 0 },
      { phase: 'full', table: users, state: 'done', rows: 20 },
      { phase: 'full', table: orders, state: 'running', rows: 0 },
      { phase: 'full', table: orders, state: 'done', rows: 2 },
    ])
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

  it('copies again when the first copy did not finish', async () => {
    const source = filled()
    const sink = new MemorySink()
    const checkpoints = new MemoryCheckpointStore()
    const broken = faulty(sink, { write: [undefined, undefined, new Reject(fatal)] })
    await expect(new SyncEngine({ source, sink: broken, checkpoints }).run()).rejects.toBe(fatal)
    expect(await checkpoints.load('default')).toMatchObject({ kind: 'full_sync_start' })
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
    expect(await engine.plan()).toEqual({ phases: ['full', 'incremental'], tables, from: undefined })
    expect(log).toEqual(['open', 'tables', 'check'])
    await engine.run()
    expect(await engine.plan()).toEqual({ phases: ['incremental'], tables, from: 'memory:2' })
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
    expect(saved).toEqual(['full_sync_start'])
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
})

describe('listeners', () => {
  it('that throw do not stop the run, and are reported', async () => {
    const source = filled()
    const sink = new MemorySink()
    const engine = new SyncEngine({ source, sink, checkpoints: new MemoryCheckpointStore() })
    const warnings: unknown[] = []
    engine.on('warning', (warning) => warnings.push(warning))
    engine.on('warning', () => {
      throw new Error('also here')
    })
    for (const event of ['phase', 'table', 'batch', 'checkpoint', 'caughtUp'] as const) {
      engine.once(event, () => {
        throw new RangeError('a secret')
      })
    }
    await engine.run()
    expectEqual(sink, source)
    expect(warnings).toHaveLength(5)
    expect(warnings[0]).toMatchObject({
      code: 'listener_failed',
      message: expect.stringContaining('phase event threw (RangeError)'),
    })
    expect(JSON.stringify(warnings)).not.toContain('secret')
  })

  it('registered for once hear one event', async () => {
    const engine = new SyncEngine({ source: filled(), sink: new MemorySink() })
    let heard = 0
    engine.once('batch', () => {
      heard += 1
    })
    await engine.run()
    expect(heard).toBe(1)
    expect(engine.listenerCount('batch')).toBe(0)
  })

  it('hear the warnings of the source and of the sink', async () => {
    const source = filled()
    const sink = new MemorySink()
    const warning = { code: 'value_fallback', message: 'A value was written as text' }
    const talking: Sink = {
      ...faulty(sink, {}),
      open: async (context) => {
        await sink.open(context)
        context.warn(warning)
      },
    }
    const engine = new SyncEngine({ source, sink: talking })
    const log = events(engine)
    await engine.run()
    expect(log[0]).toEqual(['warning', warning])
  })
})

describe('an engine', () => {
  it('runs once at a time, and again afterwards', async () => {
    const source = filled()
    const sink = new MemorySink()
    const engine = new SyncEngine({ source, sink, checkpoints: new MemoryCheckpointStore() })
    const first = engine.run()
    await expect(engine.run()).rejects.toMatchObject({ code: 'E_CONFIG' })
    await expect(engine.plan()).rejects.toMatchObject({ code: 'E_CONFIG' })
    await first
    await engine.run()
    expectEqual(sink, source)
  })

  it.each<FaultyOperation>([
    'open',
    'tables',
    'check',
    'prepare',
    'openSnapshot',
    'read',
    'write',
    'position',
    'changes',
    'batches',
    'load',
    'save',
  ])('closes source and sink when %s fails', async (operation) => {
    const failures: unknown[] = []
    for (const side of ['source', 'sink']) {
      const [source, sink] = [filled(), new MemorySink()]
      const script = { [operation]: [new Reject(fatal)] }
      const closed: string[] = []
      const flakySink = side === 'sink' ? faulty(sink, script) : faulty(sink, {})
      const flakySource = side === 'source' ? faulty(source, script) : faulty(source, {})
      const engine = new SyncEngine({
        source: { ...flakySource, close: async () => void closed.push('source') },
        sink: { ...flakySink, close: async () => void closed.push('sink') },
        checkpoints: flakySink,
      })
      await engine.run().catch((error: unknown) => failures.push(error))
      expect(closed).toEqual(['source', 'sink'])
    }
    expect(failures.length).toBeGreaterThan(0)
    expect(failures.every((error) => error === fatal)).toBe(true)
  })

  it('closes the sink also when the source cannot be closed, and does not hide why the run ended', async () => {
    const sink = new MemorySink()
    const source: Source = { ...faulty(filled(), { changes: [new Reject(fatal)] }), close: () => Promise.reject(lost) }
    const engine = new SyncEngine({ source, sink })
    const log = events(engine)
    await expect(engine.run()).rejects.toBe(fatal)
    expect(sink.opened).toBe(false)
    expect(log.at(-1)).toMatchObject(['warning', { code: 'close_failed' }])
    await expect(engine.run({ phase: 'full' })).resolves.toMatchObject({ reason: 'completed' })
  })

  it.each([
    ['id', { id: 'no spaces, please' }],
    ['id', { id: '' }],
    ['inFlight', { inFlight: 0 }],
    ['inFlight', { inFlight: 1.5 }],
    ['rowsMax', { limits: { rowsMax: Number.NaN } }],
    ['bytesMax', { limits: { bytesMax: -1 } }],
    ['attemptsMax', { retry: { attemptsMax: 0 } }],
    ['delayMs', { retry: { delayMs: -1 } }],
    ['delayMsMax', { retry: { delayMsMax: Number.POSITIVE_INFINITY } }],
  ])('refuses a wrong %s when it is made', (name, options) => {
    const make = () => new SyncEngine({ source: filled(), sink: new MemorySink(), ...options })
    expect(make).toThrow(SyncError)
    expect(make).toThrow(expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining(name) }))
  })
})
