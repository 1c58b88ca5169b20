/** Transactions that end, or change their identity, between the moments at which a reader looks. */
import type pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { lockHolders } from '../../src/sources/postgres/fence.js'
import { GapTracker } from '../../src/sources/postgres/gap-tracker.js'
import { auditNames } from '../../src/sources/postgres/schema.sql.js'
import { MemorySink } from '../../src/testing/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { ProbedSource, type ProbedState, rightParts } from '../torture/probed-source.js'
import { createTables, tableNames } from '../torture/workload-tables.js'

let database: TestDatabase
let late: pg.Client
let early: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  late = await database.client()
  early = await database.client()
  await createTables(late)
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

it('I7: a drained delta holds what was committed between the look at locks and the snapshot', async () => {
  const sink = new MemorySink()
  const options = { url: database.url, tables: tableNames }
  const wrong: string[] = []
  const stop = new AbortController()
  let polls = 0
  let committed = false
  const probe = {
    wanted: () => true,
    applied(state: ProbedState | undefined) {
      if (state === undefined) return
      const expected = [...(state.contents.get('appends')?.keys() ?? [])].sort()
      const actual = sink
        .rows('public.appends')
        .map(({ id }) => String(id))
        .sort()
      if (String(actual) !== String(expected)) wrong.push(`has ${actual} and not ${expected}`)
      if (committed) stop.abort()
    },
  }
  // The reader locks tables after it has looked at who holds locks, and before it takes the snapshot.
  const lock: typeof rightParts.lock = async (session, tables) => {
    await rightParts.lock(session, tables)
    if (tables.length === 0) return
    polls += 1
    if (polls === 6) {
      await late.query('commit')
      committed = true
    }
  }
  const engine = () =>
    new SyncEngine({ source: new ProbedSource(options, probe, { ...rightParts, lock }), sink, checkpoints: sink })
  await engine().run({ phase: 'full' })
  await late.query(`begin; insert into appends values (1, 'low number, late commit')`)
  let number = 1
  const following = engine()
  following.on('caughtUp', () => {
    number += 1
    if (!committed) void early.query(`insert into appends values ($1, 'high number')`, [number])
  })
  await early.query(`insert into appends values (1000000, 'first')`)
  await following.run({ phase: 'incremental', follow: true, signal: stop.signal })
  expect(wrong).toEqual([])
})

it('keeps the suspects of a gap through PREPARE TRANSACTION, whenever it looks', async () => {
  const connections = new Connections(parseConnection(database.url), () => undefined)
  const names = auditNames('public')
  const sink = new MemorySink()
  const source = new ProbedSource({ url: database.url, tables: tableNames }, { wanted: () => false, applied() {} })
  await new SyncEngine({ source, sink, checkpoints: sink }).run({ phase: 'full' })
  const lost: number[] = []
  for (let turn = 1; turn <= 50; turn++) {
    await late.query('begin')
    await late.query('insert into appends values ($1)', [turn])
    // A reader that has seen a higher number notices the gap, and asks who may own it.
    const tracker = new GapTracker(0)
    tracker.advance([], [2], 0)
    const look = async () => {
      tracker.fence(await connections.use((session) => lockHolders(session, names)))
      tracker.advance([], [], tracker.highest)
    }
    await look()
    let preparing = true
    const looking = (async () => {
      while (preparing) await look()
    })()
    await late.query(`prepare transaction '${database.name}'`)
    preparing = false
    await looking
    await look()
    if (tracker.gaps.length === 0) lost.push(turn)
    await late.query(`commit prepared '${database.name}'`)
  }
  await connections.close()
  expect(lost).toEqual([])
})
