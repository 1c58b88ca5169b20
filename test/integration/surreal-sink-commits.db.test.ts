/** A delta and its checkpoint in SurrealDB: exactly once, whatever happens to the transactions that carry them. */
import { createRemoteEngines, RecordId, Surreal } from 'surrealdb'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Batch, deletes, truncate, upserts } from '../../src/core/batch.js'
import type { Checkpoint, Position } from '../../src/core/checkpoint.js'
import type { Delta } from '../../src/core/delta.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { SurrealSink, type SurrealSinkSettings } from '../../src/sinks/surreal/surreal-sink.js'
import { defineTable } from '../../src/testing/define-table.js'
import { MemorySource } from '../../src/testing/memory-source.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
const orders = defineTable('public.orders', { number: 'integer', total: 'integer' }, ['number'])
const tables = [users, orders]
const root = { username: 'root', password: 'root' }
/** In every transaction that carries a part of a delta, and in no other. */
const carriesPart = 'wrote = $wrote'

let server: SurrealServer
let admin: Surreal
let place: { namespace: string; database: string }
let count = 0
const sinks: SurrealSink[] = []

beforeAll(async () => {
  server = await startSurreal()
})
afterAll(async () => {
  await server.stop()
})
beforeEach(async () => {
  count += 1
  place = { namespace: `n${count}`, database: 'd' }
  admin = await connect(Surreal)
})
afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink.close()
  await admin.close()
})

