/** `check`, and docs/least-privilege.md, whose every statement runs here. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/index.js'
import { catalog } from '../support/catalog.js'
import { createDatabase } from '../support/database.js'
import { createRole } from '../support/roles.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'
import { surrealSyncHere, temporaryDirectory } from './command.js'
import { observeSource, observeTarget } from './observe.js'
import { openServer } from './target.js'

const page = await readFile(join(import.meta.dirname, '../../docs/least-privilege.md'), 'utf8')
const [createSql = '', grantSql = '', dropSql = '', userSql = ''] = [
  ...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm),
].map(([, text = '']) => text)
const grants = [...grantSql.matchAll(/^grant (.+) on (.+) to replicator; -- (\S+)$/gm)].map(
  ([, right = '', object = '', id = '']) => ({ right, object, id }),
)

let surreal: SurrealServer

beforeAll(async () => {
  surreal = await startSurreal()
  await using root = await openServer(surreal.ws)
  await root.db.query(`define namespace n; use ns n; define database d`)
  await root.db.use({ namespace: 'n', database: 'd' })
  await root.db.query(`${userSql}; define user viewer on database password 'look-only' roles viewer`)
})

afterAll(() => surreal.stop())

interface Checked {
  readonly code: number | null
  readonly findings: readonly Finding[]
  /** The ids of what is not in order, each once. */
  readonly wrong: readonly string[]
}

async function check(...flags: readonly string[]): Promise<Checked> {
  const { code, stdout, stderr } = await surrealSyncHere(['check', 'postgresql', '--json', ...flags])
  expect(stderr).toBe('')
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
  const ids = findings.filter(({ outcome }) => outcome !== 'ok').map(({ id }) => id)
  // The server of the tests is near, of tests, and knows no TLS.
  const usual = ['source.tls', 'source.durability']
  return { code, findings, wrong: [...new Set(ids)].filter((id) => !usual.includes(id)).sort() }
}

const target = (...user: readonly string[]) => [
  ...['--surreal-endpoint', surreal.ws, '--to-namespace', 'n', '--to-database', 'd'],
  ...user.flatMap((text, index) => [index === 0 ? '--surreal-username' : '--surreal-password', text]),
]

describe('docs/least-privilege.md', () => {
  it('is enough from plan to teardown, and each grant is needed', async () => {
    await using database = await createDatabase()
    await using folder = await temporaryDirectory()
    const admin = await database.client()
    await admin.query(`create table users (id int primary key, v text); insert into users values (1, 'one');
      revoke all on schema public from public; revoke connect on database ${database.name} from public`)
    const before = await catalog(admin)
    // The role's name belongs to the whole cluster, on which tests run side by side.
    const name = `replicator_${database.name}`
    const here = (sql: string) => sql.replaceAll('replicator', name).replaceAll('myapp', database.name)
    const url = new URL(database.url)
    url.username = name
    url.password = 'choose-one'
    const source = ['--source-uri', url.href]
    const both = [...source, ...target('replicator', 'choose-one')]
    const sync = ['sync', 'postgresql', ...both, '--checkpoint-dir', folder.path, '--timeout', '1s']

    await admin.query(here(createSql))
    await admin.query(here(`grant connect on database myapp to replicator`))
    const script = await surrealSyncHere(['plan', 'postgresql', ...source, '--sql', '--role', name])
    await admin.query(script.stdout)
    const granted = await catalog(admin)
    await admin.query(here(grantSql))
    expect(await catalog(admin)).toEqual(granted)

    expect(await check(...both)).toMatchObject({ code: 0, wrong: [] })
    expect((await surrealSyncHere(sync)).code).toBe(0)
    await admin.query(`update users set v = 'changed'`)
    expect((await surrealSyncHere(sync)).code).toBe(0)
    expect((await surrealSyncHere(['verify', 'postgresql', ...both])).code).toBe(0)
    const cleaned = await surrealSyncHere(['cleanup', 'postgresql', ...source])
    expect(cleaned.stdout).toBe('Removed 1 change.\n')

    expect(grants).toHaveLength(11)
    for (const { right, object, id } of grants) {
      await admin.query(here(`revoke ${right} on ${object} from replicator`))
      const { wrong, findings, code } = await check(...source)
      expect(wrong, `${right} on ${object}`).toContain(id)
      const finding = findings.find((each) => each.id === id && each.outcome !== 'ok')
      expect(finding?.remedy).toBeDefined()
      expect(code).toBe(finding?.outcome === 'problem' ? 2 : 0)
      expect(finding?.outcome).toBe(/prune|forget/.test(id) ? 'warning' : 'problem')
      await admin.query(here(`grant ${right} on ${object} to replicator`))
    }
    expect(await check(...source)).toMatchObject({ code: 0, wrong: [] })

    expect((await surrealSyncHere(['teardown', 'postgresql', ...source])).code).toBe(2)
    await admin.query((await surrealSyncHere(['teardown', 'postgresql', ...source, '--sql'])).stdout)
    await admin.query(here(dropSql))
    expect(await catalog(admin)).toEqual(before)
  })

  it('names a target user with too few rights, and leaves nothing of its probe', async () => {
    await using database = await createDatabase()
    const admin = await database.client()
    await admin.query('create table fresh (id int primary key)')
    const before = [await observeSource(database.url), await observeTarget(surreal.ws)]
    const source = ['--source-uri', database.url]
    const editor = await check(...source, ...target('replicator', 'choose-one'))
    expect(editor.code).toBe(0)
    expect(editor.findings.filter(({ id }) => id.startsWith('target.rights')).map(({ id }) => id)).toEqual(
      ['define', 'write', 'read', 'remove'].map((right) => `target.rights.${right}`),
    )
    const viewer = await check(...source, ...target('viewer', 'look-only'))
    expect(viewer).toMatchObject({ code: 2, wrong: expect.arrayContaining(['target.rights.define']) })
    expect(await check(...source, ...target('viewer', 'mistaken'))).toMatchObject({
      code: 2,
      wrong: expect.arrayContaining(['target.connection']),
    })
    expect([await observeSource(database.url), await observeTarget(surreal.ws)]).toEqual(before)
  })
})

