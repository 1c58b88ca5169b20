/** Columns that come and go while changes are followed: records follow, and no row is read again for it. */
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { SyncEngine, type SyncEngineOptions, SyncError } from '../../src/index.js'
import { faulty, Reject } from '../../src/testing/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { SurrealReplica, type SurrealReplicaOptions } from '../support/surreal-replica.js'

const setup = `
  create table t (id int primary key, v text, w int, "odd \`name\\" jsonb);
  insert into t select i, 'v' || i, i, '{}' from generate_series(1, 2500) i;
  create table marker (id int primary key)`

interface Followed {
  readonly database: TestDatabase
  readonly client: pg.Client
  readonly replica: SurrealReplica
  /** Runs it and waits until everything has arrived. */
  settle(sql: string): Promise<void>
  /** Rows of `t` that the engine has written since the full sync. */
  written(): number
}

/** A pipeline that follows changes while `work` goes on. */
async function following(
  options: Omit<SurrealReplicaOptions, 'url'>,
  work: (followed: Followed) => Promise<void>,
  prepare = '',
): Promise<void> {
  await using database = await createDatabase()
  const client = await database.client()
  await client.query(setup)
  await client.query(prepare)
  await using replica = await SurrealReplica.open({ url: database.url, ...options })
  await replica.full()
  const engine = replica.engine()
  let rows = 0
  engine.on('batch', ({ table, rows: count }) => {
    if (table.label === 'public.t') rows += count
  })
  const stop = new AbortController()
  const follows = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
  const ended = engine.run({ phase: 'incremental', follow: true, signal: stop.signal })
  let markers = 0
  const settle = async (sql: string) => {
    for (const statement of sql.split(';')) await client.query(statement)
    markers += 1
    await client.query('insert into marker values ($1)', [markers])
    const arrived = async () => (await replica.printed(`marker:${markers}.id`)) === `marker:${markers}`
    await Promise.race([eventually(arrived, 'the marker arrives'), ended])
  }
  await Promise.race([follows, ended])
  try {
    await work({ database, client, replica, settle, written: () => rows })
  } finally {
    stop.abort()
    await ended
  }
}

const codes = ({ warnings }: SurrealReplica) =>
  warnings.map(({ code }) => code).filter((code) => code.startsWith('table_'))