async function connect<Db extends Surreal>(
  Class: new (options: ConstructorParameters<typeof Surreal>[0]) => Db,
): Promise<Db> {
  const db = new Class({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await db.connect(server.ws, { ...place, authentication: root, reconnect: false })
  return db
}

function unopened(settings: SurrealSinkSettings = {}): SurrealSink {
  const sink = new SurrealSink({ url: server.ws, ...place, ...root, ...settings })
  sinks.push(sink)
  return sink
}

async function prepared(settings: SurrealSinkSettings = {}, sink = unopened(settings)): Promise<SurrealSink> {
  await sink.open({ syncId: 'p1', warn: () => {} })
  await sink.prepare(tables, { phase: 'incremental' })
  return sink
}

function checkpointAt(number: number, kind: Checkpoint['kind'] = 'incremental'): Checkpoint {
  const position = `memory:${number}` as Position
  return { kind, position, resumeAfter: position, described: { n: number }, timestamp: '2026-01-01T00:00:00.000Z' }
}

function delta(number: number, batches: readonly Batch[], drained = true): [Delta, () => Checkpoint] {
  const checkpoint = checkpointAt(number)
  async function* all() {
    yield* batches
  }
  return [{ batches: all(), position: checkpoint.position, drained }, () => checkpoint]
}

interface View {
  readonly position: string | undefined
  readonly consistent: unknown
  readonly part: unknown
  readonly users: Readonly<Record<number, string>>
  readonly orders: Readonly<Record<number, number>>
}

/** The state record and all rows, as one statement sees them. */
async function view(): Promise<View> {
  const [seen] = await admin.query<
    [
      {
        state: { checkpoint?: { position: string }; consistent?: boolean; part?: number }
        users: { id: RecordId; name: string }[]
        orders: { id: RecordId; total: number }[]
      },
    ]
  >(
    `RETURN { state: (SELECT * FROM ONLY $state) ?? {}, users: (SELECT * FROM users), orders: (SELECT * FROM orders) }`,
    { state: new RecordId('surreal_sync_state', ['p1', 0]) },
  )
  return {
    position: seen.state.checkpoint?.position,
    consistent: seen.state.consistent,
    part: seen.state.part,
    users: Object.fromEntries(seen.users.map(({ id, name }) => [String(id.id), name])),
    orders: Object.fromEntries(seen.orders.map(({ id, total }) => [String(id.id), total])),
  }
}

it('I10: applies all tables of a delta and its checkpoint in one transaction', async () => {
  const sink = await prepared()
  const batches = [upserts(users, [{ id: 1, name: 'Ada' }]), upserts(orders, [{ number: 7, total: 3 }])]
  await sink.commit(...delta(1, batches), {})
  const first = { position: 'memory:1', consistent: true, part: 0, users: { 1: 'Ada' }, orders: { 7: 3 } }
  expect(await view()).toEqual(first)
  const fault = await server.fault({ when: 'before', action: 'drop', matching: carriesPart })
  const stop = new AbortController()
  const more = [deletes(users, [{ id: 1 }]), upserts(users, [{ id: 2, name: 'B' }]), deletes(orders, [{ number: 7 }])]
  const stopped = expect(sink.commit(...delta(2, more), { signal: stop.signal })).rejects.toThrow('stop')
  await fault.triggered
  expect(await view()).toEqual(first)
  stop.abort(new Error('stop'))
  await stopped
  await sink.commit(...delta(2, more), {})
  expect(await view()).toEqual({ position: 'memory:2', consistent: true, part: 0, users: { 2: 'B' }, orders: {} })
})

it('tells readers while a large delta, or one with a barrier, is not complete', async () => {
  const sink = await prepared({ batchSize: 5 })
  await sink.commit(...delta(1, [upserts(users, rowsOf(3, 'a'))]), {})
  expect(await view()).toMatchObject({ position: 'memory:1', consistent: true })

  const seen: View[] = []
  async function* watched() {
    yield upserts(users, rowsOf(5, 'b'))
    yield upserts(users, rowsOf(4, 'b', 5))
    yield upserts(orders, [{ number: 1, total: 1 }])
    yield upserts(orders, [{ number: 2, total: 1 }])
    seen.push(await view())
    yield truncate(orders)
    seen.push(await view())
    yield upserts(orders, [{ number: 3, total: 1 }])
  }
  const { position } = checkpointAt(2)
  await sink.commit({ batches: watched(), position, drained: true }, () => checkpointAt(2), {})
  expect(seen).toMatchObject([
    { position: 'memory:1' },
    { position: 'memory:1', consistent: false, part: 3, orders: {} },
  ])
  expect(await view()).toMatchObject({ position: 'memory:2', consistent: true, part: 0, orders: { 3: 1 } })
  expect(Object.values((await view()).users)).toEqual(Array.from({ length: 9 }, () => 'b'))

  await sink.commit(...delta(3, [upserts(users, rowsOf(1, 'c'))], false), {})
  expect(await view()).toMatchObject({ position: 'memory:3', consistent: false, part: 0 })
  await sink.commit(...delta(3, []), {})
  expect(await view()).toMatchObject({ position: 'memory:3', consistent: true })
  await sink.prepare(tables, { phase: 'full' })
  expect(await view()).toMatchObject({ position: 'memory:3', consistent: false })
})

it('keeps checkpoints: what is saved or committed last is loaded', async () => {
  const sink = unopened()
  await sink.open({ syncId: 'p1', warn: () => {} })
  expect(await sink.load('p1')).toBeUndefined()
  await prepared({}, sink)
  expect(await sink.load('p1')).toBeUndefined()
  await sink.save('p1', checkpointAt(1, 'full_sync_start'))
  expect(await sink.load('p1')).toEqual(checkpointAt(1, 'full_sync_start'))
  await sink.commit(...delta(2, []), {})
  await sink.write(upserts(users, rowsOf(1, 'a')), {})
  const later = unopened()
  await later.open({ syncId: 'p1', warn: () => {} })
  expect(await later.load('p1')).toEqual(checkpointAt(2))
  expect(await later.load('p2')).toBeUndefined()
  await admin.query("UPDATE $state SET checkpoint.kind = 'x'", { state: new RecordId('surreal_sync_state', ['p1', 0]) })
  await expect(later.load('p1')).rejects.toMatchObject({ code: 'E_CHECKPOINT_CORRUPT' })
})

it('P6: a frozen twin that goes on after another run has begun changes nothing', async () => {
  const frozen = await prepared({ batchSize: 5 })
  await frozen.commit(...delta(1, [upserts(users, rowsOf(9, 'a'))]), {})
  const running = await prepared()
  await running.commit(...delta(2, [upserts(users, rowsOf(1, 'b')), deletes(users, [{ id: 8 }])]), {})
  const before = await view()
  for (const rows of [rowsOf(1, 'late'), rowsOf(9, 'late')]) {
    const late = frozen.commit(...delta(1, [upserts(users, rows), truncate(orders)]), {})
    await expect(late).rejects.toMatchObject({ code: 'E_LEASE_LOST', retryable: false })
  }
  await expect(frozen.save('p1', checkpointAt(1))).rejects.toMatchObject({ code: 'E_LEASE_LOST' })
  expect(await view()).toEqual(before)
})

it('P6: a twin that was frozen before it began does not begin any more', async () => {
  const [early, late] = [unopened(), unopened()]
  for (const sink of [early, late]) {
    await sink.open({ syncId: 'p1', warn: () => {} })
    await sink.load('p1')
  }
  await prepared({}, late)
  await late.commit(...delta(1, [upserts(users, rowsOf(3, 'a'))]), {})
  const before = await records()
  await expect(early.prepare(tables, { phase: 'full' })).rejects.toMatchObject({ code: 'E_LEASE_LOST' })
  expect(await records()).toEqual(before)
  await late.commit(...delta(2, [upserts(users, rowsOf(3, 'b'))]), {})
  expect(await view()).toMatchObject({ position: 'memory:2', consistent: true, users: { 0: 'b' } })
})

it('P6: after another run has begun, no lane of the one before it writes, however many there were', async () => {
  const frozen = unopened({ writers: 4 })
  await frozen.open({ syncId: 'p1', warn: () => {} })
  await frozen.prepare(tables, { phase: 'full' })
  await Promise.all([0, 10, 20, 30].map((from) => frozen.write(upserts(users, rowsOf(3, 'a', from)), {})))
  const running = await prepared({ writers: 1 })
  await running.write(upserts(users, rowsOf(1, 'b')), {})
  const before = await records()
  const late = [0, 10, 20, 30].map((from) => frozen.write(upserts(users, rowsOf(3, 'late', from)), {}))
  for (const { status, reason } of (await Promise.allSettled(late)) as PromiseRejectedResult[]) {
    expect({ status, code: reason?.code }).toEqual({ status: 'rejected', code: 'E_LEASE_LOST' })
  }
  await expect(frozen.write(truncate(users), {})).rejects.toMatchObject({ code: 'E_LEASE_LOST' })
  await expect(frozen.prepare(tables, { phase: 'full' })).rejects.toMatchObject({ code: 'E_LEASE_LOST' })
  expect(await records()).toEqual(before)
})

it.each(['before', 'after'] as const)('begins although its first try to was lost %s it was applied', async (when) => {
  const sink = unopened({ callTimeoutMs: 500 })
  await sink.open({ syncId: 'p1', warn: () => {} })
  await sink.load('p1')
  const fault = await server.fault({ when, action: 'cut', matching: 'lease = $lease' })
  await expect(sink.prepare(tables, { phase: 'full' })).rejects.toMatchObject({ retryable: true })
  await fault.triggered
  await sink.prepare(tables, { phase: 'full' })
  await sink.write(upserts(users, rowsOf(1, 'a')), {})
  expect(await view()).toMatchObject({ users: { 0: 'a' } })
})

/** Everything that is there, state records included. */
async function records(): Promise<unknown> {
  return await admin.query('SELECT * FROM surreal_sync_state; SELECT * FROM users; SELECT * FROM orders')
}

/** Keeps a query back and sends it when told to, as a network may. */
class Delaying extends Surreal {
  late: (() => Promise<unknown>) | undefined
  holds = ''

  override query(...args: [never]): never {
    if (this.holds === '' || !String(args[0]).includes(this.holds)) return super.query(...args) as never
    this.holds = ''
    this.late = () => super.query(...args).responses()
    return { responses: () => new Promise(() => {}) } as never
  }
}

it('I10: a transaction that is carried out late changes nothing', async () => {
  const db = await connect(Delaying)
  const sink = new SurrealSink({
    connect: async () => db,
    disconnect: async () => {},
    callTimeoutMs: 300,
    batchSize: 5,
  })
  sinks.push(sink)
  await prepared({}, sink)
  await sink.commit(...delta(1, [upserts(users, rowsOf(1, 'a'))]), {})
  for (const [number, rows] of [rowsOf(1, 'b'), rowsOf(7, 'c')].entries()) {
    db.holds = carriesPart
    await sink.commit(...delta(number + 2, [upserts(users, rows)]), {})
    const before = await view()
    expect(before).toMatchObject({ position: `memory:${number + 2}`, consistent: true })
    expect(JSON.stringify(await db.late?.())).toContain('"kind":"Thrown"')
    expect(await view()).toEqual(before)
  }
  await db.close()
})

it.each([
  ['before', 'cut'],
  ['after', 'cut'],
  ['before', 'drop'],
  ['after', 'drop'],
] as const)('I10: rows and checkpoint agree when a transaction is lost %s it is applied (%s)', async (when, action) => {
  const source = new MemorySource({ tables, forgets: true })
  source.upsert(users.label, ...rowsOf(10, 'new'), { id: 99, name: 'first' })
  const settings = { batchSize: 5, callTimeoutMs: 500 }
  const run = (phase?: 'incremental') =>
    new SyncEngine({ source, sink: unopened(settings), id: 'p1', retry: { delayMs: 0, delayMsMax: 0 } }).run({ phase })
  await run()
  await admin.query(`DEFINE TABLE tally; DEFINE EVENT counted ON users THEN { CREATE tally }`)
  const expected = new Map([[(await view()).position, rowsIn(source)]])
  let changes = 0
  // Three transactions: two parts of five rows, and the rest.
  for (const nth of [1, 2, 3]) {
    const position = source.commit(
      { op: 'upsert', table: users.label, rows: [...rowsOf(10, `turn ${nth}`), { id: 99 + nth, name: 'x' }] },
      { op: 'delete', table: users.label, rows: [{ id: 98 + nth }] },
    )
    changes += 12
    expected.set(position, rowsIn(source))
    const fault = await server.fault({ when, action, nth, matching: carriesPart })
    const running = run('incremental')
    let over = false
    const watching: Promise<void> = fault.triggered.then(async () => {
      while (!over) expectAgreement(await view(), expected)
    })
    await running
    over = true
    await watching
    expect(await view()).toMatchObject({ position, consistent: true, part: 0, users: expected.get(position) })
    const [tally] = await admin.query('RETURN count(SELECT id FROM tally)')
    expect(tally).toBe(changes)
  }
})

function expectAgreement({ position, consistent, users }: View, expected: ReadonlyMap<string | undefined, unknown>) {
  expect([...expected.keys()]).toContain(position)
  if (consistent === true) expect(users).toEqual(expected.get(position))
}

function rowsIn(source: MemorySource) {
  return Object.fromEntries(source.rows(users.label).map(({ id, name }) => [String(id), name]))
}

function rowsOf(length: number, name: string, from = 0) {
  return Array.from({ length }, (_, index) => ({ id: from + index, name }))
}
