/** Those who hear what an engine says. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Sink } from '../../src/core/sink.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { faulty, MemorySink } from '../../src/testing/index.js'
import { events, expectEqual, filled } from '../support/engine-fixtures.js'

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

  it('are called whatever those before them do, and one that keeps failing is reported once', async () => {
    const engine = new SyncEngine({ source: filled(), sink: new MemorySink(), limits: { rowsMax: 2 } })
    const heard: string[] = []
    engine.on('batch', () => {
      heard.push('first')
      throw new RangeError('a secret')
    })
    engine.once('batch', async () => {
      heard.push('once')
      throw new TypeError('a secret')
    })
    engine.on('batch', function (this: unknown) {
      heard.push(this === engine ? 'last' : 'of somebody else')
    })
    const warnings: unknown[] = []
    engine.on('warning', (warning) => warnings.push(warning))
    await engine.run({ phase: 'full' })
    expect(heard.slice(0, 5)).toEqual(['first', 'once', 'last', 'first', 'last'])
    expect(heard.length).toBeGreaterThan(5)
    expect(warnings).toMatchObject([
      { code: 'listener_failed', message: expect.stringContaining('(RangeError)') },
      { code: 'listener_failed', message: expect.stringContaining('(TypeError)') },
    ])
  })

  it('that were removed hear nothing', async () => {
    const engine = new SyncEngine({ source: filled(), sink: new MemorySink() })
    const heard: string[] = []
    const listener = () => heard.push('removed')
    engine.on('batch', listener)
    engine.off('batch', listener)
    await engine.run()
    expect(heard).toEqual([])
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
