/** Where a run ends that is told to end: at the first state of the source, not before the number, in which all is applied. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'

let database: TestDatabase
let client: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
  await client.query('create table t (id int primary key, v int)')
  replica = new Replica({ url: database.url })
  await replica.full()
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

async function until(sequence: number): Promise<number> {
  const { position } = await replica.run({ phase: 'incremental', until: `postgresql:sequence:${sequence}` })
  return Number(position?.split(':').at(-1))
}

/** Whether the work has not ended after a while in which it would have. */
async function isWaiting(work: Promise<unknown>): Promise<boolean> {
  const pause = new Promise<'waiting'>((resolve) => setTimeout(() => resolve('waiting'), 1_000))
  return (await Promise.race([work, pause])) === 'waiting'
}

describe('a run until a number', () => {
  it('ends at the first drained read that has passed it, not in the middle of a backlog', async () => {
    await client.query('insert into t select i, i from generate_series(1, 2500) i')
    expect(await until(1_200)).toBe(2_500)
    await expectFresh(replica, { url: database.url })
    await client.query('update t set v = 0 where id = 1')
    expect(await until(1_200)).toBe(2_501)
  })

  it('ends at a number that was rolled back, and so never comes', async () => {
    await client.query('insert into t values (1, 1)')
    await client.query('begin; insert into t values (2, 2), (3, 3); rollback')
    expect(await until(3)).toBe(3)
    await expectFresh(replica, { url: database.url })
  })

  it.each([2, 3])('waits for the transaction that has a number at or before it (%i)', async (sequence) => {
    const other = await database.client()
    await client.query('insert into t values (1, 1)')
    await client.query('begin; insert into t values (2, 2)')
    await other.query('insert into t values (3, 3)')
    const reached = until(sequence)
    expect(await isWaiting(reached)).toBe(true)
    await client.query('commit')
    expect(await reached).toBe(3)
    await expectFresh(replica, { url: database.url })
  })

  it('does not wait for a transaction that has a number behind it only', async () => {
    const other = await database.client()
    await client.query('insert into t values (1, 1)')
    await other.query('begin; insert into t values (2, 2)')
    await client.query('insert into t values (3, 3)')
    expect(await until(1)).toBe(1)
    await other.query('rollback')
  })

  it('waits for a number that was not yet handed out', async () => {
    const reached = until(2)
    expect(await isWaiting(reached)).toBe(true)
    await client.query('insert into t values (1, 1), (2, 2)')
    expect(await reached).toBe(2)
    await expectFresh(replica, { url: database.url })
  })
})
