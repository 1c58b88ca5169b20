/** The engine ends what a checkpoint store began, whatever happens before. */
import { expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { CheckpointStore } from '../../src/core/checkpoint.js'
import type { SyncWarning } from '../../src/core/events.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { faulty, MemorySink, Reject } from '../../src/testing/index.js'
import { expectEqual, fatal, filled } from '../support/engine-fixtures.js'

function counted(close: () => Promise<void> = async () => undefined) {
  const memory = new MemoryCheckpointStore()
  const calls: string[] = []
  const store: CheckpointStore = {
    load: (id) => memory.load(id),
    async save(id, checkpoint) {
      calls.push('save')
      await memory.save(id, checkpoint)
    },
    async close() {
      calls.push('close')
      await close()
    },
  }
  return { store, calls }
}

it('L2: a store is closed once, after its last save, at the end of every run', async () => {
  const { store, calls } = counted()
  const engine = new SyncEngine({ source: filled(), sink: new MemorySink(), checkpoints: store })
  await engine.run()
  expect(calls.filter((call) => call === 'close')).toHaveLength(1)
  expect(calls.at(-1)).toBe('close')
  await engine.plan()
  expect(calls.filter((call) => call === 'close')).toHaveLength(2)
})

it('L2: also after a run that failed', async () => {
  const { store, calls } = counted()
  const sink = faulty(new MemorySink(), { write: [new Reject(fatal)] })
  await expect(new SyncEngine({ source: filled(), sink, checkpoints: store }).run()).rejects.toBe(fatal)
  expect(calls.at(-1)).toBe('close')
})

it('L2: a store that cannot be closed causes a warning, and the run is as it was', async () => {
  const { store } = counted(() => Promise.reject(new TypeError('no')))
  const [source, sink] = [filled(), new MemorySink()]
  const engine = new SyncEngine({ source, sink, checkpoints: store })
  const warnings: SyncWarning[] = []
  engine.on('warning', (warning) => warnings.push(warning))
  await engine.run()
  expectEqual(sink, source)
  expect(warnings).toEqual([{ code: 'close_failed', message: 'the checkpoint store could not be closed (TypeError)' }])
})
