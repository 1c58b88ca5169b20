/** What a replica should hold: a copy made anew, in one snapshot and without triggers. */
import { expect } from 'vitest'
import type { Row } from '../../src/core/batch.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource, type PostgresTriggerSourceOptions } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import type { Replica } from './replica.js'

/** The rows of every selected table by label. */
export async function freshCopy(options: PostgresTriggerSourceOptions): Promise<ReadonlyMap<string, readonly Row[]>> {
  const sink = new MemorySink()
  const { tables } = await new SyncEngine({ source: new PostgresTriggerSource(options), sink }).run({ phase: 'full' })
  return new Map([...tables.keys()].map((label) => [label, sink.rows(label)]))
}

/** Throws unless the replica equals the source for these tables. Returns what they hold. */
export async function expectFresh(
  replica: Replica,
  options: PostgresTriggerSourceOptions,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const copy = await freshCopy(options)
  for (const [label, rows] of copy) expect(replica.sink.rows(label), label).toEqual(rows)
  return copy
}
