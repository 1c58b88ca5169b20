/** A source with a real standby, which a copy must not leave behind. */
import pg from 'pg'
import { expect, it } from 'vitest'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { PostgresTriggerSource, SyncEngine } from '../../src/index.js'
import { MemorySink } from '../../src/testing/index.js'
import { eventually } from '../support/eventually.js'
import { standbyName, startStandby } from '../support/standby.js'

const bytesMax = 100_000

it('copying pauses while a standby does not replay, goes on when it has caught up, and does not wait for one that is gone', async () => {
  await using primary = await startPostgres()
  const url = await primary.createDatabase('source')
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query('create table t (id int primary key, filler text); insert into t values (1)')
  const standby = await startStandby(primary)
  const replaying = new pg.Client({ connectionString: standby.url('source') })
  try {
    await replaying.connect()
    const lag = async () => {
      const { rows } = await admin.query<{ bytes: string }>(
        `select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) as bytes from pg_stat_replication where application_name = $1`,
        [standbyName],
      )
      return rows.map(({ bytes }) => Number(bytes))
    }
    await eventually(async () => (await lag()).some((bytes) => bytes < bytesMax), 'the standby follows')
    await replaying.query('select pg_wal_replay_pause()')
    await admin.query(`insert into t select n, repeat('x', 1000) from generate_series(2, 500) n`)
    await eventually(async () => (await lag()).some((bytes) => bytes > bytesMax), 'the standby is behind')

    const copy = async (warned: (code: string) => void) => {
      const sink = new MemorySink()
      const source = new PostgresTriggerSource({ url, replicationLagBytesMax: bytesMax })
      const engine = new SyncEngine({ source, sink })
      const order: string[] = []
      engine.on('warning', ({ code }) => {
        order.push(code)
        warned(code)
      })
      engine.on('batch', ({ rows }) => rows > 0 && order.push('rows'))
      await engine.run({ phase: 'full' })
      expect(sink.rows('public.t')).toHaveLength(500)
      return order.filter((event) => event !== 'plaintext')
    }
    const replayedWhen: number[] = []
    const order = await copy((code) => {
      if (code === 'source_paused') void replaying.query('select pg_wal_replay_resume()')
      if (code === 'source_resumed')
        void replaying
          .query('select count(*)::int as count from t')
          .then(({ rows }) => replayedWhen.push(rows[0].count))
    })
    expect(order.slice(0, 3)).toEqual(['source_paused', 'source_resumed', 'rows'])
    expect(replayedWhen).toEqual([500])

    await replaying.end()
    await standby.stop()
    await eventually(async () => (await lag()).length === 0, 'the standby is gone')
    await admin.query(`update t set filler = 'y'`)
    expect(await copy(() => undefined)).not.toContain('source_paused')
  } finally {
    await replaying.end().catch(() => undefined)
    await standby.stop()
    await admin.end()
  }
})
