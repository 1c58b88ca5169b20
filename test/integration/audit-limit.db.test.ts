/** The limit of the audit table while no run is going on: what `cleanup` does about it, and what later runs say. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PostgresTriggerSource, type PostgresTriggerSourceOptions } from '../../src/index.js'
import { surrealSyncHere } from '../e2e/command.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { expectFresh } from '../support/fresh-copy.js'
import { Follower, Replica } from '../support/replica.js'
import { createRole } from '../support/roles.js'

let database: TestDatabase
let admin: pg.Client
let replica: Replica

beforeEach(async () => {
  database = await createDatabase()
  admin = await database.client()
  await admin.query(`create table a (id int primary key, v text); create table b (id int primary key, v text);
    insert into a select n, 'old' from generate_series(1, 500) n; insert into b values (1, 'old')`)
  replica = new Replica({ url: database.url })
  await replica.full()
})

afterEach(() => database[Symbol.asyncDispose]())

const source = (options: Omit<PostgresTriggerSourceOptions, 'url'>) =>
  new PostgresTriggerSource({ url: database.url, ...options })
const detaching = { auditBytesMax: 1, auditLimitPolicy: 'detach' } as const
const change = () => admin.query(`update a set v = v || '.'`)

async function triggers(): Promise<number> {
  const { rowCount } = await admin.query(`select from pg_trigger where tgname like 'surreal_sync_%' and tgparentid = 0`)
  return rowCount ?? 0
}

const detachedRun = {
  code: 'E_AUDIT_DETACHED',
  retryable: false,
  message: expect.stringMatching(/ was removed at \d{4}-\S+Z, because its \d+ bytes were more than the limit of 1: /),
  details: { hint: expect.stringContaining('`restart`') },
}

describe('the policy warn', () => {
  it('says how large the table is, and leaves it as it is', async () => {
    await change()
    const before = await triggers()
    const outcome = await source({ auditBytesMax: 1 }).enforceAuditLimit()
    expect(outcome).toMatchObject({ state: 'exceeded', pruned: 0 })
    expect(outcome.neededBytes).toBeGreaterThan(500 * 50)
    expect(outcome.neededBytes).toBeLessThan(2 * outcome.bytes)
    expect(await source({ auditBytesMax: 2 ** 30 }).enforceAuditLimit()).toMatchObject({ state: 'within' })
    expect(await triggers()).toBe(before)
    await expect(source({}).enforceAuditLimit()).rejects.toMatchObject({ code: 'E_CONFIG' })
  })
})

describe('the policy detach', () => {
  it('removes everything, and every later run says so until there was a full sync', async () => {
    const other = new Replica({ url: database.url }, 'other')
    await other.full()
    await change()
    expect(await source(detaching).enforceAuditLimit()).toMatchObject({ state: 'detached' })
    expect(await triggers()).toBe(0)
    await admin.query(`insert into b values (2, 'unseen')`)
    await expect(replica.catchUp()).rejects.toMatchObject(detachedRun)
    await expect(replica.catchUpFromNumber()).rejects.toMatchObject(detachedRun)
    const status = await source({}).status()
    expect(status).toMatchObject({ installed: false, detached: { bytesMax: 1, bytes: expect.any(Number) } })
    expect(await source(detaching).enforceAuditLimit()).toMatchObject({ state: 'within', bytes: 0 })

    await replica.run({ phase: 'full', restart: true })
    await change()
    await replica.catchUp()
    await expectFresh(replica, { url: database.url })
    // What another one has missed it does not skip because somebody installed again.
    await expect(other.catchUp()).rejects.toMatchObject(detachedRun)
    expect(await source({}).status()).toMatchObject({ installed: true, detached: undefined })
    await source({}).teardown()
    expect((await admin.query(`select from pg_class where relname like 'surreal_sync%'`)).rowCount).toBe(0)
  })

  it('makes room first by what every pipeline has applied, and is content with that', async () => {
    await change()
    await replica.catchUp()
    const before = await triggers()
    expect(await source(detaching).enforceAuditLimit()).toMatchObject({
      state: 'exceeded',
      pruned: 500,
      neededBytes: 0,
    })
    expect(await triggers()).toBe(before)
    await change()
    await replica.catchUp()
    await expectFresh(replica, { url: database.url })
  })

  it('removes nothing as a role that may not, and says what the owner runs', async () => {
    await using role = await createRole(database)
    await admin.query(await source({}).installSql({ role: role.name }))
    await change()
    const before = await triggers()
    const bound = new PostgresTriggerSource({ url: role.url, ...detaching })
    await expect(bound.enforceAuditLimit()).rejects.toMatchObject({
      code: 'E_RIGHTS',
      details: { hint: expect.stringContaining('drop trigger') },
    })
    expect(await triggers()).toBe(before)
    await replica.catchUp()
    await source({}).teardown()
  })

  it('says so even if only some triggers could be removed, and the rest goes the next time', async () => {
    await change()
    const holder = await database.client()
    await holder.query('begin; lock table b in access share mode')
    const before = await triggers()
    const stop = new AbortController()
    const options = { ...detaching, lockTimeoutMs: 50 }
    const cut = expect(source(options).enforceAuditLimit({ signal: stop.signal })).rejects.toThrow()
    await eventually(async () => (await triggers()) < before, 'the triggers of a table are gone')
    stop.abort()
    await cut
    expect(await triggers()).toBeGreaterThan(0)
    await expect(replica.catchUp()).rejects.toMatchObject(detachedRun)
    await holder.query('rollback')
    expect(await source(detaching).enforceAuditLimit()).toMatchObject({ state: 'detached' })
    expect(await triggers()).toBe(0)
    await expect(replica.catchUp()).rejects.toMatchObject(detachedRun)
  })

  it('ends a run that is going on', async () => {
    const follower = new Follower(replica)
    await follower.reaches(0)
    await admin.query(`insert into surreal_sync_consumers (id, position) values ('gone', 0)`)
    await change()
    expect(await source(detaching).enforceAuditLimit()).toMatchObject({ state: 'detached' })
    await expect(follower.ended).rejects.toMatchObject({ code: 'E_AUDIT_DETACHED' })
    await expect(replica.catchUp()).rejects.toMatchObject(detachedRun)
    expect(await triggers()).toBe(0)
  })

  it('refuses to go on with a copy that was cut off, and installs nothing before it does', async () => {
    const cut = new Replica({ url: database.url }, 'cut')
    const engine = cut.engine({ concurrency: 1 })
    const stop = new AbortController()
    engine.on('table', ({ state }) => state === 'done' && stop.abort())
    expect(await engine.run({ signal: stop.signal })).toMatchObject({ reason: 'aborted', phase: 'full' })
    await change()
    expect(await source(detaching).enforceAuditLimit()).toMatchObject({ state: 'detached' })
    for (const phase of ['full', undefined] as const) {
      await expect(cut.run({ phase })).rejects.toMatchObject(detachedRun)
      expect(await source({}).status()).toMatchObject({ installed: false, detached: { bytesMax: 1 } })
      expect(await triggers()).toBe(0)
    }
    await expect(cut.engine().plan()).rejects.toMatchObject(detachedRun)
    expect(await cut.engine().plan({ restart: true })).toMatchObject({ phases: ['full', 'incremental'] })

    await cut.run({ restart: true })
    await change()
    await cut.catchUp()
    await expectFresh(cut, { url: database.url })
  })

  it('lets a run remove what was applied only when there is much of it: room in the table is used first', async () => {
    const limit = { auditBytesMax: 40_000, auditLimitPolicy: 'detach' } as const
    const kept = async () => (await source({}).status()).changes
    await change()
    await replica.catchUp()
    await source({}).prune()
    await admin.query('update a set v = v where id <= 10')
    await replica.catchUp()
    // The file is as large as ever.
    expect(await source({ auditBytesMax: limit.auditBytesMax }).enforceAuditLimit()).toMatchObject({
      state: 'exceeded',
    })
    const limited = () => replica.engine({ source: source(limit) }).run({ phase: 'incremental' })
    await limited()
    expect(await kept()).toBe(10)
    await change()
    await replica.catchUp()
    expect(await kept()).toBe(510)
    await limited()
    expect(await kept()).toBe(0)
  })

  it.each([
    ['at the end of a copy', 'position', 2],
    ['when it records how far it is', 'acknowledge', 1],
  ] as const)('ends a run that misses it %s', async (_, operation, time) => {
    await change()
    const disturbed = source({})
    let asked = 0
    const [read, record] = [disturbed.position.bind(disturbed), disturbed.acknowledge.bind(disturbed)]
    const detach = async (now: string) => {
      if (now === operation) asked += 1
      if (now !== operation || asked !== time) return
      await change()
      await source(detaching).enforceAuditLimit()
    }
    disturbed.position = async (options) => {
      await detach('position')
      return read(options)
    }
    disturbed.acknowledge = async (position) => {
      await detach('acknowledge')
      return record(position)
    }
    const restart = operation === 'position'
    await expect(replica.engine({ source: disturbed }).run({ restart })).rejects.toMatchObject(detachedRun)
    expect(await triggers()).toBe(0)
  })

  it('can be followed by the script of a DBA', async () => {
    await change()
    await source(detaching).enforceAuditLimit()
    await admin.query(await source({}).installSql())
    expect(await source({}).status()).toMatchObject({ installed: true, detached: undefined })
    await expect(replica.catchUp()).rejects.toMatchObject(detachedRun)
    await replica.run({ phase: 'full', restart: true })
    await change()
    await replica.catchUp()
    await expectFresh(replica, { url: database.url })
  })
})

describe('on the command line', () => {
  const command = (name: string, ...flags: string[]) =>
    surrealSyncHere([name, 'postgresql', '--source-uri', database.url, ...flags])

  it('says that everything counts as needed where no pipeline is registered', async () => {
    await change()
    await source({}).forget('default')
    const warned = await command('cleanup', '--audit-limit', '10kB')
    expect(warned).toMatchObject({ code: 3, stderr: '' })
    expect(warned.stdout).toMatch(
      / its limit of 10\.0 KiB; no pipeline is registered, so all of it counts as needed\.\nRun a pipeline, or /,
    )
    const detached = await command('cleanup', '--audit-limit', '10kB', '--audit-limit-policy', 'detach')
    expect(detached).toMatchObject({ code: 3, stderr: '' })
    expect(detached.stdout).toMatch(/ and no pipeline is registered, so all of it counted as needed\.\nRemoved it, /)
    expect(warned.stdout + detached.stdout).not.toMatch(/pipelines/)
  })

  it('the exit codes are for monitoring, and cleanup enforces', async () => {
    await change()
    const within = await command('cleanup', '--audit-limit', '1GB', '--audit-limit-policy', 'detach')
    expect(within).toMatchObject({ code: 0, stderr: '' })
    expect(within.stdout).toMatch(
      /^Removed 0 changes\.\nThe audit table takes [\d.]+ KiB, within its limit of 1\.0 GiB\.\n$/,
    )
    expect(await command('status', '--audit-limit', '1GB')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/\nLimit {5}1\.0 GiB, 0 % of it taken\n/),
    })

    const warned = await command('cleanup', '--audit-limit', '10kB')
    expect(warned).toMatchObject({ code: 3, stderr: '' })
    expect(warned.stdout).toMatch(
      / more than its limit of 10\.0 KiB; pipelines still need about [\d.]+ KiB of it\.\nSee /,
    )
    expect(await command('status', '--audit-limit', '10kB')).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/\nLimit {5}10\.0 KiB, EXCEEDED\n/),
    })
    expect((await command('check', '--audit-limit', '10kB')).stdout).toMatch(/^! source\.audit .*more than 0\.0 MiB/m)
    const problem = await command('check', '--audit-limit', '10kB', '--audit-limit-policy', 'detach')
    expect(problem).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/^✖ source\.audit .*\n.*→ Raise --audit-limit /m),
    })

    const detached = await command('cleanup', '--audit-limit', '10kB', '--audit-limit-policy', 'detach')
    expect(detached).toMatchObject({ code: 3, stderr: '' })
    expect(detached.stdout).toMatch(
      /\nRemoved it, with all triggers .*\nRun every pipeline of this source once with --restart\.\n$/,
    )
    const status = await command('status', '--audit-limit', '10kB')
    expect(status).toMatchObject({ code: 3, stderr: '' })
    expect(status.stdout).toMatch(
      /\nCapture {3}removed at \S+: the audit table took .* KiB, more than its limit of 10\.0 KiB\nNext {6}Run /,
    )
    expect(await command('check')).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/^✖ source\.audit .* removed at .*\n(.*\n)*? +→ .*--restart/m),
    })
    expect(JSON.parse((await command('status', '--json')).stdout)).toMatchObject({ detached: { bytes_max: 10_240 } })
    expect(await command('cleanup')).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^What captures changes was removed at /),
    })
  })
})
