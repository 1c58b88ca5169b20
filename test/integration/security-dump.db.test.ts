/** A dump of a source, restored in another cluster, is another source. Runs where PostgreSQL's own programs are installed. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import pg from 'pg'
import { expect, it } from 'vitest'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Replica } from '../support/replica.js'

const run = promisify(execFile)
const programs = [18, 17, 16, 15, 14]
  .map((version) => `/usr/lib/postgresql/${version}/bin`)
  .find((path) => ['pg_dump', 'psql', 'initdb', 'postgres'].every((name) => existsSync(`${path}/${name}`)))

it.skipIf(programs === undefined)('restored by pg_dump and psql, it is refused until a full sync', async () => {
  const binDir = programs ?? ''
  await using first = await startPostgres({ binDir })
  await using second = await startPostgres({ binDir })
  const url = await first.createDatabase('shop')
  const copyUrl = await second.createDatabase('shop')
  const query = async (at: string, sql: string) => {
    const client = new pg.Client({ connectionString: at })
    await client.connect()
    const { rows } = await client.query<Record<string, string>>(sql)
    await client.end()
    return rows
  }
  await query(url, `create table t (id int primary key, v text); insert into t values (1, 'one')`)
  const replica = new Replica({ url })
  await replica.full()
  await query(url, `insert into t values (2, 'two'), (3, 'three')`)
  await replica.catchUp()

  const roles = await query(url, `select rolname from pg_roles where rolname like 'surreal_sync_%'`)
  for (const { rolname } of roles) await query(copyUrl, `create role ${rolname} nologin`)
  const { stdout } = await run(`${binDir}/pg_dump`, ['--dbname', url])
  expect(stdout).toContain('ENABLE ALWAYS TRIGGER surreal_sync_capture_')
  const restoring = run(`${binDir}/psql`, ['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', copyUrl])
  restoring.child.stdin?.end(stdout)
  await restoring

  // Its triggers work, so that nobody's writes fail.
  await query(copyUrl, `insert into t values (4, 'four')`)
  const restored = new Replica({ url: copyUrl })
  const checkpoint = await replica.store.load('default')
  if (checkpoint === undefined) throw new Error('There is no checkpoint')
  await restored.store.save('default', checkpoint)
  await expect(restored.catchUp()).rejects.toMatchObject({ code: 'E_SOURCE_IDENTITY' })
  for (const from of ['0', '2', '3']) {
    const refused = restored.run({ phase: 'incremental', from, replay: true })
    await expect(refused, from).rejects.toMatchObject({ code: 'E_SOURCE_IDENTITY' })
  }
  expect(restored.sink.operations).toEqual([])

  await restored.full()
  await query(copyUrl, `insert into t values (5, 'five'); delete from t where id = 1`)
  await restored.catchUp()
  await expectFresh(restored, { url: copyUrl })
  const source = new PostgresTriggerSource({ url: copyUrl })
  await source.teardown()
  expect(await source.teardownSql()).toBe('')
  await query(copyUrl, `insert into t values (6, 'six')`)
  const left = await query(
    copyUrl,
    `select proname::text from pg_proc where proname like 'surreal%' union all select relname from pg_class where relname like 'surreal%'
     union all select tgname from pg_trigger where tgname like 'surreal%'`,
  )
  expect(left).toEqual([])
})
