/** Metrics of real runs: what they say is what is in the databases. */
import { expect, it } from 'vitest'
import { observe, PostgresTriggerSource } from '../../src/index.js'
import { createDatabase } from '../support/database.js'
import { once } from '../support/engine-fixtures.js'
import { parseMetrics, valueOfSample } from '../support/prometheus.js'
import { noPromtool, promtool } from '../support/promtool.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const canary = 'canary-5e1f'
const patient = { timeout: 30_000 }

it('counts what was copied and applied, and what the source keeps', async () => {
  await using database = await createDatabase()
  const client = await database.client()
  await client.query(`create table users (id int primary key, name text);
    create table logs (id int primary key, line text);
    insert into users select i, '${canary}' from generate_series(1, 50) i;
    insert into logs select i, 'x' from generate_series(1, 2500) i; analyze`)
  await using replica = await SurrealReplica.open({ url: database.url })
  const engine = replica.engine()
  const source = new PostgresTriggerSource({ url: database.url })
  await using observation = await observe(engine, { source, statusIntervalMs: 50 })
  const read = async () => parseMetrics(await observation.metrics())
  const stop = new AbortController()
  const caughtUp = once(engine, 'caughtUp')
  const ended = engine.run({ follow: true, signal: stop.signal })
  ended.catch(() => undefined)
  await caughtUp
  const again = once(engine, 'caughtUp')
  await client.query(`update users set name = '${canary} 2' where id <= 30`)
  await again
  const writer = await database.client()
  await writer.query(`begin; insert into users values (1000, '${canary} 3')`)
  await expect
    .poll(async () => valueOfSample(await read(), 'surreal_sync_oldest_unseen_transaction_age_seconds'), patient)
    .toBeGreaterThan(0)
  const metrics = await read()
  const rows = (table: string, phase: string) => valueOfSample(metrics, 'surreal_sync_rows_total', { table, phase })
  expect(rows('public.users', 'full')).toBe(50)
  expect(rows('public.logs', 'full')).toBe(2_500)
  expect(rows('public.users', 'incremental')).toBe(30)
  expect(valueOfSample(metrics, 'surreal_sync_bytes_total', { table: 'public.logs', phase: 'full' })).toBeGreaterThan(
    2_500,
  )
  const { rows: kept } = await client.query('select count(*)::int as count from surreal_sync_changes')
  expect(valueOfSample(metrics, 'surreal_sync_audit_rows')).toBe(kept[0].count)
  expect(valueOfSample(metrics, 'surreal_sync_lag_seconds')).toBe(0)
  expect(valueOfSample(metrics, 'surreal_sync_delay_seconds_count')).toBeUndefined()
  expect(metrics.get('surreal_sync_delay_seconds')?.samples.find(({ name }) => name.endsWith('_count'))?.value).toBe(1)
  expect(observation.health()).toMatchObject({ ready: true, state: 'incremental' })
  expect(await observation.metrics()).not.toContain(canary)
  await writer.query('rollback')
  stop.abort()
  await ended
})

it('serves what promtool has nothing against', async ({ skip }) => {
  skip(...noPromtool)
  await using database = await createDatabase()
  const client = await database.client()
  await client.query('create table users (id int primary key); insert into users values (1)')
  await using replica = await SurrealReplica.open({ url: database.url })
  const engine = replica.engine()
  const source = new PostgresTriggerSource({ url: database.url })
  await using observation = await observe(engine, { source, statusIntervalMs: 10 })
  const stop = new AbortController()
  const caughtUp = once(engine, 'caughtUp')
  const ended = engine.run({ follow: true, signal: stop.signal })
  await caughtUp
  const applied = once(engine, 'delta')
  await client.query('insert into users values (2)')
  await applied
  await expect.poll(() => observation.metrics(), patient).toContain('\nsurreal_sync_audit_bytes ')
  expect(promtool(['check', 'metrics'], { input: await observation.metrics() })).toEqual({ status: 0, said: '' })
  stop.abort()
  await ended
})

it('does no harm to the run when the source refuses to be asked', async () => {
  await using database = await createDatabase()
  const client = await database.client()
  await client.query('create table users (id int primary key); insert into users values (1)')
  await using replica = await SurrealReplica.open({ url: database.url })
  const engine = replica.engine()
  const wrong = new PostgresTriggerSource({ url: database.url, password: 'wrong', user: 'nobody' })
  await using observation = await observe(engine, { source: wrong, statusIntervalMs: 10 })
  await engine.run()
  await expect
    .poll(async () =>
      valueOfSample(parseMetrics(await observation.metrics()), 'surreal_sync_source_status_failures_total'),
    )
    .toBeGreaterThan(0)
  expect(observation.health()).toMatchObject({ healthy: true, ready: true, state: 'completed' })
})
