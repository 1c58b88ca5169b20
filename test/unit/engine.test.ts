/** What an engine is, apart from what its runs do. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import { SyncError } from '../../src/core/errors.js'
import type { Source } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { type FaultyOperation, faulty, MemorySink, Reject } from '../../src/testing/index.js'
import { events, expectEqual, fatal, filled, lost } from '../support/engine-fixtures.js'

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
    ['from', { phase: 'full', from: 'memory:0' }],
    ['until', { phase: 'full', until: 'memory:0' }],
    ['follow', { phase: 'full', follow: true }],
    ['replay', { replay: true }],
  ] as const)('refuses %s in a run that has no use for it', async (name, options) => {
    const source = filled()
    const engine = new SyncEngine({ source, sink: new MemorySink(), checkpoints: new MemoryCheckpointStore() })
    const refusal = { code: 'E_CONFIG', message: expect.stringContaining(`\`${name}\``) }
    await expect(engine.run(options)).rejects.toMatchObject(refusal)
    await expect(engine.plan(options)).rejects.toMatchObject(refusal)
    expect(source.opened).toBe(false)
  })

  it.each([{ phase: 'full' }, { phase: 'incremental', from: 'memory:1' }, {}] as const)(
    'asks everybody what is in the way before anything is written: %j',
    async (options) => {
      const log: string[] = []
      const noting = (side: string) => (operation: FaultyOperation) => {
        log.push(`${side} ${operation}`)
        return undefined
      }
      const engine = new SyncEngine({
        source: faulty(filled(), noting('source')),
        sink: faulty(new MemorySink(), noting('sink')),
        checkpoints: faulty(new MemoryCheckpointStore(), noting('store')),
      })
      const asking = [
        'source open',
        'sink open',
        'store load',
        'store probe',
        'source tables',
        'source check',
        'sink check',
      ]
      await engine.plan(options)
      expect(log).toEqual(asking)
      await engine.run(options)
      expect(log.slice(asking.length, 2 * asking.length)).toEqual(asking)
    },
  )

  it('finds out in a dry run that changes can no longer be read', async () => {
    const engine = new SyncEngine({ source: filled(), sink: new MemorySink() })
    await expect(engine.plan({ phase: 'incremental', from: 'memory:9' })).rejects.toMatchObject({
      code: 'E_SOURCE_REWOUND',
    })
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
