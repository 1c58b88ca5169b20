/** A full sync that was cut off goes on where it was: what is copied again, what is not, and when it begins again. */
import { describe, expect, it } from 'vitest'
import { MemoryCheckpointStore } from '../../src/checkpoints/memory.js'
import type { Row } from '../../src/core/batch.js'
import type { Checkpoint, Position } from '../../src/core/checkpoint.js'
import type { Table } from '../../src/core/schema.js'
import type { Sink } from '../../src/core/sink.js'
import type { SyncEngineOptions } from '../../src/engine/options.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { defineTable, FailAfterWrite, faulty, MemorySink, MemorySource, Reject } from '../../src/testing/index.js'
import { events, expectEqual, fatal, lost, orders, retry, tables, user, users } from '../support/engine-fixtures.js'

const chunks = 8
const always = { progressIntervalMs: 0, concurrency: 1, retry } as const

interface Pipeline {
  readonly source: MemorySource
  readonly sink: MemorySink
  readonly checkpoints: SyncEngineOptions['checkpoints']
}

/** A copy of 40 users and 2 orders that fails at this write: two barriers come first, then about five rows at a time. */
async function cutOff(writes: number, options: { absent?: boolean; store?: 'apart' } = {}): Promise<Pipeline> {
  const source = new MemorySource({ tables, chunks, absent: options.absent ?? true })
  source.upsert(users.label, ...Array.from({ length: 40 }, (_, id) => user(id)))
  source.upsert(orders.label, { tenant: 'a', number: 1, total: '9.99' }, { tenant: 'b', number: 1, total: '0' })
  const sink = new MemorySink({ transactional: options.store !== 'apart' })
  const checkpoints = options.store === 'apart' ? new MemoryCheckpointStore() : undefined
  const broken = faulty(sink, { write: [...Array.from({ length: writes }, () => undefined), new Reject(fatal)] })
  const engine = new SyncEngine({ source, sink: broken, checkpoints, ...always })
  await expect(engine.run()).rejects.toBe(fatal)
  return { source, sink, checkpoints }
}

/** Runs again and says what happened. */
async function goOn(pipeline: Pipeline, more: Partial<SyncEngineOptions> = {}, restart = false) {
  const before = pipeline.sink.operations.length
  const engine = new SyncEngine({ ...pipeline, ...always, ...more })
  const log = events(engine)
  const result = await engine.run({ restart })
  const of = (wanted: string) => log.filter(([name]) => name === wanted).map(([, payload]) => payload)
  return {
    ops: pipeline.sink.operations.slice(before).map(({ op, table }) => `${op} ${table}`),
    resumed: of('resumed'),
    warnings: of('warning') as { code: string; table?: string }[],
    copied: [...result.tables].reduce((sum, [, { rows }]) => sum + rows, 0),
  }
}

describe.each([
  ['that commits', undefined],
  ['with a store apart', 'apart'],
] as const)('into a sink %s', (_, store) => {
  it('copies only the chunks that were not finished, and repairs the others from t1', async () => {
    const pipeline = await cutOff(5, { store })
    const { source, sink } = pipeline
    const finished = sink.rows(users.label).map(({ id }) => Number(id))
    expect(finished.length).toBeGreaterThan(3)
    source.upsert(users.label, user(finished[0] ?? 0, 'changed meanwhile'), user(100))
    source.delete(users.label, user(finished[1] ?? 0))
    const { ops, resumed, copied, warnings } = await goOn(pipeline)
    expectEqual(sink, source)
    expect(resumed).toEqual([{ position: 'memory:2', text: 'memory:2', chunks: { done: 3, total: 2 * chunks } }])
    expect(ops.filter((op) => op.startsWith('replace'))).toEqual([])
    const left = source.rows(users.label).filter(({ id }) => !finished.includes(Number(id)))
    expect(copied).toBe(left.length + 2)
    expect(warnings).toEqual([])
  })

  it('replaces the tables that were not replaced yet', async () => {
    const pipeline = await cutOff(1, { store })
    const { ops, resumed } = await goOn(pipeline)
    expect(resumed).toMatchObject([{ chunks: { done: 0 } }])
    expect(ops.filter((op) => op.startsWith('replace'))).toEqual(['replace public.orders'])
    expectEqual(pipeline.sink, pipeline.source)
  })

  it('begins again when it was asked to, and when there is nothing to go on with', async () => {
    const pipeline = await cutOff(5, { store })
    const { source, sink } = pipeline
    source.upsert(users.label, user(7, 'changed meanwhile'))
    const first = await goOn(pipeline, {}, true)
    expect(first).toMatchObject({ resumed: [], copied: 42 })
    const second = await goOn(pipeline, {}, true)
    expect(second).toMatchObject({ resumed: [], copied: 42 })
    expect(second.ops.filter((op) => op.startsWith('replace'))).toHaveLength(2)
    expectEqual(sink, source)
    // What is finished is followed, not copied.
    expect(await goOn(pipeline)).toMatchObject({ ops: [], resumed: [], copied: 0 })
  })
})

