/** Every way to change rows, each captured at both levels of triggers. One schema for each, all in one database. */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'

interface Cell {
  readonly setup: string
  /** Statements; several in one string are one transaction. */
  readonly change: readonly string[]
  /** The tables to compare. @defaultValue all in the schema */
  readonly tables?: readonly string[]
  /** The server_version_num that has these statements. @defaultValue every version */
  readonly since?: number
}

const simple = `create table t (id int primary key, v text); insert into t select i, 'v' || i from generate_series(1, 9) i;`

const touch = `
create function touch() returns trigger language plpgsql as $$ begin
  if new.v not like '%!' then update t set v = new.v || '!' where id = new.id; end if; return null; end $$;`

const partitioned = `
create table t (id int primary key, v text) partition by range (id);
create table t_a partition of t for values from (0) to (10);
create table t_b partition of t for values from (10) to (20) partition by range (id);
create table t_b1 partition of t_b for values from (10) to (15);
create table t_b2 partition of t_b for values from (15) to (20);
insert into t select i, 'v' || i from generate_series(1, 18) i;`

const cells: Readonly<Record<string, Cell>> = {
  INSERT: { setup: simple, change: [`insert into t values (20, 'new'), (21, null)`, 'insert into t (id) values (22)'] },
  UPDATE: { setup: simple, change: [`update t set v = 'changed' where id < 5`, 'update t set v = null where id = 6'] },
  'UPDATE FROM': {
    setup: simple,
    change: [`update t set v = s.v from (values (1, 'x'), (2, 'y')) s(id, v) where s.id = t.id`],
  },
  DELETE: {
    setup: simple,
    change: ['delete from t where id % 2 = 0', 'delete from t using (values (1)) s(id) where s.id = t.id'],
  },
  TRUNCATE: { setup: simple, change: ['truncate t', `insert into t values (1, 'after')`] },
  'TRUNCATE CASCADE': {
    setup: `${simple} create table child (id int primary key, t int references t); insert into child values (1, 1);`,
    change: ['truncate t cascade'],
  },
  'ON CONFLICT DO UPDATE': {
    setup: simple,
    change: [`insert into t values (1, 'conflict'), (30, 'new') on conflict (id) do update set v = excluded.v`],
  },
  'ON CONFLICT DO NOTHING': {
    setup: simple,
    change: [`insert into t values (1, 'ignored'), (30, 'new') on conflict do nothing`],
  },
  'COPY FROM': { setup: simple, change: [`copy t from program 'printf "40\\tcopied\\n41\\t\\\\\\\\N\\n"'`] },
  MERGE: {
    setup: simple,
    since: 150_000,
    change: [
      `merge into t using (values (1, 'merged'), (2, 'gone'), (50, 'new')) s(id, v) on s.id = t.id
       when matched and s.v = 'gone' then delete when matched then update set v = s.v
       when not matched then insert values (s.id, s.v)`,
    ],
  },
  'writable CTE': {
    setup: simple,
    change: [
      `with gone as (delete from t where id = 1 returning *), up as (update t set v = 'cte' where id = 2 returning *)
       insert into t select id + 60, v from gone union all select id + 60, v from up`,
    ],
  },
  'foreign keys: CASCADE on delete and update, SET NULL, SET DEFAULT': {
    setup: `${simple}
      create table a (id int primary key, t int references t on delete cascade on update cascade);
      create table b (id int primary key, t int references t on delete set null on update set null);
      create table c (id int primary key, t int default 9 references t on delete set default);
      insert into a select i, i from generate_series(1, 8) i; insert into b select * from a; insert into c select * from a;`,
    change: [
      'delete from t where id = 1',
      'delete from a where id = 2; delete from c where id = 2; update t set id = 70 where id = 2',
    ],
  },
  'a foreign key that is the primary key': {
    setup: `${simple} create table a (id int primary key references t on update cascade on delete cascade, n int);
      insert into a select i, i from generate_series(1, 5) i;`,
    change: ['update t set id = id + 100 where id < 3', 'delete from t where id = 3'],
  },
  'a BEFORE trigger that changes the row, its key too': {
    setup: `${simple} create function shift() returns trigger language plpgsql as
      $$ begin new.v := 'shifted ' || new.v; if tg_op = 'INSERT' then new.id := new.id + 1000; end if; return new; end $$;
      create trigger shift before insert or update on t for each row execute function shift();`,
    change: [`insert into t values (80, 'x')`, `update t set v = 'y' where id = 1`],
  },
  'a BEFORE trigger that cancels': {
    setup: `${simple} create function cancel() returns trigger language plpgsql as
      $$ begin if old.id % 2 = 0 then return null; end if; return case tg_op when 'DELETE' then old else new end; end $$;
      create trigger cancel before update or delete on t for each row execute function cancel();`,
    change: [`update t set v = 'odd only'`, 'delete from t where id < 4'],
  },
  'an AFTER trigger, before ours by name, that updates the same row': {
    setup: `${simple} ${touch} create trigger a_touch after insert or update on t for each row execute function touch();`,
    change: [`insert into t values (90, 'x')`, `update t set v = 'y' where id = 1`],
  },
  'an AFTER trigger, behind ours by name, that updates the same row': {
    setup: `${simple} ${touch} create trigger z_touch after insert or update on t for each row execute function touch();`,
    change: [`insert into t values (90, 'x')`, `update t set v = 'y' where id = 1`],
  },
  'a BEFORE DELETE trigger that archives into another table': {
    setup: `${simple} create table archive (id int primary key, v text);
      create function archive() returns trigger language plpgsql as $$ begin insert into archive values (old.*); return old; end $$;
      create trigger archive before delete on t for each row execute function archive();`,
    change: ['delete from t where id < 4'],
  },
  'rules and views': {
    setup: `${simple} create view w as select * from t where id < 100;
      create table l (id int primary key, v text); create rule r as on insert to l do instead insert into t values (new.id, new.v);`,
    change: [
      `insert into w values (95, 'through a view')`,
      `update w set v = 'view' where id = 1`,
      `insert into l values (96, 'rule')`,
    ],
  },
  'session_replication_role = replica': {
    setup: simple,
    change: [
      `set local session_replication_role = replica; insert into t values (97, 'x'); update t set v = 'y' where id = 1; delete from t where id = 2`,
    ],
  },
  'TRUNCATE with session_replication_role = replica': {
    setup: simple,
    change: ['set local session_replication_role = replica; truncate t'],
  },
  'keys that chain and swap': {
    setup: `create table t (id int, v text, primary key (id) deferrable); insert into t select i, 'v' || i from generate_series(1, 9) i;`,
    change: [
      'update t set id = id + 1',
      'update t set id = 9 - id where id in (2, 3, 4, 5, 6, 7)',
      'update t set id = -id',
    ],
  },
  savepoints: {
    setup: simple,
    change: [
      `begin; savepoint a; insert into t values (100, 'undone'); update t set v = 'undone'; rollback to a; delete from t where id = 1;
       savepoint b; update t set v = 'kept' where id = 2; release b; commit`,
    ],
  },
  'exceptions caught in a function': {
    setup: simple,
    change: [
      `do $$ begin for i in 1..3 loop begin insert into t values (100 + i, 'x'); update t set v = v || '.' where id = i;
         if i = 2 then raise 'undo'; end if; exception when raise_exception then null; end; end loop; end $$`,
    ],
  },
  'a procedure that commits in between': {
    setup: `${simple} create procedure p() language plpgsql as $$ begin insert into t values (110, 'a'); commit;
      insert into t values (111, 'b'); rollback; insert into t values (112, 'c'); end $$;`,
    change: ['call p()'],
  },
  'deferred constraint triggers that write': {
    setup: `${simple} create function late() returns trigger language plpgsql as
      $$ begin insert into t values (new.id + 500, 'late') on conflict do nothing; return null; end $$;
      create constraint trigger late after update on t deferrable initially deferred for each row execute function late();`,
    change: [`update t set v = 'x' where id in (1, 2)`],
  },
  'nested updates by functions in the select list': {
    setup: `${simple} create function bump(i int) returns int language plpgsql as
      $$ begin update t set v = v || '+' where id = i; return i; end $$;`,
    change: ['select bump(id) from t', 'insert into t select bump(1) + 200'],
  },
  'generated columns': {
    setup: `create table t (id int primary key, n int, s int generated always as (n * 2) stored); insert into t values (1, 1), (2, 2);`,
    change: ['update t set n = 10 where id = 1', 'insert into t values (3, 3)'],
  },
  'a generated column in the key': {
    setup: `create table t (n int, s int generated always as (n * 2) stored primary key, v text); insert into t values (1), (2);`,
    change: ['update t set n = 10 where n = 1', `update t set v = 'x' where n = 2`, 'insert into t values (3)'],
  },
  'identity and serial columns': {
    setup: `create table t (id int generated always as identity primary key, v text); insert into t (v) values ('a'), ('b');`,
    change: [
      `insert into t (v) values ('c')`,
      `insert into t overriding system value values (50, 'd')`,
      'truncate t restart identity',
    ],
  },
  'partitions: through the root': {
    setup: partitioned,
    change: [
      `insert into t values (0, 'new'), (19, 'new'); update t set v = 'changed' where id in (1, 12); delete from t where id in (2, 17)`,
      `insert into t values (3, 'conflict'), (16, 'conflict') on conflict (id) do update set v = excluded.v`,
    ],
  },
  'partitions: directly': {
    setup: partitioned,
    change: [`insert into t_a values (0, 'new'); update t_b2 set v = 'changed'; delete from t_b where id = 11`],
  },
  'partitions: rows that move': {
    setup: partitioned,
    change: ['update t set id = 19 where id = 1', 'delete from t where id = 10; update t_b set id = 10 where id = 18'],
  },
  'partitions: TRUNCATE of the root': { setup: partitioned, change: ['truncate t'] },
  'partitions: TRUNCATE of a leaf and of a branch': {
    setup: partitioned,
    change: ['truncate t_a', 'truncate t_b', `insert into t values (11, 'after')`],
  },
  'partitions: a new one, and rows in it': {
    setup: partitioned,
    change: [
      `create table t_c partition of t for values from (20) to (30); insert into t values (21, 'x'); insert into t_c values (22, 'y')`,
      `insert into t values (23, 'z')`,
    ],
  },
  'partitions: a new default one': {
    setup: partitioned,
    change: [
      'create table t_d partition of t default',
      `insert into t values (99, 'x')`,
      'truncate t_d',
      `insert into t values (98, 'x')`,
    ],
  },
  'partitions: ATTACH a table with rows': {
    setup: `${partitioned} create table n (id int primary key, v text); insert into n values (20, 'before');`,
    change: ['alter table t attach partition n for values from (20) to (30)', `insert into n values (21, 'x')`],
  },
  'partitions: DETACH': {
    setup: partitioned,
    tables: ['t'],
    change: ['alter table t detach partition t_a', `insert into t_a values (0, 'alone'); delete from t_a where id = 1`],
  },
  'partitions: DROP': { setup: partitioned, change: ['drop table t_b2'] },
  'partitions: DETACH, change, ATTACH again': {
    setup: partitioned,
    change: [
      `alter table t detach partition t_a; update t_a set v = 'while detached'; delete from t_a where id = 2;
       alter table t attach partition t_a for values from (0) to (10)`,
    ],
  },
  'partitions by list and by hash': {
    setup: `create table l (k text, id int, primary key (k, id)) partition by list (k);
      create table l_a partition of l for values in ('a'); create table l_b partition of l default;
      create table h (id int primary key, v text) partition by hash (id);
      create table h_0 partition of h for values with (modulus 2, remainder 0); create table h_1 partition of h for values with (modulus 2, remainder 1);
      insert into l values ('a', 1), ('x', 2); insert into h select i, 'v' from generate_series(1, 10) i;`,
    change: [
      `update l set k = 'b' where k = 'a'; insert into l values ('a', 3)`,
      'update h set id = id + 21; delete from h where id = 22',
    ],
  },
  'inheritance children': {
    setup: `create table p (id int primary key, v text); create table c (extra int, primary key (id)) inherits (p);
      insert into p values (1, 'p'), (2, 'p'); insert into c values (10, 'c', 1), (11, 'c', 2), (12, 'c', 3);`,
    change: [
      `update p set v = 'through the parent'`,
      'delete from p where id = 11',
      'truncate only p',
      `insert into c values (1, 'x', 4)`,
    ],
  },
  'a table made by CREATE TABLE LIKE, and one with dropped columns': {
    setup: `${simple} alter table t add column gone int default 5, add column kept int default 6; alter table t drop column gone;
      create table u (like t including all); insert into u select * from t;`,
    change: [`update t set kept = 1 where id = 1; insert into u values (200, 'x', 1)`],
  },
  'composite keys': {
    setup: `create table t (b text, n int, a int, v text, primary key (a, b)); insert into t values ('x', 1, 1, 'v'), ('y', 2, 1, 'v'), ('x,y', 3, 2, 'v'), ('["q"]', 4, 2, 'v');`,
    change: [
      `update t set b = 'z' where b = 'y'`,
      `update t set v = 'w' where a = 2`,
      `update t set a = 3 - a`,
      `delete from t where b = 'x,y'`,
    ],
  },
  'odd identifiers': {
    setup: `create table "select ""quoted"" 'x'; --" ("Id ""x""" int, "constructor" text, "naïve $$ \\ %s" text, primary key ("Id ""x""", "constructor"));
      create table "${'ü'.repeat(31)}" ("${'x'.repeat(63)}" int primary key, "$surreal_sync$" text);
      create table "T" ("new" int primary key, "old" text, "tg_op" text); create table t ("new" int primary key, "old" text);
      insert into "T" values (1, 'a', 'b');`,
    change: [
      `insert into "select ""quoted"" 'x'; --" values (1, 'a', 'b'), (2, '%I', null)`,
      `update "select ""quoted"" 'x'; --" set "naïve $$ \\ %s" = 'c', "Id ""x""" = 5 where "constructor" = 'a'`,
      `insert into "${'ü'.repeat(31)}" values (1, 'x')`,
      `update "T" set "new" = 2; insert into "T" values (3, 'x', 'y'); insert into t values (1, 'lower')`,
    ],
  },
  'no primary key, but a replica identity or a unique index on columns that are not null': {
    setup: `create table r (id int not null, u int not null, v text); create unique index r_id on r (id); create unique index r_u on r (u);
      alter table r replica identity using index r_u; insert into r values (1, 10, 'a'), (2, 20, 'b');
      create table u (id int not null, n int, v text); create unique index u_id on u (id) include (n); insert into u values (1, 1, 'a'), (2, null, 'b');`,
    change: [
      `update r set v = 'x' where id = 1; update r set id = 7 where id = 2; update r set u = 11 where u = 10`,
      `update u set id = 5 where id = 1; delete from u where id = 2`,
    ],
  },
  'nothing but a key': {
    setup: 'create table t (id int primary key); insert into t values (1), (2);',
    change: ['insert into t values (3); delete from t where id = 1; update t set id = 9 where id = 2'],
  },
  'row level security, read by its owner': {
    setup: `${simple} alter table t enable row level security; create policy p on t using (false);`,
    change: [`update t set v = 'x' where id = 1; delete from t where id = 2`],
  },
  'ADD COLUMN with a default': { setup: simple, change: ['alter table t add column extra int default 7'] },
  'ADD COLUMN with a volatile default': {
    setup: simple,
    change: ['alter table t add column extra float default random()'],
  },
  'DROP COLUMN': { setup: simple, change: ['alter table t drop column v'] },
  'RENAME COLUMN': {
    setup: simple,
    change: ['alter table t rename column v to w', `update t set w = 'x' where id = 1`],
  },
  'ALTER TYPE USING': { setup: simple, change: ['alter table t alter column v type int using length(v)'] },
  'a key column retyped': { setup: simple, change: ['alter table t alter column id type bigint using id * 10'] },
  'a key column renamed': { setup: simple, change: ['alter table t rename column id to number'] },
  'another primary key': {
    setup: `create table t (id int primary key, u int not null unique); insert into t select i, i * 10 from generate_series(1, 5) i;`,
    change: ['alter table t drop constraint t_pkey, add primary key (u)', 'update t set id = id + 100'],
  },
  'DISABLE TRIGGER for a while': {
    setup: simple,
    change: [
      `alter table t disable trigger all; update t set v = 'unseen' where id = 1; alter table t enable trigger all`,
    ],
  },
  'DISABLE TRIGGER for good': {
    setup: simple,
    change: ['alter table t disable trigger user', `update t set v = 'unseen' where id = 1`],
  },
  'VACUUM FULL and CLUSTER': {
    setup: simple,
    change: ['cluster t using t_pkey', `update t set v = 'after' where id = 1`],
  },
}

