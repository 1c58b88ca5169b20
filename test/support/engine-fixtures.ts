/** Tables, sources and logs that the tests of the engine have in common. They check the engine's side of their contracts. */
import { expect } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Row } from '../../src/core/batch.js'
import { SyncError } from '../../src/core/errors.js'
import type { SyncEvents } from '../../src/core/events.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { defineTable, type FaultyOperation, MemorySink, MemorySource } from '../../src/testing/index.js'

export const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
export const orders = defineTable('public.orders', { tenant: 'text', number: 'integer', total: 'decimal' }, [
  'tenant',
  'number',
])
export const tables = [users, orders]
export const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost')
export const fatal = new SyncError('E_TARGET', 'The target refuses')
export const retry = { attemptsMax: 4, delayMs: 0, delayMsMax: 0 }

export const user = (id: number, name = `user ${id}`): Row => ({ id, name })

export function filled(options: { absent?: boolean; forgets?: boolean } = {}): MemorySource {
  const source = new MemorySource({ tables, ...options })
  source.upsert(users.label, ...Array.from({ length: 20 }, (_, id) => user(id)))
  source.upsert(orders.label, { tenant: 'a', number: 1, total: '9.99' }, { tenant: 'b', number: 1, total: '0' })
  return source
}

export function expectEqual(sink: MemorySink, source: MemorySource): void {
  for (const { label } of tables) expect(sink.rows(label)).toEqual(source.rows(label))
}

/** A script without faults that notes every call. */
export function recording(log: FaultyOperation[]) {
  return (operation: FaultyOperation) => {
    log.push(operation)
    return undefined
  }
}

/** Everything that the engine says, in order. */
export function events(engine: SyncEngine): [keyof SyncEvents, unknown][] {
  const log: [keyof SyncEvents, unknown][] = []
  const names = ['phase', 'table', 'batch', 'checkpoint', 'resumed', 'caughtUp', 'retry', 'warning'] as const
  for (const name of names) engine.on(name, (payload: unknown) => log.push([name, payload]))
  return log
}

export function once<E extends keyof SyncEvents>(engine: SyncEngine, event: E): Promise<void> {
  return new Promise((resolve) => engine.once(event, () => resolve()))
}

/** A pipeline that has copied everything once. */
export async function copied(options: { forgets?: boolean; transactional?: boolean } = {}) {
  const source = filled(options)
  const sink = new MemorySink({ transactional: options.transactional })
  const checkpoints = new MemoryCheckpointStore()
  await new SyncEngine({ source, sink, checkpoints }).run()
  return { source, sink, checkpoints }
}