it('saves nothing that is not durable, and once more when it is stopped', async () => {
  const { source } = await cutOff(0)
  const sink = new MemorySink({ transactional: true })
  const saved: { readonly rows: number; readonly chunks: number }[] = []
  const stop = new AbortController()
  const watched = Object.assign(faulty(sink, {}), {
    save: async (id: string, checkpoint: Checkpoint) => {
      const done = checkpoint.completed?.filter((entry) => !entry.endsWith('"replaced"]')) ?? []
      saved.push({ rows: sink.rows(users.label).length, chunks: done.length })
      await sink.save(id, checkpoint)
    },
  })
  const engine = new SyncEngine({ source, sink: watched, ...always, progressIntervalMs: 60_000 })
  engine.on('table', ({ chunks }) => chunks?.done === 3 && stop.abort())
  expect(await engine.run({ signal: stop.signal })).toMatchObject({ reason: 'aborted' })
  expect(saved).toEqual([
    { rows: 0, chunks: 0 },
    { rows: expect.any(Number), chunks: 3 },
  ])
  expect(await goOn({ source, sink, checkpoints: undefined })).toMatchObject({ resumed: [{ chunks: { done: 3 } }] })
  expectEqual(sink, source)
})

it('truncates again only what is copied from the start', async () => {
  const pipeline = await cutOff(6, { absent: false })
  const { ops, resumed } = await goOn(pipeline)
  expect(resumed).toMatchObject([{ chunks: { done: 4 } }])
  expect(ops.filter((op) => op.startsWith('truncate'))).toEqual([])
  expectEqual(pipeline.sink, pipeline.source)
})

