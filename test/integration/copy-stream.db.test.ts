import { once } from 'node:events'
import type { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CopyRows } from '../../src/sources/postgres/copy-rows.js'
import { type CopyOptions, copyRows } from '../../src/sources/postgres/copy-stream.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let database: TestDatabase
let client: Client

beforeEach(async () => {
  database = await createDatabase()
  client = await database.client()
})

afterEach(async () => {
  await database?.[Symbol.asyncDispose]()
})

const copy = (sql: string, options: Partial<CopyOptions> = {}) =>
  copyRows(client, `copy (${sql}) to stdout (format binary)`, { rowsMax: 500, bytesMax: 16_384, ...options })

async function count(chunks: AsyncIterable<CopyRows>): Promise<number> {
  let rows = 0
  for await (const chunk of chunks) rows += chunk.rowCount
  return rows
}

const large = `select g, repeat('x', 100) from generate_series(1, 200000) g`

describe('COPY from PostgreSQL', () => {
  it('gives all rows once, in order', async () => {
    let expected = 1
    for await (const chunk of copy(large)) {
      expect(chunk.rowCount).toBeLessThanOrEqual(500)
      expect(chunk.byteCount).toBeLessThanOrEqual(16_384)
      for (let row = 0; row < chunk.rowCount; row += 1) {
        if (chunk.view.getInt32(chunk.start(row, 0)) !== expected) throw new Error(`Row ${expected} is missing`)
        expected += 1
      }
    }
    expect(expected).toBe(200_001)
  })

  it('stops reading while nothing is taken, and goes on', async () => {
    const chunks = copy(large, { chunksMax: 2 })
    expect((await chunks.next()).value?.rowCount).toBeGreaterThan(0)
    const stream = client.connection.stream
    await expect.poll(() => stream.isPaused()).toBe(true)
    const before = await count(chunks)
    expect(before).toBeGreaterThan(190_000)
    expect(stream.isPaused()).toBe(false)
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('lets large rows travel alone', async () => {
    const sizes: number[] = []
    for await (const chunk of copy(`select repeat('x', 5000000) from generate_series(1, 3)`)) sizes.push(chunk.rowCount)
    expect(sizes).toEqual([1, 1, 1])
  })

  it('knows no rows and no columns', async () => {
    expect(await count(copy('select 1 where false'))).toBe(0)
    expect(await count(copy('select from generate_series(1, 5)'))).toBe(5)
  })

  it.each([
    ['at once', 'select nonsense', '42703'],
    ['in the middle', `select 1 / (150000 - g), repeat('x', 100) from generate_series(1, 200000) g`, '22012'],
  ])('hands on an error that comes %s, after which the connection can be used', async (_, sql, code) => {
    await expect(count(copy(sql))).rejects.toMatchObject({ code, severity: 'ERROR' })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await count(copy('select 1'))).toBe(1)
  })

  it('notices that the connection was terminated', async () => {
    const other = await database.client()
    const { rows } = await client.query('select pg_backend_pid() as pid')
    const chunks = copy(`select pg_sleep(60)`)
    const next = chunks.next()
    next.catch(() => {})
    await expect
      .poll(
        async () =>
          (await other.query('select 1 from pg_stat_activity where pid = $1 and query like $2', [rows[0].pid, 'copy%']))
            .rowCount,
        { timeout: 30_000 },
      )
      .toBe(1)
    await other.query('select pg_terminate_backend($1)', [rows[0].pid])
    await expect(next).rejects.toMatchObject({ code: '57P01' })
  })

  it('closes the connection when it is left early, and so ends the statement', async () => {
    const other = await database.client()
    const { rows } = await client.query('select pg_backend_pid() as pid')
    for await (const chunk of copy(`select g, pg_sleep(0.001) from generate_series(1, 1000000) g`, { rowsMax: 1 })) {
      expect(chunk.rowCount).toBe(1)
      break
    }
    await expect(client.query('select 1')).rejects.toThrow()
    await expect
      .poll(async () => (await other.query('select 1 from pg_stat_activity where pid = $1', [rows[0].pid])).rowCount, {
        timeout: 30_000,
      })
      .toBe(0)
  })

  it('keeps the connection when it is left after everything has arrived', async () => {
    const chunks = copy('select 1 union all select 2', { rowsMax: 1 })
    const ready = once(client.connection, 'readyForQuery')
    await chunks.next()
    await ready
    await chunks.return()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('ends with the reason of the signal', async () => {
    const controller = new AbortController()
    const counted = count(copy(`select pg_sleep(60)`, { signal: controller.signal }))
    setImmediate(() => controller.abort(new Error('enough')))
    await expect(counted).rejects.toThrow('enough')
  })

  it('waits for its turn behind another query', async () => {
    const slow = client.query('select pg_sleep(0.05)')
    expect(await count(copy('select 1'))).toBe(1)
    await slow
  })

  it('is aborted while it waits for its turn without being sent', async () => {
    const controller = new AbortController()
    const slow = client.query('select pg_sleep(0.2)')
    slow.catch(() => {})
    const counted = count(copy('select 1', { signal: controller.signal }))
    controller.abort(new Error('enough'))
    await expect(counted).rejects.toThrow('enough')
    await expect(slow).rejects.toThrow()
  })
})
