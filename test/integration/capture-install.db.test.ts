/** What a full sync installs in the source, with which rights, and that it leaves alone what is right. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { Replica } from '../support/replica.js'
import { createRole, type TestRole } from '../support/roles.js'

/** The role of capture functions belongs to the cluster and would outlive the database. */
const dropDefiner = `do $$ declare name text := 'surreal_sync_' || (select oid from pg_database where datname = current_database());
  begin if exists (select from pg_roles where rolname = name) then
    execute format('drop owned by %1$I cascade; drop role %1$I', name); end if; end $$`

let database: TestDatabase
let plainUrl: string
let admin: pg.Client
let roles: TestRole[]

beforeEach(async () => {
  database = await createDatabase()
  plainUrl = `${database.url}?sslmode=disable`
  admin = await database.client()
  roles = []
  await admin.query(`create table accounts (id bigint primary key, v text); insert into accounts values (1, 'one')`)
})

afterEach(async () => {
  await admin.query(dropDefiner)
  for (const role of roles.toReversed()) await role[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

async function login(
  attributes = '',
): Promise<{ readonly role: string; readonly url: string; readonly client: pg.Client }> {
  const role = await createRole(database, attributes)
  roles.push(role)
  const client = await role.client()
  client.on('error', () => {})
  return { role: role.name, url: `${role.url}?sslmode=disable`, client }
}

const definersSql = `
select p.proname, r.rolname, r.rolcanlogin, has_table_privilege(r.oid, 'surreal_sync_changes', 'select') as reads,
  has_table_privilege(r.oid, 'surreal_sync_changes', 'insert') as inserts, has_schema_privilege(r.oid, 'public', 'create') as creates
from pg_proc p join pg_roles r on r.oid = p.proowner where p.proname ~ '^surreal_sync_capture'`

async function definers(): Promise<readonly Record<string, unknown>[]> {
  return (await admin.query(definersSql)).rows
}

/** The transactions that last touched each of our objects. */
async function marks(): Promise<unknown> {
  const { rows } = await admin.query(`
    select 'class' as kind, oid::text, xmin::text from pg_class where relname in ('accounts', 'parts', 'parts_1') or relname like 'surreal%'
    union all select 'proc', oid::text, xmin::text from pg_proc where proname like 'surreal%'
    union all select 'trigger', oid::text, xmin::text from pg_trigger where tgname like 'surreal%'
    union all select 'role', oid::text, xmin::text from pg_authid
      where rolname = 'surreal_sync_' || (select oid from pg_database where datname = current_database())
    union all select 'schema', oid::text, xmin::text from pg_namespace where nspname = 'public' order by 1, 2`)
  return rows
}

describe('the definer of capture functions', () => {
  it('is a role that can do nothing but insert, where a superuser installs', async () => {
    await new Replica({ url: plainUrl }).full()
    const { rows } = await admin.query<{ oid: string }>(
      'select oid from pg_database where datname = current_database()',
    )
    expect(await definers()).toEqual([
      {
        proname: expect.stringMatching(/^surreal_sync_capture_\d+$/),
        rolname: `surreal_sync_${rows[0]?.oid}`,
        rolcanlogin: false,
        reads: false,
        inserts: true,
        creates: false,
      },
    ])
  })

  it.each(['createrole', 'createrole noinherit'])(
    'is that role where an owner of the schema with %s installs',
    async (attributes) => {
      const owner = await login(attributes)
      await admin.query(`alter schema public owner to ${owner.role}; alter table accounts owner to ${owner.role}`)
      const replica = new Replica({ url: owner.url })
      await replica.full()
      const [definer] = await definers()
      if (attributes === 'createrole')
        expect(definer).toMatchObject({ rolcanlogin: false, reads: false, creates: false })
      await owner.client.query(`insert into accounts values (2, 'two')`)
      await replica.catchUp()
      expect(replica.column('public.accounts', 'v')).toEqual({ 1: 'one', 2: 'two' })
      await replica.full()
      expect(replica.warnings).toEqual([])
    },
  )

  it('stays the installer where no role may be made, and becomes the role when a superuser installs again', async () => {
    const owner = await login()
    await admin.query(`grant create on schema public to ${owner.role}; alter table accounts owner to ${owner.role}`)
    const replica = new Replica({ url: owner.url })
    await replica.full()
    expect(await definers()).toMatchObject([{ rolname: owner.role }])
    const before = await marks()
    await replica.full()
    expect(await marks()).toEqual(before)
    await new Replica({ url: plainUrl }).full()
    expect(await definers()).toMatchObject([{ rolname: expect.stringMatching(/^surreal_sync_\d+$/), reads: false }])
    await owner.client.query(`insert into accounts values (2, 'two')`)
    await replica.full()
    expect(replica.column('public.accounts', 'v')).toEqual({ 1: 'one', 2: 'two' })
  })

  it('is not a role of that name that somebody made and that can do more', async () => {
    const { rows } = await admin.query<{ name: string }>(
      `select 'surreal_sync_' || oid as name from pg_database where datname = current_database()`,
    )
    await admin.query(`create role ${rows[0]?.name} login`)
    await new Replica({ url: plainUrl }).full()
    expect(await definers()).toMatchObject([{ rolname: 'postgres' }])
  })
})

describe('installation', () => {
  it.each(['row', 'statement'] as const)('touches nothing that is right (%s triggers)', async (triggerLevel) => {
    await admin.query(`
      create table parts (id int, at date, f float8, primary key (id, at, f)) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (10);
      create table odd (k bytea, i interval, t timestamptz, m money, d date, n float4, primary key (k, i, t, m, d, n));
      create type mood as enum ('sad', 'happy'); create domain short as varchar(9);
      create table typed (a mood, b short, c int[], d uuid, e inet, f int4range, primary key (a, b, c, d, e, f))`)
    const replica = new Replica({ url: plainUrl, triggerLevel })
    await replica.full()
    const before = await marks()
    await replica.full()
    await replica.catchUp()
    expect(await marks()).toEqual(before)
    expect(replica.warnings).toEqual([])
  })

  it('changes between row and statement triggers', async () => {
    const replica = new Replica({ url: plainUrl })
    await replica.full()
    const statement = new Replica({ url: plainUrl, triggerLevel: 'statement' })
    await statement.full()
    const names = async () => {
      const { rows } = await admin.query<{ name: string }>(
        `select regexp_replace(tgname, '_\\d+$', '') as name from pg_trigger where tgrelid = 'accounts'::regclass order by 1`,
      )
      return rows.map(({ name }) => name)
    }
    expect(await names()).toEqual(['delete', 'insert', 'truncate', 'update'].map((name) => `surreal_sync_${name}`))
    await admin.query(`insert into accounts select i, 'v' || i from generate_series(2, 50) i;
      update accounts set id = -id where id % 2 = 0; update accounts set v = 'x' where id = 3; delete from accounts where id > 40`)
    await statement.catchUp()
    const { rows } = await admin.query<{ id: string; v: string }>('select id, v from accounts')
    expect(statement.column('public.accounts', 'v')).toEqual(Object.fromEntries(rows.map(({ id, v }) => [id, v])))
    await replica.full()
    expect(await names()).toEqual(['surreal_sync_capture', 'surreal_sync_truncate'])
  })

  it('may happen twice at once', async () => {
    await admin.query(
      `do $$ begin for i in 1..10 loop execute format('create table t%s (id int primary key)', i); end loop; end $$`,
    )
    const replicas = Array.from({ length: 4 }, (_, index) => new Replica({ url: plainUrl }, `p${index}`))
    await Promise.all(replicas.map((replica) => replica.full()))
    await admin.query(`insert into t7 values (1)`)
    for (const replica of replicas) await replica.catchUp()
    expect(replicas.map((replica) => replica.sink.rows('public.t7').length)).toEqual([1, 1, 1, 1])
  })

  it('completes what an older release or a careless hand left, and keeps what was captured', async () => {
    const replica = new Replica({ url: plainUrl })
    await replica.full()
    await admin.query(`insert into accounts values (2, 'two');
      drop trigger surreal_sync_guard_delete on surreal_sync_changes;
      create or replace function surreal_sync_guard() returns trigger language plpgsql as 'begin return null; end'`)
    await replica.full()
    await expect(admin.query('delete from surreal_sync_changes')).resolves.toBeDefined()
    await admin.query(`insert into accounts values (3, 'three')`)
    await expect(admin.query('delete from surreal_sync_changes')).rejects.toThrow(/not yet replicated/)
    await replica.catchUp()
    expect(replica.sink.rows('public.accounts')).toHaveLength(3)
  })

  it('waits for a lock no longer than it may, again and again, and lets others through in between', async () => {
    const writer = await database.client()
    const other = await database.client()
    await writer.query(`begin; update accounts set v = 'x'`)
    const replica = new Replica({ url: plainUrl, lockTimeoutMs: 300 })
    const engine = replica.engine()
    const waiting = new Promise((resolve) => engine.once('warning', resolve))
    const full = engine.run({ phase: 'full' })
    await waiting
    let longestMs = 0
    for (let turn = 0; turn < 20; turn++) {
      const startedAt = performance.now()
      await other.query('insert into accounts values ($1)', [100 + turn])
      longestMs = Math.max(longestMs, performance.now() - startedAt)
    }
    await writer.query('commit')
    await full
    expect(longestMs).toBeLessThan(1_000)
    expect(replica.warnings).toContainEqual(expect.objectContaining({ code: 'waiting_for_lock' }))
    expect(replica.sink.rows('public.accounts')).toHaveLength(21)
  })

  it('refuses a sequence that hands out numbers from a cache', async () => {
    const replica = new Replica({ url: plainUrl })
    await replica.full()
    await admin.query('alter table surreal_sync_changes alter sequence_id set cache 20')
    await expect(replica.catchUp()).rejects.toMatchObject({ code: 'E_CONFIG' })
  })

  it('takes back what default privileges give to others', async () => {
    const other = await login()
    await admin.query(`alter default privileges grant all on tables to ${other.role};
      alter default privileges grant all on sequences to ${other.role};
      alter default privileges grant execute on functions to ${other.role}`)
    await new Replica({ url: plainUrl }).full()
    for (const sql of [
      'select * from surreal_sync_changes',
      'insert into surreal_sync_changes (table_id, table_name, operation) values (1, 2, 3)',
      'select * from surreal_sync_meta',
      `select nextval('surreal_sync_changes_sequence_id_seq')`,
    ]) {
      await expect(other.client.query(sql), sql).rejects.toMatchObject({ code: '42501' })
    }
    const { rows } = await admin.query<{ name: string }>(
      `select proname as name from pg_proc where proname like 'surreal%'`,
    )
    await admin.query(`grant create on schema public to ${other.role}`)
    await other.client.query('create table mine (id int)')
    for (const { name } of rows) {
      const sql = `create trigger t after insert on mine for each row execute function ${name}()`
      await expect(other.client.query(sql), name).rejects.toMatchObject({ code: '42501' })
    }
  })
})

describe('rights', () => {
  it('to own suffice; to have TRIGGER suffices with one warning; less is refused before anything is installed', async () => {
    const role = await login()
    await admin.query(`create table more (id int primary key); create table less (id int primary key);
      grant create on schema public to ${role.role}; grant select on all tables in schema public to ${role.role};
      grant trigger on accounts, more to ${role.role}`)
    const refused = new Replica({ url: role.url })
    await expect(refused.full()).rejects.toMatchObject({
      code: 'E_RIGHTS',
      details: { table: 'public.less', hint: expect.stringMatching(/grant trigger on table "?public"?\."?less"? to/) },
    })
    const { rows } = await admin.query(
      `select from pg_class where relname like 'surreal%' union all select from pg_trigger where tgname like 'surreal%'`,
    )
    expect(rows).toEqual([])
    const replica = new Replica({ url: role.url, tables: ['accounts', 'more'] })
    await replica.full()
    expect(replica.warnings.map(({ code }) => code)).toEqual(['triggers_not_always'])
    await admin.query(`insert into accounts values (2, 'two'); truncate more`)
    await replica.catchUp()
    expect(replica.sink.rows('public.accounts')).toHaveLength(2)
    await admin.query(`grant trigger on less to ${role.role}; alter table less owner to ${role.role}`)
    const owning = new Replica({ url: role.url, tables: ['less'] })
    await owning.full()
    expect(owning.warnings).toEqual([])
    const { rows: enabled } = await admin.query(
      `select distinct tgenabled from pg_trigger where tgrelid = 'less'::regclass`,
    )
    expect(enabled).toEqual([{ tgenabled: 'A' }])
  })
})
