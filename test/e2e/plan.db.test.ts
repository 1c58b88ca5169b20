/** `plan`, and what an operator does with it: a script for the DBA, then a run by a role that may create nothing. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../support/database.js'
import { createRole } from '../support/roles.js'
import { startSurreal } from '../support/surreal-server.js'
import { surrealSyncHere, temporaryDirectory } from './command.js'
import { observeSource, observeTarget } from './observe.js'
import { openServer } from './target.js'

const setup = `
create table users (id int primary key, name varchar(20), balance numeric, exact numeric(12,2), at timestamp, took interval, tags text[], doc json);
create table orders (customer bigint, number int, id text, primary key (customer, number));
create table parts (id uuid primary key) partition by range (id);
create table parts_1 partition of parts default;
create table log (line text); create unlogged table cache (id int primary key); create view v as select 1;
insert into users select i, 'u' || i from generate_series(1, 1000) i; analyze`

interface PrintedPlan {
  readonly tables: readonly { readonly table: string; readonly bytes: number }[]
  readonly left_out: readonly Readonly<Record<string, unknown>>[]
  readonly warnings: readonly Readonly<Record<string, unknown>>[]
}

describe('plan', () => {
  it('says what would become of what, as a role without any right, and touches neither side', async () => {
    await using database = await createDatabase()
    await using role = await createRole(database)
    await using surreal = await startSurreal()
    const client = await database.client()
    await client.query(setup)
    await client.query(`alter role ${role.name} set default_transaction_read_only = on`)
    {
      await using target = await openServer(surreal.ws)
      await target.db.query(
        `define namespace n; use ns n; define database d; use db d; define table orders; create users:1`,
      )
    }
    const before = [await observeSource(database.url), await observeTarget(surreal.ws)]
    const flags = ['plan', 'postgresql', '--source-uri', role.url]
    const there = ['--surreal-endpoint', surreal.ws, '--to-namespace', 'n', '--to-database', 'd']
    // Of masks it needs no secret, wherever that would be.
    const text = await surrealSyncHere(flags, { env: { MASK_SECRET_FILE: '/not/there' } })
    const json = await surrealSyncHere([...flags, ...there, '--json', '--keyless', 'copy', '--deletes', 'soft'])
    const elsewhere = await surrealSyncHere([...flags, ...there, '--to-namespace', 'other'])
    expect([await observeSource(database.url), await observeTarget(surreal.ws)]).toEqual(before)
    expect([text, json, elsewhere].map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array.from({ length: 3 }, () => ({ code: 0, stderr: '' })),
    )
    expect(text.stdout).toMatch(/^Capture {2}in schema public: an audit table to create, 3 tables to capture$/m)
    expect(text.stdout).toMatch(/^3 tables, about 1,000 rows, [\d.]+ KiB:$/m)
    expect(text.stdout).toMatch(/^ {2}public\.orders → orders:\[<customer>, <number>\]$/m)
    expect(text.stdout).toMatch(/^ {4}about 1,000 rows, [\d.]+ KiB, key id, not readable by this role$/m)
    expect(text.stdout).toMatch(/^ {6}id +integer +int \(the record id\)$/m)
    expect(text.stdout).toMatch(/^ {6}at +timestamp without time zone +datetime; taken as UTC; text if infinite$/m)
    expect(text.stdout).toMatch(/^ {2}Table public\.log has no primary key\. .*--keyless copy\.$/m)
    expect(text.stdout).toMatch(/^ {2}public\.cache is unlogged\./m)
    expect(elsewhere.stdout).toMatch(/target not there/)
    const plan = JSON.parse(json.stdout) as PrintedPlan
    expect(plan).toMatchObject({ event: 'plan', database: database.name, audit_schema: 'public', installed: false })
    const of = (table: string) => plan.tables.find((each) => each.table === table)
    expect(of('public.users')).toMatchObject({
      ...{
        target: 'users',
        record_id: 'users:<id>',
        key: ['id'],
        rows_expected: 1_000,
        captured: 'no',
        readable: false,
      },
      ...{ followed: true, content: 'records', owned: false },
    })
    expect(of('public.users')?.bytes).toBeGreaterThan(30_000)
    expect(of('public.orders')).toMatchObject({
      content: 'empty',
      columns: [{}, {}, { column: 'id', field: 'id_', type: 'string' }, { field: 'deleted_at', type: 'datetime' }],
    })
    expect(of('public.log')).toMatchObject({ followed: false, content: 'missing', key: ['ctid'] })
    expect(plan.left_out).toMatchObject([
      { table: 'public.cache', reason: 'unlogged' },
      { table: 'public.v', reason: 'view' },
    ])
    expect(plan.warnings.map(({ code }) => code).sort()).toEqual(
      [...Array(4).fill('table_unreadable'), 'column_renamed', 'table_not_followed', 'target_not_empty'].sort(),
    )
  })

  it('names choices that lose something, and refuses what a run would refuse', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    const flags = ['plan', 'postgresql', '--source-uri', database.url]
    const lossy = await surrealSyncHere([...flags, '--value', 'numericOverflow=float', '--value', 'infinity=null'])
    expect(lossy.stdout).toContain(
      '! Column balance of public.users loses something: a float, which loses digits, beyond 28 digits',
    )
    expect(lossy.stdout).toContain('! Column at of public.users loses something: taken as UTC; null if infinite')
    expect(lossy.stdout.match(/loses something/g)).toHaveLength(2)
    const unknown = await surrealSyncHere([...flags, '--tables', 'nothing'])
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('E_UNKNOWN_TABLE') })
    await client.query('create schema other; create table other.users (id int primary key)')
    expect(await surrealSyncHere(flags)).toMatchObject({ code: 2, stderr: expect.stringContaining('E_NAME_COLLISION') })
    expect(await surrealSyncHere([...flags, '--role', 'x'])).toMatchObject({ code: 2, stdout: '' })
  })
})

it('plan --sql lets a role that may create nothing run sync, full and incremental', async () => {
  await using database = await createDatabase()
  await using role = await createRole(database)
  await using surreal = await startSurreal()
  await using folder = await temporaryDirectory()
  const client = await database.client()
  await client.query(setup)
  await client.query('revoke create, usage on schema public from public')
  const source = ['--source-uri', role.url]
  const both = [
    ...source,
    ...['--surreal-endpoint', surreal.ws, '--to-namespace', 'n', '--to-database', 'd', '--checkpoint-dir', folder.path],
  ]
  const refused = await surrealSyncHere(['sync', 'postgresql', ...both, '--timeout', '1s'])
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('E_RIGHTS') })
  const script = await surrealSyncHere(['plan', 'postgresql', ...source, '--sql', '--role', role.name])
  expect(script).toMatchObject({ code: 0, stderr: '' })
  await client.query(script.stdout)
  const installed = await observeSource(database.url)
  const full = await surrealSyncHere(['sync', 'postgresql', ...both, '--timeout', '1s'])
  expect(full).toMatchObject({ code: 0 })
  expect(full.stderr).toContain('Emitted full sync end checkpoint (t2)')
  expect((await observeSource(database.url)).filter(isObject)).toEqual(installed.filter(isObject))
  await client.query(`update users set name = 'changed'; insert into orders values (1, 1, 'x')`)
  const incremental = await surrealSyncHere(['sync', 'postgresql', ...both, '--timeout', '2s'])
  expect(incremental).toMatchObject({ code: 0 })
  expect(incremental.stderr).not.toContain('Emitted full sync')
  const verified = await surrealSyncHere(['verify', 'postgresql', ...both.slice(0, -2)])
  expect(verified.stdout).toMatch(/equal/i)
  expect(verified.code).toBe(0)
  // The script is what it was, though everything is installed, and it is no secret's place.
  expect((await surrealSyncHere(['plan', 'postgresql', ...source, '--sql', '--role', role.name])).stdout).toBe(
    script.stdout,
  )
  expect(script.stdout).not.toContain(new URL(role.url).password)
  const removal = await surrealSyncHere(['teardown', 'postgresql', ...source, '--sql'])
  await client.query(removal.stdout)
  expect((await observeSource(database.url)).filter((line) => line.includes('surreal_sync'))).toEqual([])
})

/** Not the rows of the audit table. */
function isObject(line: string): boolean {
  return !line.startsWith('rows of surreal_sync')
}

