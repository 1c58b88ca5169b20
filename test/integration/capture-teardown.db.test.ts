/** What a teardown leaves: nothing. And what is pruned, by us and by others. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Replica } from '../support/replica.js'
import { createRole } from '../support/roles.js'

let database: TestDatabase
let url: string
let a: pg.Client

beforeEach(async () => {
  database = await createDatabase()
  url = `${database.url}?sslmode=disable`
  a = await database.client()
  await a.query(`
    create table accounts (id bigint primary key, v text);
    create table other (id int primary key, v text);
    create table parts (id int primary key, v text) partition by range (id);
    create table parts_1 partition of parts for values from (0) to (100);
    create table parts_2 partition of parts for values from (100) to (200)`)
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
})

/** Everything in the catalog that an installation could add. */
async function catalog(): Promise<unknown> {
  const { rows } = await a.query(`
    select 'class' as kind, relname::text as name, relacl::text as rights from pg_class where oid >= 16384
    union all select 'proc', proname, proacl::text from pg_proc where oid >= 16384
    union all select 'trigger', tgname || ' on ' || tgrelid::regclass, tgenabled::text from pg_trigger where not tgisinternal
    union all select 'role', rolname, null from pg_roles where rolname ~ ('^surreal_sync_' || (select oid from pg_database where datname = current_database()))
    union all select 'event trigger', evtname, null from pg_event_trigger
    union all select 'default rights', defaclacl::text, null from pg_default_acl
    union all select 'schema', nspname, coalesce(nspacl, acldefault('n', nspowner))::text from pg_namespace where nspname !~ '^pg_'
    union all select 'dependency', (select rolname from pg_roles where oid = refobjid), null from pg_shdepend
      where dbid = (select oid from pg_database where datname = current_database()) and deptype <> 'o'
    order by 1, 2, 3`)
  return rows
}

describe('teardown', () => {
  it.each([{ eventTrigger: true }, { triggerLevel: 'statement' as const }, { auditSchema: 'Audit "1"' }])(
    'leaves nothing behind, whatever happened in between (%j)',
    async (options) => {
      await a.query('create schema "Audit ""1"""; create table extra (id int primary key)')
      const before = (await catalog()) as { name: string }[]
      const replica = new Replica({ url, ...options })
      await replica.full()
      await a.query(`insert into accounts values (1, 'one'); alter table other rename to another; drop table extra;
      alter table parts detach partition parts_2; create table parts_3 partition of parts for values from (200) to (300);
      alter table accounts rename column id to key; alter table accounts rename column key to id`)
      await replica.catchUp()
      await replica.full()
      const source = new PostgresTriggerSource({ url, ...options })
      expect(await source.teardownSql()).toMatch(/drop trigger/)
      await source.teardown()
      await source.teardown()
      expect(await source.teardownSql()).toBe('')
      await a.query(`insert into accounts values (2, 'two'); insert into parts values (205, 'x'); truncate accounts`)
      await a.query(`alter table another rename to other; drop table parts_3; create table extra (id int primary key);
      alter table parts attach partition parts_2 for values from (100) to (200)`)
      expect(await catalog()).toEqual(before)
    },
  )

  it('removes nothing, and says what to run, where the role may not remove all of it', async () => {
    await using role = await createRole(database)
    await a.query(`alter table accounts owner to ${role.name}`)
    await new Replica({ url }).full()
    const before = await catalog()
    const source = new PostgresTriggerSource({ url: `${role.url}?sslmode=disable` })
    const error: unknown = await source.teardown().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ code: 'E_RIGHTS', details: { hint: expect.stringMatching(/drop role/) } })
    expect(await catalog()).toEqual(before)
    await a.query(await source.teardownSql())
    expect(await new PostgresTriggerSource({ url }).teardownSql()).toBe('')
  })

  it('waits for writers no longer than it may, and can be repeated', async () => {
    await new Replica({ url }).full()
    const writer = await database.client()
    await writer.query(`begin; insert into accounts values (1, 'open')`)
    const source = new PostgresTriggerSource({ url, lockTimeoutMs: 100 })
    const codes: string[] = []
    const done = source.teardown({ warn: ({ code }) => codes.push(code) })
    await expect.poll(() => codes).toContain('waiting_for_lock')
    await writer.query('commit')
    await done
    expect(await source.teardownSql()).toBe('')
  })
})

describe('pruning', () => {
  async function rows(): Promise<number> {
    const { rows } = await a.query<{ count: string }>('select count(*) from surreal_sync_changes')
    return Number(rows[0]?.count)
  }

  it('removes what every consumer has passed, and nothing before there is one', async () => {
    const replica = new Replica({ url })
    const source = new PostgresTriggerSource({ url })
    await replica.full()
    await a.query(`insert into accounts select i from generate_series(1, 25000) i`)
    expect(await source.prune()).toBe(0)
    await replica.catchUp()
    await a.query(`insert into surreal_sync_consumers values ('slow', 12000)`)
    expect(await source.consumers()).toMatchObject([{ position: 25_000 }, { id: 'slow', position: 12_000 }])
    expect(await source.prune({ olderThanMs: 3_600_000 })).toBe(0)
    expect(await source.prune()).toBe(12_000)
    expect(await source.forget('slow')).toBe(true)
    expect(await source.forget('slow')).toBe(false)
    expect(await source.prune()).toBe(13_000)
    expect(await rows()).toBe(0)
    await replica.catchUp()
    await expect(replica.run({ phase: 'incremental', from: '24999', replay: true })).rejects.toMatchObject({
      code: 'E_AUDIT_HOLE',
    })
  })

  it('is refused to everybody for what a consumer still needs, and allowed for the rest', async () => {
    const replica = new Replica({ url })
    await replica.full()
    await a.query(`insert into accounts values (1, 'one')`)
    const cleanUp = `delete from surreal_sync_changes where changed_at < now() + interval '1 day'`
    await expect(a.query(cleanUp)).rejects.toThrow(/not yet replicated by consumer/)
    await expect(a.query('truncate surreal_sync_changes')).rejects.toThrow(/cannot be truncated/)
    await replica.catchUp()
    await a.query(cleanUp)
    expect(await rows()).toBe(0)
    await a.query(`insert into accounts values (2, 'two')`)
    await replica.catchUp()
    expect(replica.sink.rows('public.accounts')).toHaveLength(2)
  })

  it('goes on by itself where the options say so', async () => {
    const replica = new Replica({ url, pruneAfterMs: 0 })
    await replica.full()
    await a.query(`insert into accounts select i from generate_series(1, 3000) i`)
    await replica.catchUp()
    await replica.catchUp()
    expect(await rows()).toBe(0)
  })
})
