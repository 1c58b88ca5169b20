/** Tables that somebody asks for again, and tables that come to a pipeline later. */
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { Replica } from '../support/replica.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const setup = `
  create table t (id int primary key, v text); insert into t select i, 'v' from generate_series(1, 300) i;
  create table other (id int primary key, v text); insert into other values (1, 'v')`

/** What somebody did to the target behind the pipeline's back. */
const harm = `UPDATE t:1 SET v = 'wrong'; DELETE t:2; CREATE t:9999 SET v = 'extra'; UPDATE other:1 SET v = 'wrong'`

describe('resync', { timeout: 60_000 }, () => {
  it('copies a table again when the pipeline runs next, removes what is too much, and leaves other tables', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await replica.catchUp()
    await replica.db.query(harm)
    await client.query(`update t set v = 'later' where id = 3`)
    expect(await replica.ends().source.resync(['t'])).toEqual(['public.t'])
    await client.query(`delete from t where id = 4`)
    await replica.catchUp()
    await replica.expectEqual({ tables: ['public.t'] })
    expect(await replica.printed('other:1.v')).toBe(`'wrong'`)
  })

  it('does so at once in a pipeline that runs', async () => {
    await using database = await createDatabase()
    await (await database.client()).query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await following(replica, async (arrives) => {
      await replica.db.query(harm)
      await replica.ends().source.resync(['public.*'])
      await arrives(`'wrong' NOT IN (SELECT VALUE v FROM t, other) AND !record::exists(t:9999)`)
    })
    await replica.expectEqual()
  })

  it('adds a table to a pipeline that runs, and follows it from then on', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await replica.db.query('DEFINE TABLE late')
    await following(replica, async (arrives) => {
      await client.query(`create table late (id int primary key, v text); insert into late values (1, 'a'), (2, 'a')`)
      await replica.ends().source.resync(['late'])
      await arrives('record::exists(late:2)')
      await client.query(
        `update late set v = 'b' where id = 1; delete from late where id = 2; insert into t values (0, 'v')`,
      )
      await arrives(`late:1.v = 'b' AND record::exists(t:0)`)
    })
    await replica.expectEqual()
    expect(replica.warnings.filter(({ code }) => code.startsWith('table_')).map(({ code }) => code)).toEqual([
      'table_added',
    ])
    // A later run knows it.
    await client.query(`insert into late values (3, 'c')`)
    await replica.catchUp()
    await replica.expectEqual()
  })

  it('adds nothing to a pipeline that does not select the table', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url, source: { excludeTables: ['other'] } })
    await replica.full()
    await replica.db.query('DEFINE TABLE other')
    await following(replica, async (arrives) => {
      replica.configure({ source: {} })
      await replica.ends().source.resync(['other'])
      await client.query(`insert into t values (0, 'v')`)
      await arrives('record::exists(t:0)')
    })
    expect(await replica.printed('SELECT VALUE id FROM other')).toBe('[]')
  })

  it('lets a pipeline that names its tables take one more when it is started again', async () => {
    await using database = await createDatabase()
    await (await database.client()).query(setup)
    await using replica = await SurrealReplica.open({ url: database.url, source: { tables: ['t'] } })
    await replica.full()
    await replica.catchUp()
    await replica.ends().source.resync(['other'])
    replica.configure({ source: { tables: ['t', 'other'] } })
    await replica.catchUp()
    await replica.expectEqual()
  })

  it('is not needed for a table that another pipeline has had captured: it is copied when it comes', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url, source: { tables: ['t'] } })
    await replica.full()
    await replica.catchUp()
    await new Replica({ url: database.url }, 'another').full()
    await client.query(`insert into other values (2, 'w')`)
    await replica.catchUp()
    replica.configure({ source: { tables: ['t', 'other'] } })
    await replica.catchUp()
    await replica.expectEqual()
    expect(replica.warnings.map(({ code, table }) => [code, table])).toContainEqual(['table_added', 'public.other'])
    // And only then.
    await replica.catchUp()
    expect(replica.warnings.filter(({ code }) => code === 'table_added')).toHaveLength(1)
  })

  it.each([
    ['when the run begins', ['t']],
    ['while it goes on', undefined],
  ])('leaves alone what others have in the target of a table that comes %s', async (_, tables) => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query('create table t (id int primary key)')
    await using replica = await SurrealReplica.open({ url: database.url, source: { tables } })
    await replica.full()
    await client.query(`create table late (id int primary key); insert into late values (1)`)
    await replica.db.query('CREATE late:77')
    await replica.ends().source.resync(['late'])
    if (tables !== undefined) replica.configure({ source: { tables: [...tables, 'late'] } })
    // Also when it is tried again.
    for (let run = 0; run < 2; run += 1) {
      await expect(replica.catchUp()).rejects.toMatchObject({ code: 'E_TARGET_NOT_EMPTY' })
      expect(await replica.printed('SELECT VALUE id FROM late')).toBe('[late:77]')
    }
    await replica.db.query('DELETE late')
    await replica.catchUp()
    await replica.expectEqual()
  })

  it.each(['the target has another name', 'changes are replayed of a pipeline that was forgotten'])(
    'leaves alone what others have where nothing was ever copied to: %s',
    async (what) => {
      await using database = await createDatabase()
      const client = await database.client()
      await client.query('create table t (id int primary key, v text); create table other (id int primary key)')
      await using replica = await SurrealReplica.open({ url: database.url, source: { tables: ['t'] } })
      await replica.full()
      await replica.db.query('CREATE other:77; CREATE other:78')
      if (what.startsWith('the target')) {
        replica.configure({ sink: { tableName: () => 'other' } })
        await client.query(`insert into t values (77, 'a')`)
      } else {
        // Another pipeline has it captured.
        await using others = await SurrealReplica.open({ url: database.url, engine: { id: 'others' } })
        await others.full()
        await client.query('insert into other values (77), (78), (79); delete from other where id = 78')
        await replica.ends().source.forget('default')
        replica.configure({ source: {} })
      }
      const replayed = { phase: 'incremental', from: '0', replay: true } as const
      // Also when it is tried again.
      for (let run = 0; run < 2; run += 1) {
        await expect(replica.run(replayed)).rejects.toMatchObject({ code: 'E_TARGET_NOT_EMPTY' })
        expect(await replica.printed('SELECT * FROM other')).toBe('[{ id: other:77 }, { id: other:78 }]')
      }
      await replica.db.query('DELETE other')
      await replica.run(replayed)
      const counted = what.startsWith('the target') ? '1' : '2'
      expect(await replica.printed('count(SELECT * FROM other)')).toBe(counted)
    },
  )

  it('refuses a table that would come to where another one is', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await client.query(`create schema shop; create table shop.t (id int primary key); insert into shop.t values (0)`)
    const arrives = following(replica, async (arrives) => {
      await replica.ends().source.resync(['shop.t'])
      await arrives('record::exists(t:0)')
    })
    await expect(arrives).rejects.toMatchObject({ code: 'E_NAME_COLLISION' })
    expect(await replica.printed('count(SELECT * FROM t)')).toBe('300')
  })

  it('sees to what is asked for while a delta begins', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    const locker = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await client.query(`create table late (id int primary key, v text); insert into late values (1, 'a')`)
    await following(replica, async (arrives) => {
      await client.query(`begin; insert into t values (0, 'v')`)
      const locked = locker.query('begin; lock table t in access exclusive mode')
      const waits = (mode: string) => async () => {
        const { rows } = await client.query(
          `select from pg_locks where not granted and mode = $1 and relation = 't'::regclass`,
          [mode],
        )
        return rows.length > 0
      }
      await eventually(waits('AccessExclusiveLock'), 'the locker waits')
      await client.query('commit')
      await locked
      await eventually(waits('AccessShareLock'), 'the delta waits')
      await client.query(
        `insert into surreal_sync_changes (table_id, table_name, operation) values ('late'::regclass, 'late', 'RESYNC')`,
      )
      await locker.query('commit')
      await arrives('record::exists(t:0) AND record::exists(late:1)')
    })
  })

  it('does not copy a table that came later once more when a connection is lost', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await replica.db.query('DEFINE TABLE late')
    await following(replica, async (arrives) => {
      await client.query(`create table late (id int primary key, v text); insert into late values (1, 'a')`)
      await replica.ends().source.resync(['late'])
      await arrives('record::exists(late:1)')
      await client.query(`insert into t values (-1, 'v')`)
      await arrives('record::exists(t:-1)')
      await client.query(`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'surreal-sync%'`)
      await client.query(`insert into late values (2, 'b')`)
      await arrives('record::exists(late:2)')
    })
    const copies = replica.warnings.filter(({ code }) => code === 'table_added' || code === 'table_replaced')
    expect(copies.map(({ code }) => code)).toEqual(['table_added'])
    await replica.expectEqual()
  })

  it('is refused where nothing is followed, and for what cannot be', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`${setup}; create table keyless (v text)`)
    await using replica = await SurrealReplica.open({ url: database.url })
    const { source } = replica.ends()
    await expect(source.resync(['t'])).rejects.toMatchObject({ code: 'E_TRIGGER_MISSING' })
    const { rows } = await client.query(`select from pg_class where relname like 'surreal_sync%'`)
    expect(rows).toHaveLength(0)
    await replica.full()
    await expect(source.resync(['t', 'keyless'])).rejects.toMatchObject({ code: 'E_TABLE_WITHOUT_KEY' })
    await expect(source.resync(['nothing'])).rejects.toMatchObject({ code: 'E_UNKNOWN_TABLE' })
    expect((await client.query('select from surreal_sync_changes')).rows).toHaveLength(0)
  })
})

/** Runs a pipeline meanwhile; `arrives` waits for a condition on the target. */
async function following(
  replica: SurrealReplica,
  work: (arrives: (condition: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const engine = replica.engine()
  const stop = new AbortController()
  const ready = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
  const ended = engine.run({ phase: 'incremental', follow: true, signal: stop.signal })
  try {
    await Promise.race([ready, ended])
    await work(async (condition) => {
      const holds = async () => (await replica.printed(condition)) === 'true'
      await Promise.race([eventually(holds, condition), ended])
    })
  } finally {
    stop.abort()
    await ended
  }
}