describe('a column that comes or goes', { timeout: 60_000 }, () => {
  it('changes every record and reads no row', async () => {
    await following({}, async ({ replica, settle, written }) => {
      await settle('alter table t add column extra numeric, add column "a b" text')
      await replica.expectEqual({ tables: ['public.t'] })
      await settle('alter table t drop column w, drop column "odd `name\\"')
      await replica.expectEqual({ tables: ['public.t'] })
      await settle('alter table t drop column extra, add column later int[]')
      await replica.expectEqual({ tables: ['public.t'] })
      expect(written()).toBe(0)
      expect(codes(replica)).toEqual(['table_altered', 'table_altered', 'table_altered'])
      expect(await replica.printed('SELECT * FROM t:7')).toBe(`[{ "a b": NULL, id: t:7, later: NULL, v: 'v7' }]`)
    })
  })

  it('does not touch what was written into it since', async () => {
    await following({}, async ({ replica, settle, written }) => {
      await settle(`alter table t add column extra int; update t set extra = id where id <= 3;
        insert into t values (9001, 'new', 1, null, 5); delete from t where id = 2500; update t set id = 9002 where id = 2499`)
      await replica.expectEqual({ tables: ['public.t'] })
      expect(written()).toBeLessThan(20)
      // As after a crash between the alteration and its checkpoint.
      await settle(
        'alter table t add column second int; alter table t drop column extra; update t set second = 1 where id = 1',
      )
      await replica.expectEqual({ tables: ['public.t'] })
    })
  })

  it('keeps edges, and fields that others have written', async () => {
    await following({}, async ({ replica, settle }) => {
      await replica.db.query('CREATE person:1; RELATE person:1->likes->t:1; UPDATE t:1 SET extra = 77, mine = 1')
      await settle('alter table t add column extra int, drop column w')
      expect(await replica.printed('SELECT extra, mine, w FROM t:1')).toBe('[{ extra: 77, mine: 1, w: NONE }]')
      expect(await replica.printed('person:1->likes->t')).toBe('[t:1]')
    })
  })

  it('adds no field where NULL is none', async () => {
    await following({ sink: { values: { nulls: 'none' } } }, async ({ replica, settle }) => {
      await settle('alter table t add column extra int, drop column w')
      expect(await replica.printed('object::keys((SELECT * FROM ONLY t:7))')).toBe("['id', 'odd `name\\\\', 'v']")
    })
  })

  const replaced = [
    [
      'the name of a column that went is taken again',
      'begin; alter table t drop column w; alter table t add column w int; commit',
    ],
    ['it has a default', 'alter table t add column extra int default 7'],
    [
      'a default was there for a moment',
      'begin; alter table t add column extra int default 7; alter table t alter column extra drop default; commit',
    ],
    ['it is generated', `alter table t add column extra text generated always as (v || '!') stored`],
    ['its type has a default', 'create domain five as int default 5; alter table t add column extra five'],
    [
      'rows were rewritten with it',
      `begin; alter table t add column extra text; alter table t alter column extra type text using 'x' || id; commit`,
    ],
    ['another column changed with it', 'alter table t add column extra int, alter column w type bigint'],
    ['the field of another column changes with it', 'alter table named add column id_ int'],
    [
      'it takes the field of a column that went',
      'begin; alter table named drop column id; alter table named add column id_ int; commit',
    ],
  ] as const

  it.each(replaced)('copies the table again if %s', async (_, sql) => {
    const prepare = 'create table named (code text primary key, id int); insert into named values (1, 2)'
    await following(
      {},
      async ({ replica, settle }) => {
        await settle(sql)
        expect(codes(replica)).toContain('table_replaced')
        expect(codes(replica)).not.toContain('table_altered')
        await replica.expectEqual({ tables: ['public.t', 'public.named'] })
      },
      prepare,
    )
  })

  it('copies the table again if a transform could make something of it', async () => {
    const engine: Partial<SyncEngineOptions> = {
      transforms: [(rows) => rows.map((row) => ({ ...row, fields: Object.keys(row).length }))],
    }
    await following({ engine }, async ({ replica, settle }) => {
      await settle('alter table t add column extra int')
      expect(await replica.printed('array::distinct(SELECT VALUE fields FROM t)')).toBe('[5]')
    })
  })

  it('copies the table again if SQL of its shape means another column now, which is not read itself', async () => {
    const shaping = { t: { columns: ['v'], where: 'w > 0' } }
    await following({ source: { shaping } }, async ({ replica, settle, written }) => {
      await settle('alter table t drop column "odd `name\\"; alter table t add column extra int')
      expect(written()).toBe(0)
      await settle('begin; alter table t drop column w; alter table t add column w int; commit')
      expect(await replica.printed('count(SELECT * FROM t)')).toBe('0')
      await settle(`update t set w = 1 where id = 7`)
      expect(await replica.printed('SELECT * FROM t')).toBe(`[{ id: t:7, v: 'v7' }]`)
    })
  })

  it('leaves alone records of others that are kept', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query('create table t (id int primary key); insert into t values (1); create table marker (id int)')
    await using replica = await SurrealReplica.open({ url: database.url, sink: { existing: 'keep' } })
    await replica.db.query('CREATE t:99 SET v = 1')
    await replica.full()
    const stop = new AbortController()
    const engine = replica.engine()
    engine.once('caughtUp', () => {
      engine.on('caughtUp', () => stop.abort())
      client.query('alter table t add column extra int').catch(() => stop.abort())
    })
    await engine.run({ phase: 'incremental', follow: true, signal: stop.signal })
    expect(codes(replica)).toContain('table_replaced')
    expect(await replica.printed('SELECT * FROM t')).toBe('[{ extra: NULL, id: t:1 }, { id: t:99, v: 1 }]')
  })

  it('is right after a crash between the alteration and its checkpoint', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    let altered = false
    const crash = new Reject(new SyncError('E_SOURCE', 'A crash'))
    const { source, sink } = replica.ends()
    const crashing = faulty(sink, (operation) => {
      altered ||= operation === 'alter'
      return altered && operation === 'commit' ? crash : undefined
    })
    const engine = new SyncEngine({ source, sink: crashing })
    engine.once('caughtUp', () => {
      client.query('alter table t add column extra int, drop column w').catch(() => undefined)
    })
    await expect(engine.run({ phase: 'incremental', follow: true })).rejects.toThrow('A crash')
    await client.query('update t set extra = 1 where id = 1')
    await replica.catchUp()
    await replica.expectEqual({ tables: ['public.t'] })
  })

  it('is found in the partitions that have a default for it', async () => {
    const prepare = `create table parted (id int primary key, v text) partition by range (id);
      create table low partition of parted for values from (0) to (10); create table high partition of parted for values from (10) to (20);
      insert into parted select i, 'v' || i from generate_series(1, 19) i`
    await following(
      {},
      async ({ replica, settle }) => {
        await settle('alter table parted add column extra int')
        await replica.expectEqual({ tables: ['public.parted'] })
        expect(codes(replica)).toEqual(['table_altered'])
        await settle('alter table parted add column more int default 3')
        await replica.expectEqual({ tables: ['public.parted'] })
        expect(codes(replica)).toEqual(['table_altered', 'table_replaced'])
      },
      prepare,
    )
  })
})