it('plans for each type what is stored', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/postgresql-data-types.md'), 'utf8')
  const examples = [...page.matchAll(/^\| `([^`]+)` \| `[^`]+` \| ([^|]+) \| `[^`]+` \|$/gm)]
    .map(([, type = '', kind = ''], index) => ({ name: `t${index}`, type, kind }))
    .filter(
      ({ type }) =>
        !/^(geography|geometry|vector|halfvec|sparsevec|citext|hstore|l\w+)\b/.test(type) ||
        type.startsWith('line') ||
        type.startsWith('lseg'),
    )
  expect(examples.length).toBeGreaterThan(60)
  await using database = await createDatabase()
  const client = await database.client()
  const [, types = ''] = /^```sql\n(.*?)^```$/ms.exec(page) ?? []
  await client.query(types.replaceAll(/^create extension.*$/gm, ''))
  for (const { name, type } of examples) await client.query(`create table ${name} (id int primary key, v ${type})`)
  const { stdout } = await surrealSyncHere(['plan', 'postgresql', '--source-uri', database.url, '--json'])
  const { tables } = JSON.parse(stdout) as {
    readonly tables: readonly {
      readonly table: string
      readonly columns: readonly { readonly type: string; readonly note?: string }[]
    }[]
  }
  const wrong = examples.filter(({ name, kind }) => {
    const form = tables.find(({ table }) => table === `public.${name}`)?.columns[1]
    const planned = form?.type.replace(/<.*/, '')
    return planned !== kind.replace(/<.*/, '') && planned !== 'any' && form?.note === undefined
  })
  expect(wrong).toEqual([])
})
