/** `status`, `cleanup`, `resync` and `teardown`, as an operator has them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SyncError } from '../../src/index.js'
import { faulty, Reject } from '../../src/testing/index.js'
import { createDatabase } from '../support/database.js'
import { startRelay } from '../support/relay.js'
import { Replica } from '../support/replica.js'
import { start, surrealSyncHere, temporaryDirectory } from './command.js'

const setup = `create table t (id int primary key, v text); insert into t select i, 'v' from generate_series(1, 5) i`

describe('status', () => {
  it('says that nothing is installed, and installs nothing', async () => {
    await using database = await createDatabase()
    const { code, stdout, stderr } = await surrealSyncHere(['status', 'postgresql', '--source-uri', database.url])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Source {4}postgresql:\/\/\S+\nCapture {3}nothing is installed\n$/)
  })

  it('says how far behind a pipeline is, and who holds changes back', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await new Replica({ url: database.url }).full()
    await client.query('update t set v = v')
    const writer = await database.client()
    await writer.query('begin; insert into t values (6)')
    const flags = ['status', 'postgresql', '--source-uri', database.url]
    const text = await surrealSyncHere(flags)
    expect(text.stdout).toMatch(/\nCapture {3}5 changes kept in [\d.]+ KiB, newest number 6\n/)
    expect(text.stdout).toMatch(
      /\nUnseen {4}changes of an open transaction of \S+, \d.* old \(session \d+, idle in transaction\)\n/,
    )
    expect(text.stdout).toMatch(/\ndefault +0 {2}5 changes, \d+.* {2,}stopped \(copying\), last seen \d{4}-/)
    const { stdout } = await surrealSyncHere([...flags, '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ event: 'status', installed: true, position: 6, changes: 5 },
      pipelines: [{ id: 'default', position: 0, behind: 5, running: false }],
      oldest_writer: { state: 'idle in transaction' },
    })
    await writer.query('rollback')
  })

  it('says which tables are captured, what runs do with them, and why the last one failed', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(`${setup}; create table odd (id int primary key); insert into odd values (1); analyze`)
    const replica = new Replica({ url: database.url })
    await replica.full()
    const flags = ['status', 'postgresql', '--source-uri', database.url]
    const before = await surrealSyncHere(flags)
    expect(before.stdout).toMatch(/\ndefault +0 {2}nothing +stopped \(copying\), last seen /)
    expect(before.stdout).toMatch(
      /\npublic\.odd +1 {2}0 +captured; default: done, 1 row copied\npublic\.t +5 {2}0 +captured; default: done, 5 rows copied\n$/,
    )
    await client.query('update t set v = v')
    const failing = replica.engine({
      sink: faulty(replica.sink, (operation) =>
        operation === 'write' ? new Reject(new SyncError('E_TARGET', 'no')) : undefined,
      ),
    })
    await expect(failing.run({ phase: 'incremental' })).rejects.toMatchObject({ code: 'E_TARGET' })
    await client.query('alter table odd disable trigger all')
    const after = await surrealSyncHere(flags)
    expect(after.stdout).toMatch(/ stopped \(following\), last seen \S+\nLast error of default: E_TARGET, \d{4}-\S+\n/)
    expect(after.stdout).toMatch(/\npublic\.odd +1 {2}0 +NOT CAPTURED\npublic\.t +5 {2}5 +captured\n$/)
    await replica.catchUp()
    const { stdout } = await surrealSyncHere([...flags, '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      tables: [{ label: 'public.odd' }, { label: 'public.t', rows: 5, captured: true, changes: 5 }],
      pipelines: [
        {
          phase: 'incremental',
          tables: [{ label: 'public.odd' }, { label: 'public.t', state: 'running', rows: 5 }],
          last_error: { code: 'E_TARGET' },
        },
      ],
    })
  })

  it('ends a watch when nobody reads it any more', async () => {
    await using database = await createDatabase()
    await using folder = await temporaryDirectory()
    await using command = start(['status', 'postgresql', '--watch', '--source-uri', database.url], { cwd: folder.path })
    await command.printed(/nothing is installed/)
    command.closeOutput()
    expect((await command.ended).code).toBe(0)
  })

  it('goes on through an outage if it is to watch', async () => {
    await using database = await createDatabase()
    await using folder = await temporaryDirectory()
    const url = new URL(database.url)
    const relay = await startRelay(Number(url.port), (client, server) => client.pipe(server).pipe(client))
    url.port = String(relay.port)
    await using command = start(['status', 'postgresql', '--watch', '--source-uri', url.href], { cwd: folder.path })
    await command.printed(/nothing is installed/)
    await relay[Symbol.asyncDispose]()
    await command.saw(/\[E_UNREACHABLE\][\s\S]*\[E_UNREACHABLE\]/)
    command.kill('SIGINT')
    expect((await command.ended).code).toBe(0)
  })

  it('goes on until Ctrl-C if it is to watch', async () => {
    await using database = await createDatabase()
    await using folder = await temporaryDirectory()
    await using command = start(['status', 'postgresql', '--watch', '--source-uri', database.url], { cwd: folder.path })
    await command.printed(/nothing is installed[\s\S]*nothing is installed/)
    command.kill('SIGINT')
    expect((await command.ended).code).toBe(0)
  })
})

describe('resync', () => {
  it('asks for tables, and says which', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    const flags = ['--source-uri', database.url]
    const refused = await surrealSyncHere(['resync', 'postgresql', 't', ...flags])
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toMatch(
      /^error: There is no audit table \S+: nothing is followed here yet \[E_TRIGGER_MISSING\]\n/,
    )
    await new Replica({ url: database.url }).full()
    const { code, stdout, stderr } = await surrealSyncHere(['resync', 'postgresql', 't', ...flags])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Asked for 1 table: public\.t\.\n/)
    const { rows } = await client.query('select table_name, operation, row_id from surreal_sync_changes')
    expect(rows).toEqual([{ table_name: 'public.t', operation: 'RESYNC', row_id: null }])
    expect(await surrealSyncHere(['resync', 'postgresql', ...flags])).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('cleanup', () => {
  it('removes what every pipeline has applied, and forgets one that will not come back', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    const replica = new Replica({ url: database.url })
    await replica.full()
    await client.query('update t set v = v')
    await replica.catchUp()
    await client.query(`insert into surreal_sync_consumers (id, position) values ('gone', 2)`)
    const cleanup = (...flags: string[]) =>
      surrealSyncHere(['cleanup', 'postgresql', '--source-uri', database.url, ...flags])
    expect((await cleanup()).stdout).toBe('Removed 2 changes.\n')
    expect((await cleanup('--older-than', '1h', '--forget', 'gone')).stdout).toBe(
      'Forgot the pipeline gone.\nRemoved 0 changes.\n',
    )
    expect((await cleanup()).stdout).toBe('Removed 3 changes.\n')
    const unknown = await cleanup('--forget', 'gone')
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toBe(
      'error: There is no pipeline gone in this database [E_CONFIG]\nhint: There are: default.\n',
    )
  })
})

describe('teardown', () => {
  it('prints the script, then removes everything, and may be repeated', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    await new Replica({ url: database.url }).full()
    const teardown = (...flags: string[]) =>
      surrealSyncHere(['teardown', 'postgresql', '--source-uri', database.url, ...flags])
    const { stdout: script } = await teardown('--sql')
    expect(script.toLowerCase()).toMatch(/drop trigger[\s\S]*drop function[\s\S]*drop table/)
    expect((await teardown()).stdout).toMatch(/^Removed /)
    const left = await client.query(`select from pg_class where relname like 'surreal_sync%'`)
    expect(left.rowCount).toBe(0)
    expect(await teardown()).toMatchObject({ code: 0, stdout: 'Nothing is installed in this database.\n' })
    await client.query('insert into t values (7)')
  })

  it('leaves a pipeline alone that runs', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(setup)
    const replica = new Replica({ url: database.url })
    await replica.full()
    const stop = new AbortController()
    const engine = replica.engine()
    const caughtUp = new Promise((resolve) => engine.once('caughtUp', resolve))
    const ended = engine.run({ phase: 'incremental', follow: true, signal: stop.signal })
    await caughtUp
    const refused = await surrealSyncHere(['teardown', 'postgresql', '--source-uri', database.url])
    expect(refused).toMatchObject({ code: 5, stdout: '' })
    expect(refused.stderr).toBe(
      'error: The pipeline default is running [E_LEASE_HELD]\nhint: Stop it first, or pass --force.\n',
    )
    stop.abort()
    await ended
  })

  it('needs no secret of masks, and knows the config file', async () => {
    await using database = await createDatabase()
    await using folder = await temporaryDirectory()
    const config = { sourceUri: database.url, tables: { t: { mask: { v: 'hash' } } } }
    await writeFile(join(folder.path, 'surreal-sync.config.json'), JSON.stringify(config))
    await using command = start(['teardown', 'postgresql'], { cwd: folder.path })
    expect(await command.ended).toMatchObject({ code: 0, stdout: 'Nothing is installed in this database.\n' })
  })

  it('needs the source and nothing else', async () => {
    const { code, stderr } = await surrealSyncHere(['teardown', 'postgresql'])
    expect(code).toBe(2)
    expect(stderr).toBe(
      'error: Missing --source-uri [E_CONFIG]\nhint: The source URI may also stand in the variable SOURCE_URI.\n',
    )
  })
})
