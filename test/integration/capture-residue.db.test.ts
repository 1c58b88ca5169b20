/** After a long life, in which an application altered and we crashed, a teardown leaves a catalog that we never touched. */
import { expect, it } from 'vitest'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { catalog } from '../support/catalog.js'
import { createDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { Follower, Replica } from '../support/replica.js'

/** What the application does, part by part. */
const parts = [
  `create schema sales; create schema "Audit ""1""";
   create table accounts (id bigint primary key, v text); create table other (id int primary key, v text);
   create table sales.stock (id int primary key, v text); create table dropped (id int primary key);
   create table parent (id int primary key); create table child (primary key (id)) inherits (parent);
   create table "Odd "".name" ("Key "" 1" int, b interval, primary key ("Key "" 1", b));
   create table parts (id int primary key, v text) partition by range (id);
   create table parts_1 partition of parts for values from (0) to (100);
   create table parts_2 partition of parts for values from (100) to (200) partition by range (id);
   create table parts_2a partition of parts_2 for values from (100) to (150);
   create table loose (id int primary key, v text)`,
  `alter table other rename to another; alter table accounts rename column id to key; drop table dropped;
   alter table parts attach partition loose for values from (200) to (300)`,
  `alter table accounts alter column key type int; alter schema sales rename to shop; alter table parts detach partition parts_2;
   create table parts_3 partition of parts for values from (300) to (400); alter table another disable trigger all`,
  `alter table parts detach partition loose; drop table parts_1; alter table child no inherit parent; truncate another;
   alter table shop.stock set schema public; alter table accounts drop constraint accounts_pkey`,
  `alter default privileges grant select on tables to public; create table late (id int primary key)`,
] as const

it.each([{}, { auditSchema: 'Audit "1"' }])(
  'a teardown leaves what there would be if we had never come (%j)',
  async (place) => {
    await using untouched = await createDatabase()
    await using database = await createDatabase()
    const plain = await untouched.client()
    const client = await database.client()
    const url = `${database.url}?sslmode=disable`
    const act = async (part: number) => {
      for (const each of [plain, client]) await each.query(parts[part] ?? '')
    }
    const replica = new Replica({ url, ...place, eventTrigger: true })

    await act(0)
    await replica.full()
    const follower = new Follower(replica)
    await follower.reaches(0)
    await act(1)
    await client.query(`insert into accounts values (1, 'one')`)
    await expect.poll(() => replica.sink.rows('public.accounts').length, { timeout: 20_000 }).toBe(1)
    await follower.stop()

    // Killed while it waits in the middle of an installation.
    const writer = await database.client()
    await writer.query(`create table late_too (id int primary key)`)
    await writer.query(`begin; insert into late_too values (1)`)
    const dying = new AbortController()
    const installing = new Replica({ url, ...place }).run({ phase: 'full', signal: dying.signal })
    installing.catch(() => undefined)
    const waiting = `select pid from pg_stat_activity where datname = current_database()
      and application_name like 'surreal-sync%' and wait_event_type = 'Lock'`
    await eventually(async () => (await client.query(waiting)).rowCount === 1, 'an installer waits')
    dying.abort()
    await client.query(`select pg_terminate_backend(pid) from (${waiting}) w`)
    await expect(installing.then(({ reason }) => reason)).resolves.toBe('aborted')
    await writer.query('commit')
    await writer.query('drop table late_too')

    await act(2)
    await replica.catchUp().catch(() => undefined)
    await new Replica({ url, ...place, triggerLevel: 'statement' }).full()
    await act(3)
    await replica.catchUp().catch(() => undefined)
    await act(4)
    await replica.full()

    const source = new PostgresTriggerSource({ url, ...place })
    await source.prune()
    const different = await catalog(client)
    await source.teardown()
    await source.teardown()
    expect(await source.teardownSql()).toBe('')
    const expected = await catalog(plain)
    expect(different.length).toBeGreaterThan(expected.length)
    expect(await catalog(client)).toEqual(expected)
  },
)