describe('what has changed in between', () => {
  it('a transform: every table is copied from the start, and said so', async () => {
    const pipeline = await cutOff(5)
    const upper = (rows: readonly Row[]) => rows.map((row) => ({ ...row, name: String(row.name).toUpperCase() }))
    const { resumed, warnings, copied } = await goOn(pipeline, { transforms: [upper] })
    expect(resumed).toMatchObject([{ chunks: { done: 0 } }])
    expect(warnings.map(({ code, table }) => [code, table])).toEqual(
      [users, orders].map(({ label }) => ['table_restarted', label]),
    )
    expect(copied).toBe(42)
    expect(new Set(pipeline.sink.rows(users.label).map(({ name }) => String(name).slice(0, 5)))).toEqual(
      new Set(['USER ']),
    )
  })

  it.each([
    [5, []],
    [6, [users.label]],
  ])('the target was emptied after write %i: said of tables of which something had been copied', async (at, said) => {
    const pipeline = await cutOff(at)
    const emptied = (table: Table) => table.label === (at === 5 ? orders.label : users.label)
    const sink = Object.assign(faulty(pipeline.sink, {}), { isEmpty: emptied })
    const { warnings } = await goOn(pipeline, { sink })
    expect(warnings.map(({ code, table }) => [code, table])).toEqual(said.map((label) => ['table_restarted', label]))
    expectEqual(pipeline.sink, pipeline.source)
  })

  it.each(['source', 'sink'] as const)('an option of the %s that concerns one table: only that one', async (side) => {
    const pipeline = await cutOff(5)
    const shaped = (table: Table) => (table.label === orders.label ? 'another' : '')
    const other: Sink & { shape?: unknown } = Object.assign(faulty(pipeline.sink, {}), { shape: shaped })
    const source = Object.assign(faulty(pipeline.source, {}), { shape: shaped })
    const { resumed, warnings, ops } = await goOn(pipeline, side === 'sink' ? { sink: other } : { source })
    expect(resumed).toMatchObject([{ chunks: { done: 3 } }])
    expect(warnings).toMatchObject([{ code: 'table_restarted', table: orders.label }])
    expect(ops.filter((op) => op.startsWith('replace'))).toEqual(['replace public.orders'])
    expectEqual(pipeline.sink, pipeline.source)
  })

  it('the selection: a table that left is forgotten, one that came is copied', async () => {
    const { source, sink } = await cutOff(5)
    const selecting = (label: string) =>
      Object.assign(faulty(source, {}), { tables: async () => tables.filter((table) => table.label === label) })
    const only = new SyncEngine({
      source: selecting(orders.label),
      sink: faulty(sink, { write: [new Reject(fatal)] }),
      ...always,
    })
    await expect(only.run()).rejects.toBe(fatal)
    const { resumed, warnings, copied, ops } = await goOn({ source, sink, checkpoints: undefined })
    expect(resumed).toHaveLength(1)
    expect(ops.filter((op) => op.startsWith('replace'))).toEqual(['replace public.users'])
    expect([warnings, copied]).toEqual([[], 42])
    expectEqual(sink, source)
  })

  it('the structure of a table: it is copied from the start', async () => {
    const { source, sink } = await cutOff(5)
    const altered = defineTable(users.label, { id: 'integer', name: 'text', extra: 'text' }, ['id'])
    const changed = Object.assign(faulty(source, {}), { tables: async () => [altered, orders] })
    const { resumed, warnings } = await goOn({ source, sink, checkpoints: undefined }, { source: changed })
    expect(resumed).toMatchObject([{ chunks: { done: 0 } }])
    expect(warnings).toMatchObject([{ code: 'table_restarted', table: users.label }])
  })

  it('changes since t1 are gone: it begins again with a new t1', async () => {
    const pipeline = await cutOff(5)
    const { source, sink } = pipeline
    const now = source.upsert(users.label, user(1, 'changed meanwhile'))
    await source.open({ syncId: 'default', warn: () => undefined })
    await source.acknowledge(now)
    const { resumed, warnings, copied } = await goOn(pipeline)
    expect(resumed).toEqual([])
    expect(warnings).toMatchObject([{ code: 'full_sync_restarted' }])
    expect(copied).toBe(42)
    expect(await sink.load('default')).toMatchObject({ kind: 'incremental', resumeAfter: 'memory:3' })
    expectEqual(sink, source)
  })

  it('the target was emptied: it does not believe a store apart', async () => {
    const { source, sink } = await cutOff(5)
    const apart = new MemoryCheckpointStore()
    await apart.save('default', (await sink.load('default')) ?? checkpoint())
    const emptied = new MemorySink({ transactional: true })
    const { resumed, copied } = await goOn({ source, sink: emptied, checkpoints: apart })
    expect([resumed, copied]).toEqual([[], 42])
    expectEqual(emptied, source)
  })

  it('an export in between, which nothing was captured for: it counts as no progress', async () => {
    const pipeline = await cutOff(5)
    const { source, sink } = pipeline
    const exporting = new SyncEngine({
      source,
      sink: faulty(sink, { write: [undefined, new Reject(fatal)] }),
      ...always,
    })
    await expect(exporting.run({ phase: 'full' })).rejects.toBe(fatal)
    expect(await sink.load('default')).toMatchObject({ kind: 'full_sync_start', resumeAfter: 'memory:2' })
    expect(await goOn(pipeline)).toMatchObject({ resumed: [], copied: 42 })
    expectEqual(sink, source)
  })
})

it('a lost answer to a save, and a lost snapshot, cost no chunk', async () => {
  const pipeline = await cutOff(5)
  const flaky = faulty(pipeline.sink, { save: [new FailAfterWrite(lost), undefined, new Reject(lost)] })
  // A chunk is a batch and an end: the second one fails at its beginning.
  const read = [undefined, undefined, new Reject(lost)]
  const { resumed, ops } = await goOn(pipeline, { sink: flaky, source: faulty(pipeline.source, { read }) })
  expect(resumed).toHaveLength(1)
  expect(ops.filter((op) => op === 'upsert public.users')).toHaveLength(chunks - 3)
  expectEqual(pipeline.sink, pipeline.source)
})

it('refuses to restart what it does not copy', async () => {
  const { source, sink } = await cutOff(5)
  const engine = new SyncEngine({ source, sink })
  for (const options of [{ phase: 'incremental' }, { from: 'memory:1' }] as const) {
    await expect(engine.run({ ...options, restart: true })).rejects.toMatchObject({ code: 'E_CONFIG' })
  }
  expect(await engine.plan()).toMatchObject({ phases: ['full', 'incremental'], resumes: true })
  expect(await engine.plan({ restart: true })).toMatchObject({ resumes: false })
  await expect(engine.run({ phase: 'incremental' })).rejects.toMatchObject({ code: 'E_STATE_MISSING' })
})

function checkpoint(): Checkpoint {
  const position = 'memory:0' as Position
  return { kind: 'full_progress', position, resumeAfter: position, described: null, timestamp: '' }
}