/** A database with something installed, as its superuser. */
async function installed(
  tables: string,
): Promise<{ readonly database: Awaited<ReturnType<typeof createDatabase>>; readonly client: pg.Client }> {
  const database = await createDatabase()
  const client = await database.client()
  await client.query(tables)
  const { stdout } = await surrealSyncHere(['plan', 'postgresql', '--source-uri', database.url, '--sql'])
  await client.query(stdout)
  return { database, client }
}

describe('check', () => {
  it('finds what is wrong with what is installed, and says whether the role can mend it', async () => {
    const { database, client } = await installed(
      'create table a (id int primary key); create table b (id int primary key); create table c (id int primary key)',
    )
    await using _ = database
    await using role = await createRole(database)
    await client.query(`grant select on all tables in schema public to ${role.name}`)
    const superuser = ['--source-uri', database.url]
    expect((await check(...superuser)).wrong).toEqual(['source.role'])
    await client.query(`alter table a disable trigger all; alter table b rename column id to key;
      do $$ declare t record; begin for t in select tgname from pg_trigger where tgrelid = 'c'::regclass loop
        execute format('alter table c enable trigger %I', t.tgname); end loop; end $$`)
    const mendable = await check(...superuser)
    expect(mendable).toMatchObject({
      code: 0,
      wrong: ['source.capture.function', 'source.capture.trigger', 'source.role'],
    })
    const stuck = await check('--source-uri', role.url)
    expect(stuck.code).toBe(2)
    expect(
      stuck.findings.filter(({ outcome, id }) => outcome === 'problem' && id.startsWith('source.capture')),
    ).toMatchObject([
      { id: 'source.capture.trigger', table: 'public.a', remedy: expect.stringContaining('plan postgresql --sql') },
      { id: 'source.capture.function', table: 'public.b' },
    ])
    await surrealSyncHere(['teardown', 'postgresql', ...superuser])
  })

  it('finds settings that would disturb a run', async () => {
    await using database = await createDatabase()
    await using role = await createRole(database, 'connection limit 6')
    const client = await database.client()
    await client.query(`create table t (id int primary key); grant select on t to ${role.name}; grant create on schema public to ${role.name};
      alter table t owner to ${role.name}; alter role ${role.name} set statement_timeout = '5s';
      alter role ${role.name} set idle_session_timeout = '1min'; alter role ${role.name} set session_replication_role = replica`)
    const { code, wrong } = await check('--source-uri', role.url)
    expect(wrong).toEqual(['source.connections', 'source.replication_role', 'source.timeouts'])
    expect(code).toBe(0)
    await client.query(`alter role ${role.name} connection limit 2`)
    expect(await check('--source-uri', role.url, '--concurrency', '1')).toMatchObject({ code: 2 })
    await client.query(`alter role ${role.name} set session_replication_role to default`)
  })

  it('prints a table for people, says what it did not look at, and no secret', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query('create table t (id int primary key); create table log (line text)')
    const secret = 'canary-in-a-password'
    const nobody = `postgresql://postgres:${secret}@127.0.0.1:9/myapp?sslmode=disable`
    const unreachable = await surrealSyncHere([
      'check',
      'postgresql',
      '--source-uri',
      nobody,
      ...target('root', secret),
    ])
    expect(unreachable.code).toBe(2)
    expect(unreachable.stdout).toMatch(/^✖ source\.connection +.*\[E_UNREACHABLE\]\n {2} +→ Check the host and port/m)
    expect(unreachable.stdout).toMatch(/^✖ target\.connection +.*\[E_AUTH\]$/m)
    const fine = await surrealSyncHere(['check', 'postgresql', '--source-uri', database.url])
    expect(fine).toMatchObject({ code: 0, stderr: '' })
    expect(fine.stdout).toMatch(/^✔ source\.server +PostgreSQL \d+\.\d+.*, a primary$/m)
    expect(fine.stdout).toMatch(/^! source\.tables +Table public\.log has no primary key; it is left out$/m)
    expect(fine.stdout).toMatch(/^0 problems, \d warnings\. The target was not looked at: /m)
    for (const text of [unreachable, fine]) expect(`${text.stdout}${text.stderr}`).not.toContain(secret)
  })
})
