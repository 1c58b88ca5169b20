/** What becomes of records whose rows are gone: in deltas, when they leave a filter, when a table is replaced. */
import { describe, expect, it } from 'vitest'
import { type Deletes, PostgresTriggerSource, type Shaping, type Sink, SyncEngine } from '../../src/index.js'
import { createDatabase } from '../support/database.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const rows = (from: number, to: number) => `insert into t select i, 'v' || i from generate_series(${from}, ${to}) i`

async function open(shaping: Shaping) {
  const database = await createDatabase()
  const client = await database.client()
  await client.query(`create table t (id int primary key, v text); ${rows(1, 6)}`)
  const replica = await SurrealReplica.open({ url: database.url, source: { shaping } })
  return {
    client,
    replica,
    async [Symbol.asyncDispose]() {
      await replica[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** The keys that are there, and those of them that are marked. */
const marked = (field: string) => `SELECT VALUE [id.id(), ${field} != NONE] FROM t`

describe('soft deletes', () => {
  it.each<[name: string, deletes: Deletes, field: string]>([
    ['by the usual field', 'soft', 'deleted_at'],
    ['by another field', { soft: 'gone since' }, '`gone since`'],
  ])('keep the row with the time of its first delete, until it is back: %s', async (_, deletes, field) => {
    await using pair = await open({ t: { deletes, where: `v <> 'out'` } })
    const { client, replica } = pair
    await replica.full()
    // The last one came and went between two polls, so it leaves nothing.
    await client.query(`delete from t where id = 1; update t set v = 'out' where id = 2; update t set id = 30 where id = 3;
      insert into t values (9, 'x'); delete from t where id = 9`)
    await replica.catchUp()
    const expected = '[[1, true], [2, true], [3, true], [4, false], [5, false], [6, false], [30, false]]'
    expect(await replica.printed(marked(field))).toBe(expected)
    expect(await replica.printed(`SELECT VALUE v FROM [t:1, t:2, t:3]`)).toBe("['v1', 'v2', 'v3']")
    expect(await replica.printed(`type::is_datetime(t:1.${field})`)).toBe('true')
    const times = await replica.printed(`SELECT VALUE ${field} FROM t`)
    // Again, by deltas, by a barrier and by another full sync: the marks are the same.
    await client.query(`insert into t values (1, 'again'); delete from t where id = 1; create table old as table t;
      truncate t; insert into t select * from old`)
    await replica.catchUp()
    await replica.full()
    expect(await replica.printed(marked(field))).toBe(expected)
    expect(await replica.printed(`SELECT VALUE ${field} FROM t`)).toBe(times)
    await client.query(`insert into t values (1, 'back'), (3, 'back'); update t set v = 'back' where id = 2`)
    await replica.catchUp()
    expect(await replica.printed('SELECT * FROM [t:1, t:2, t:3]')).toBe(
      `[{ id: t:1, v: 'back' }, { id: t:2, v: 'back' }, { id: t:3, v: 'back' }]`,
    )
  })

  it('mark what TRUNCATE and a full sync find absent, and what a transform removes', async () => {
    await using pair = await open({
      '*': { deletes: 'soft' },
      t: { transform: (all) => all.map((row) => (row.v === 'removed' ? null : row)) },
    })
    const { client, replica } = pair
    await replica.full()
    await client.query(`update t set v = 'removed' where id = 6`)
    await replica.catchUp()
    await client.query(`truncate t; ${rows(5, 7)}`)
    await replica.catchUp()
    await client.query(
      'set session_replication_role = replica; alter table t disable trigger all; delete from t where id = 7',
    )
    await replica.full()
    expect(await replica.printed(marked('deleted_at'))).toBe(
      '[[1, true], [2, true], [3, true], [4, true], [5, false], [6, false], [7, true]]',
    )
  })

  it('travel with other changes and with the checkpoint in one transaction, many at once', async () => {
    await using pair = await open({ t: { deletes: 'soft' } })
    const { client, replica } = pair
    await client.query(rows(100, 6_000))
    await client.query('create table u (id int primary key); insert into u values (1), (2)')
    await replica.full()
    await client.query(`delete from t where id >= 2000; delete from u where id = 1; update t set v = 'x' where id < 4`)
    await replica.catchUp()
    expect(await replica.printed('(SELECT count() FROM t WHERE deleted_at != NONE GROUP ALL)[0].count')).toBe('4001')
    expect(await replica.printed('(SELECT count() FROM t WHERE deleted_at = NONE GROUP ALL)[0].count')).toBe('1906')
    expect(await replica.printed('SELECT VALUE id FROM u')).toBe('[u:2]')
    expect(await replica.printed(`SELECT VALUE [consistent, part] FROM surreal_sync_state:['default', 0]`)).toBe(
      '[[true, 0]]',
    )
  })

  it.each<[name: string, shaping: Shaping, field: string]>([
    ['a column', { t: { deletes: { soft: 'v' } } }, 'v'],
    ['a renamed column', { t: { deletes: 'soft', rename: { v: 'deleted_at' } } }, 'deleted_at'],
    ['the record id', { t: { deletes: { soft: 'id' } } }, 'id'],
  ])('refuse a field that %s has', async (_, shaping, field) => {
    await using pair = await open(shaping)
    await expect(pair.replica.full()).rejects.toMatchObject({
      code: 'E_NAME_COLLISION',
      details: { table: 'public.t', column: field },
    })
  })
})

describe('ignored deletes', () => {
  it('leave every record, in deltas, barriers and full syncs, and still move on', async () => {
    await using pair = await open({ t: { deletes: 'ignore' } })
    const { client, replica } = pair
    await replica.full()
    await client.query('delete from t where id = 1')
    const { position } = await replica.catchUp()
    await client.query(`truncate t; ${rows(8, 8)}`)
    await replica.catchUp()
    await replica.full()
    const { position: later } = await replica.catchUp()
    expect(position).not.toBe(later)
    expect(await replica.printed('SELECT VALUE id.id() FROM t')).toBe('[1, 2, 3, 4, 5, 6, 8]')
    expect(replica.warnings.map(({ code }) => code)).not.toContain('sweep_skipped')
  })
})

describe('a sink that only deletes', () => {
  it('is refused where rows are to stay', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query('create table t (id int primary key)')
    const source = new PostgresTriggerSource({ url: database.url, shaping: { t: { deletes: 'ignore' } } })
    const sink: Sink = { name: 'other', write: async () => undefined }
    await expect(new SyncEngine({ source, sink }).run()).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: 'The sink other deletes rows of public.t that are to stay',
    })
  })
})
