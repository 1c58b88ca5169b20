/** Orders of statements and commits that a careless reader loses or reverses. Each is one plain test. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Follower, Replica } from '../support/replica.js'

const label = 'public.accounts'

let database: TestDatabase
let a: pg.Client
let b: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  a = await database.client()
  b = await database.client()
  await a.query('create table accounts (id bigint primary key, v text)')
  await a.query(`insert into accounts values (1, 'one'), (2, 'two')`)
  replica = new Replica({ url: database.url })
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

/** What the source holds now, by id. */
async function source(): Promise<Readonly<Record<string, unknown>>> {
  const { rows } = await a.query<{ id: string; v: unknown }>('select id, v from only accounts')
  return Object.fromEntries(rows.map(({ id, v }) => [id, v]))
}

async function expectEqual(): Promise<void> {
  expect(replica.column(label, 'v')).toEqual(await source())
}

async function lastSequence(): Promise<number> {
  const { rows } = await a.query<{ last: string }>(
    'select coalesce(max(sequence_id), 0) as last from surreal_sync_changes',
  )
  return Number(rows[0]?.last)
}

describe('changes', () => {
  beforeEach(async () => {
    await replica.full()
  })

  it('of two transactions that commit in the opposite order of their sequence numbers', async () => {
    await a.query(`begin; insert into accounts values (10, 'first number, last commit')`)
    await b.query(`insert into accounts values (11, 'second number, first commit')`)
    await replica.catchUp()
    expect(replica.column(label, 'v')).toHaveProperty('11')
    await a.query('commit')
    await replica.catchUp()
    await expectEqual()
  })

  it('of a late commit, to a reader that has been going on meanwhile', async () => {
    const follower = new Follower(replica)
    await a.query(`begin; insert into accounts values (10, 'late')`)
    await b.query(`insert into accounts values (11, 'early')`)
    for (let number = 12; number < 40; number++) await b.query('insert into accounts values ($1, $2)', [number, 'more'])
    const reached = follower.reaches(await lastSequence())
    await a.query('commit')
    await reached
    await follower.stop()
    await expectEqual()
  })

  it('to one row by two transactions, the older transaction last', async () => {
    await a.query('begin; select pg_catalog.pg_current_xact_id()')
    await b.query(`update accounts set v = 'younger' where id = 1`)
    await a.query(`update accounts set v = 'older' where id = 1`)
    await replica.catchUp()
    await a.query('commit')
    await replica.catchUp()
    expect(replica.column(label, 'v')).toHaveProperty('1', 'older')
    await expectEqual()
  })

  it('around a savepoint that was rolled back', async () => {
    await a.query(`begin; update accounts set v = 'kept' where id = 1; savepoint s`)
    await a.query(`update accounts set v = 'undone' where id = 1; insert into accounts values (10, 'undone')`)
    await a.query(`rollback to s; update accounts set v = 'kept too' where id = 2`)
    await b.query(`insert into accounts values (11, 'other')`)
    await replica.catchUp()
    await a.query('commit')
    await replica.catchUp()
    await expectEqual()
  })

  it('that were rolled back, whose numbers never come', async () => {
    await a.query(`begin; insert into accounts values (10, 'undone'); rollback`)
    await b.query(`insert into accounts values (11, 'kept')`)
    expect(await replica.catchUp()).toMatchObject({ position: 'postgresql:sequence:0' })
    await expectEqual()
    expect(await replica.catchUp()).toMatchObject({ position: 'postgresql:sequence:2' })
  })

  it('of a prepared transaction, committed long after its session has gone', async () => {
    await a.query(`begin; insert into accounts values (10, 'prepared'); prepare transaction 'p1'`)
    await b.query(`insert into accounts values (11, 'other')`)
    const { position } = await replica.catchUp()
    expect(position).toBe('postgresql:sequence:0')
    await b.query(`commit prepared 'p1'`)
    await replica.catchUp()
    await expectEqual()
  })

  it('of keys: one key, a chain, and a swap in one statement', async () => {
    await a.query(`update accounts set id = 100 where id = 2`)
    await a.query(`insert into accounts select i, 'n' || i from pg_catalog.generate_series(10, 15) i`)
    await replica.catchUp()
    await expectEqual()
    await a.query(`alter table accounts drop constraint accounts_pkey, add primary key (id) deferrable`)
    await replica.catchUp()
    await a.query(`update accounts set id = case id when 10 then 11 when 11 then 10 else id end`)
    await replica.catchUp()
    await expectEqual()
    await a.query(`update accounts set id = id + 1`)
    await replica.catchUp()
    await expectEqual()
  })

  it('by TRUNCATE, also between two inserts of one transaction', async () => {
    await a.query(
      `begin; insert into accounts values (10, 'before'); truncate accounts; insert into accounts values (11, 'after'); commit`,
    )
    await replica.catchUp()
    expect(await source()).toEqual({ 11: 'after' })
    await expectEqual()
  })

  it('by a TRUNCATE that is read again later, which must not remove current rows', async () => {
    await a.query(`truncate accounts; insert into accounts values (11, 'after')`)
    await replica.catchUp()
    await a.query(`insert into accounts values (12, 'later')`)
    await replica.run({ phase: 'incremental', from: '0', replay: true })
    await expectEqual()
    expect(replica.sink.operations.some(({ op }) => op === 'truncate')).toBe(false)
  })

  it('by delete and insert of the same key, within one transaction and across a checkpoint', async () => {
    await a.query(`begin; delete from accounts where id = 1; insert into accounts values (1, 'again'); commit`)
    await replica.catchUp()
    await expectEqual()
    await a.query('delete from accounts where id = 1')
    await replica.catchUp()
    await expectEqual()
    await a.query(`insert into accounts values (1, 'third')`)
    await replica.catchUp()
    await expectEqual()
  })

  it('of a transaction that spans a stop of the reader', async () => {
    const follower = new Follower(replica)
    await a.query(`begin; insert into accounts values (10, 'spans')`)
    await b.query(`insert into accounts values (11, 'other')`)
    await follower.reaches(0)
    await follower.stop()
    await a.query(`insert into accounts values (12, 'spans'); commit`)
    await replica.catchUp()
    await expectEqual()
  })

  it('of the structure between two writes of one transaction', async () => {
    await a.query(`begin; insert into accounts values (10, 'before');
      alter table accounts add column extra int default 7;
      insert into accounts values (11, 'after', 8); commit`)
    await replica.catchUp()
    await expectEqual()
    expect(replica.column(label, 'extra')).toEqual({ 1: 7, 2: 7, 10: 7, 11: 8 })
  })

  it('by deferred constraint triggers, and by triggers that write to another replicated table or to the same row', async () => {
    await a.query(`
      create table log (id bigint generated always as identity primary key, what text);
      create function note() returns trigger language plpgsql as $$ begin insert into public.log (what) values (new.v); return null; end $$;
      create constraint trigger z_note after insert on accounts deferrable initially deferred for each row execute function note();
      create function touch() returns trigger language plpgsql as $$ begin
        if new.v not like '%!' then update public.accounts set v = new.v || '!' where id = new.id; end if; return null; end $$;
      create trigger a_touch after insert or update on accounts for each row execute function touch()`)
    await replica.full()
    await a.query(`begin; insert into accounts values (10, 'x'); update accounts set v = 'y' where id = 1; commit`)
    await replica.catchUp()
    await expectEqual()
    expect(replica.column(label, 'v')).toMatchObject({ 1: 'y!', 10: 'x!' })
    expect([...replica.sink.rows('public.log')].map(({ what }) => what)).toEqual(['x'])
  })

  it('by ON CONFLICT, MERGE, COPY, writable CTEs, UPDATE FROM and cascades', async () => {
    await a.query(
      `create table orders (id int primary key, account bigint references accounts on delete cascade on update cascade, n int)`,
    )
    await a.query(`insert into orders values (1, 1, 1), (2, 2, 2)`)
    await replica.full()
    await a.query(`insert into accounts values (1, 'conflict') on conflict (id) do update set v = excluded.v`)
    await a.query(`insert into accounts values (1, 'ignored') on conflict do nothing`)
    await a.query(
      `with gone as (delete from accounts where id = 2 returning *) insert into accounts select 20, v from gone`,
    )
    await a.query(`copy accounts from program 'printf "40\\tcopied\\n"'`)
    await a.query(`update accounts set v = o.n::text from orders o where o.account = accounts.id`)
    const { rows } = await a.query<{ version: number }>(`select current_setting('server_version_num')::int as version`)
    if ((rows[0]?.version ?? 0) >= 150_000) {
      await a.query(`merge into accounts t using (values (1::bigint, 'merged'), (30, 'new')) s(id, v) on t.id = s.id
        when matched then update set v = s.v when not matched then insert values (s.id, s.v)`)
    }
    await a.query('update accounts set id = 99 where id = 1')
    await replica.catchUp()
    await expectEqual()
    const orders = await a.query<{ id: number; account: string }>('select id, account from orders')
    expect(replica.column('public.orders', 'account')).toEqual(
      Object.fromEntries(orders.rows.map(({ id, account }) => [id, Number(account)])),
    )
  })

  it('are the same if two pages of a backlog are applied with a crash between them', async () => {
    await a.query(`insert into accounts select i, 'v' || i from pg_catalog.generate_series(100, 2600) i`)
    const engine = replica.engine()
    const controller = new AbortController()
    engine.once('checkpoint', () => controller.abort())
    const { reason } = await engine.run({ phase: 'incremental', signal: controller.signal })
    expect(reason).toBe('aborted')
    await a.query(`update accounts set v = 'changed' where id % 2 = 0`)
    await replica.catchUp()
    await expectEqual()
  })
})

describe('t1', () => {
  it('waits for transactions that write while the full sync begins', async () => {
    await replica.full()
    await a.query(`begin; insert into accounts values (10, 'open at the start')`)
    const full = replica.full()
    await b.query(`insert into accounts values (11, 'committed at the start')`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await a.query('commit')
    await full
    await replica.catchUp()
    await expectEqual()
  })

  it('is before every change that the copy may have missed: writers at full speed all along', async () => {
    await replica.full()
    let running = true
    const write = async (client: pg.Client, offset: number) => {
      for (let turn = 0; running; turn++) {
        await client.query('begin')
        await client.query('insert into accounts values ($1, $2)', [1_000 + offset + turn * 2, `t${turn}`])
        await client.query(`update accounts set v = v || '.' where id = 1`)
        await client.query(turn % 5 === 0 ? 'rollback' : 'commit')
      }
    }
    const writers = [write(a, 0), write(b, 1)]
    for (let round = 0; round < 5; round++) await replica.full()
    running = false
    await Promise.all(writers)
    await replica.catchUp()
    await expectEqual()
  })
})
