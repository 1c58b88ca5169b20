/** Who holds a lock on the audit table is asked while transactions change their identity: by PREPARE. */
import type pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { parseConnection } from '../../src/sources/postgres/connection-settings.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { lockHolders } from '../../src/sources/postgres/fence.js'
import { GapTracker } from '../../src/sources/postgres/gap-tracker.js'
import { auditNames } from '../../src/sources/postgres/schema.sql.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client
let connections: Connections

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query('create table t (id int primary key)')
  await new Replica({ url: database.url }).full()
  connections = new Connections(parseConnection(database.url), () => undefined)
})

afterEach(async () => {
  await connections.close()
  await database[Symbol.asyncDispose]()
})

it('keeps the suspects of a gap through PREPARE TRANSACTION, whenever it looks', async () => {
  const names = auditNames('public')
  const lost: string[] = []
  // Many locks make the list of locks long, and looking at it slow.
  await (await database.client()).query('select pg_advisory_lock(i) from generate_series(1, 5000) i')
  for (let turn = 1; turn <= 100; turn++) {
    await client.query('begin')
    await client.query('insert into t values ($1)', [turn])
    // A reader that has seen a higher number notices the gap, and asks who may own it.
    const trackers = await Promise.all(
      [0, 1, 2].map(async () => {
        const tracker = new GapTracker(0)
        tracker.advance([], [2], 0)
        tracker.fence(await connections.use((session) => lockHolders(session, names)))
        return tracker
      }),
    )
    let preparing = true
    const looking = trackers.map(async (tracker) => {
      while (preparing) {
        tracker.fence(await connections.use((session) => lockHolders(session, names)))
        tracker.advance([], [], tracker.highest)
      }
      tracker.fence(await connections.use((session) => lockHolders(session, names)))
      tracker.advance([], [], tracker.highest)
      if (tracker.gaps.length === 0) lost.push(`turn ${turn}`)
    })
    await client.query(`prepare transaction '${database.name}'`)
    preparing = false
    await Promise.all(looking)
    await client.query(`commit prepared '${database.name}'`)
  }
  expect(lost).toEqual([])
})