const names = Object.keys(cells)
const schemaOf = (name: string) => `cell_${names.indexOf(name)}`

describe.each(['row', 'statement'] as const)('capture by %s triggers', (triggerLevel) => {
  let database: TestDatabase
  let client: pg.Client
  let replica: Replica

  beforeAll(async () => {
    database = await createDatabase()
    client = await database.client()
    for (const [name, { setup }] of Object.entries(cells)) {
      await client.query(`create schema ${schemaOf(name)}; set search_path = ${schemaOf(name)}; ${setup}`)
    }
    replica = new Replica({ url: database.url, triggerLevel })
    await replica.full()
  }, 120_000)

  afterAll(async () => {
    await database[Symbol.asyncDispose]()
  })

  it.for(names)('%s', async (name, { skip }) => {
    const { rows } = await client.query<{ readonly version: number }>(
      `select current_setting('server_version_num')::int as version`,
    )
    if ((rows[0]?.version ?? 0) < (cells[name]?.since ?? 0)) return skip('this PostgreSQL has no such statement')
    const tables = (cells[name]?.tables ?? ['*']).map((table) => `${schemaOf(name)}.${table}`)
    const before = new Map(contentOf(tables))
    await client.query(`set search_path = ${schemaOf(name)}`)
    for (const statements of cells[name]?.change ?? []) await client.query(statements)
    await replica.catchUp()
    const after = await expectFresh(replica, { url: database.url, tables })
    expect([...after], 'the statements changed something').not.toEqual([...before])
  })

  /** What the replica held before. */
  function contentOf(tables: readonly string[]): readonly (readonly [string, unknown])[] {
    const [schema] = (tables[0] ?? '').split('.')
    const labels = new Set(
      replica.sink.operations.map(({ table }) => table).filter((label) => label.startsWith(`${schema}.`)),
    )
    return [...labels].map((label) => [label, replica.sink.rows(label)])
  }
})
