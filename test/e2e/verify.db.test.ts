/** `surreal-sync verify`: what it prints, and how it exits. */
import { expect, it } from 'vitest'
import { createDatabase } from '../support/database.js'
import { startSurreal } from '../support/surreal-server.js'
import { surrealSyncHere } from './command.js'
import { connectionFlags } from './flags.js'
import { openTarget } from './target.js'

it('verify prints tables and keys, as text and as JSON, and exits with 3 if anything differs', async () => {
  await using database = await createDatabase()
  const client = await database.client()
  await client.query(`
    create table users (id int primary key, name text, took interval);
    insert into users select i, 'secret', '1 day' from generate_series(1, 100) i`)
  await using server = await startSurreal()
  const flags = [...connectionFlags(database.url, server.ws), '--value', 'interval=string']
  const run = (...args: readonly string[]) => surrealSyncHere([...args, ...flags])
  expect(await run('verify', 'postgresql')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('[E_UNKNOWN_DATABASE]'),
  })
  expect(await run('full', 'postgresql')).toMatchObject({ code: 0 })
  // Nothing captures changes, so nobody follows: the tables are compared as they are.
  const equal = await run('verify', 'postgresql')
  expect(equal).toMatchObject({ code: 0, stderr: '' })
  expect(equal.stdout).toMatch(
    /^table +PostgreSQL +SurrealDB +missing +extra +different\npublic\.users +100 +100 +0 +0 +0$/m,
  )
  expect(equal.stdout).toMatch(/^Equal: 0 differences in 100 rows of 1 table, /m)

  await using target = await openTarget(server.ws)
  await target.db.query("delete users where id < users:30; update users:40 set name = 'told'; create users:⟨a\n b⟩")
  const text = await run('verify', 'postgresql', '--at-rest')
  expect(text.code).toBe(3)
  expect(text.stdout).toMatch(/^public\.users +100 +72 +29 +1 +1$/m)
  expect(text.stdout).toMatch(/^public\.users: 31 differences\n(.*\n){20} {2}and 11 more: see --json$/m)
  const json = await run('verify', 'postgresql', '--json', '--exclusive')
  expect(json.code).toBe(3)
  const lines = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.filter(({ event }) => event === 'difference')).toHaveLength(31)
  expect(lines).toContainEqual({
    event: 'difference',
    ...{ table: 'public.users', kind: 'different', key: '40', fields: ['name'] },
  })
  expect(lines.at(-1)).toMatchObject({
    event: 'result',
    ...{ equal: false, rows: 100, differences: 31, others: [] },
    tables: [{ table: 'public.users', rows: 100, records: 72, missing: 29, extra: 1, different: 1 }],
  })
  for (const { stdout } of [text, json]) expect(stdout).not.toMatch(/secret|told/)
})
