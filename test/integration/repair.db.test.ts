/** `repair`: rows that differ are equal afterwards, whatever is written meanwhile, and nothing else moves. */
import { expect, it } from 'vitest'
import { type Difference, PostgresTriggerSource, repair, SurrealSink, SyncEngine, verify } from '../../src/index.js'
import { surrealSyncHere } from '../e2e/command.js'
import { connectionFlags } from '../e2e/flags.js'
import { namespace, openTarget, type Target, database as targetDatabase } from '../e2e/target.js'
import { createDatabase } from '../support/database.js'
import { startSurreal } from '../support/surreal-server.js'

const id = 'shop'
const root = { username: 'root', password: 'root' }

async function stateOf({ db }: Target): Promise<{ readonly sequence: number; readonly consistent: boolean }> {
  const [state] = await db.query<[{ readonly sequence: number; readonly consistent: boolean }]>(
    `select consistent, checkpoint.described.PostgreSQL.sequence as sequence from only surreal_sync_state:['${id}', 0]`,
  )
  return state
}

it('repairs what was planted while the source is written to, and ends at a consistent point', async () => {
  await using database = await createDatabase()
  const client = await database.client()
  await client.query(`
    create table t (id int primary key, n int, name text, at timestamptz default now());
    insert into t select i, i, 'name ' || i from generate_series(1, 3000) i;
    create table pair (a text, b numeric, v int, primary key (a, b));
    insert into pair select 'k' || i, i / 4.0, i from generate_series(1, 200) i`)
  await using server = await startSurreal()
  const sides = () => ({
    source: new PostgresTriggerSource({ url: database.url }),
    sink: new SurrealSink({ url: server.ws, namespace, database: targetDatabase, ...root }),
  })
  await new SyncEngine({ ...sides(), id }).run()
  await using target = await openTarget(server.ws)
  await target.db.query(`
    delete t:1500; create t:9999 set n = 1; update t:10 set name = 'wrong'; update t:20 unset at;
    update t:30 set n = 9999; update t:30 set n = 30f; delete pair:['k7', 1.75dec]; create t:⟨no key⟩ set n = 1`)
  const before = await stateOf(target)
  // Nobody applies this before the repair does.
  await client.query('delete from t where id = 2000; update t set name = $$late$$ where id = 2001')
  let writing = true
  const writer = (async () => {
    const application = await database.client()
    for (let n = 1; writing; n += 1) {
      await application.query('update t set n = n + 1 where id = $1', [100 + (n % 50)])
      await application.query('insert into t values ($1, 0) on conflict do nothing', [10_000 + (n % 40)])
      await application.query('delete from t where id = $1', [10_000 + ((n + 20) % 40)])
    }
  })()
  const found: Difference[] = []
  const result = await repair({ ...sides(), id, onDifference: (difference) => found.push(difference) })
  writing = false
  await writer
  const texts = found.map(({ table, kind, key }) => `${table} ${kind} ${key}`)
  for (const planted of [
    'public.t missing 1500',
    'public.t extra 9999',
    'public.t different 10',
    'public.t different 20',
    'public.t different 30',
    'public.pair missing ["k7", 1.75dec]',
    'public.t extra "no key"',
  ]) {
    expect(texts).toContain(planted)
  }
  // Such a key no row of the table can have: the source cannot be asked for it.
  expect(result.left).toEqual([{ table: 'public.t', kind: 'extra', key: '"no key"', fields: [] }])
  expect(result).toMatchObject({ found: found.length, repaired: found.length - 1 })
  const after = await stateOf(target)
  expect(after.sequence).toBeGreaterThan(before.sequence)

  await target.db.query('delete t:⟨no key⟩')
  await new SyncEngine({ ...sides(), id }).run()
  expect(await stateOf(target)).toMatchObject({ consistent: true })
  const { source, sink } = sides()
  expect(await verify({ source, target: sink, id, atRest: true })).toMatchObject({ equal: true })
})

it('repair on the command line: 0 when nothing is left, 3 when something is, 2 without a full sync', async () => {
  await using database = await createDatabase()
  const client = await database.client()
  await client.query(
    `create table t (id int primary key, name text); insert into t values (1, 'secret'), (2, 'secret')`,
  )
  await using server = await startSurreal()
  const flags = [...connectionFlags(database.url, server.ws), '--id', id]
  const run = (...args: readonly string[]) => surrealSyncHere([...args, ...flags])
  await new SyncEngine({
    source: new PostgresTriggerSource({ url: database.url }),
    sink: new SurrealSink({ url: server.ws, namespace, database: targetDatabase, ...root }),
    id: 'other',
  }).run()
  await using target = await openTarget(server.ws)
  await target.db.query('delete t:1')
  expect(await run('repair', 'postgresql')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('[E_STATE_MISSING]'),
  })
  const mine = [...connectionFlags(database.url, server.ws), '--id', 'other']
  expect(await surrealSyncHere(['repair', 'postgresql', ...mine])).toMatchObject({
    code: 0,
    stdout: '1 row differed, 1 repaired, 0 left\n',
  })
  expect(await surrealSyncHere(['repair', 'postgresql', ...mine])).toMatchObject({
    code: 0,
    stdout: '0 rows differed, 0 repaired, 0 left\n',
    stderr: expect.stringMatching(/^WARN .*not encrypted/),
  })
  expect(await surrealSyncHere(['repair', 'postgresql', ...mine, '--log-level', 'error'])).toMatchObject({
    code: 0,
    stderr: '',
  })
  await target.db.query('create t:odd')
  const ended = await surrealSyncHere(['repair', 'postgresql', '--json', ...mine])
  expect(ended.code).toBe(3)
  expect(
    ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { event: 'left', table: 'public.t', kind: 'extra', key: '"odd"', fields: [] },
    { event: 'result', found: 1, repaired: 0, left: 1 },
  ])
  expect(ended.stdout + ended.stderr).not.toContain('secret')
})
