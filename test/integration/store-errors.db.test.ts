/** What checkpoint stores say of failures: nothing of a row, a statement's values or a password, whatever the drivers say. */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { createNodeEngines } from '@surrealdb/node'
import pg from 'pg'
import { Surreal } from 'surrealdb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Checkpoint,
  type CheckpointStore,
  type Position,
  PostgresCheckpointStore,
  SurrealCheckpointStore,
  SyncError,
} from '../../src/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const secret = `canary-${randomBytes(9).toString('hex')}`
const place = 'surreal_sync_checkpoints'
const position = `postgresql:sequence:${secret}` as Position
const checkpoint: Checkpoint = {
  kind: 'incremental',
  position,
  resumeAfter: position,
  described: { secret },
  timestamp: '2024-01-31T12:00:00.000Z',
}

let database: TestDatabase
let surreal: SurrealServer
beforeAll(async () => {
  database = await createDatabase()
  surreal = await startSurreal()
})
afterAll(async () => {
  await surreal?.stop()
  await database?.[Symbol.asyncDispose]()
})

const shown = (error: unknown): string => inspect(error, { depth: 10, showHidden: true })

/** The failure of a save, which shows nothing that was planted. */
async function failureOf(store: CheckpointStore): Promise<SyncError> {
  const failure = await store.save('kit', checkpoint).then(
    () => undefined,
    (error: unknown) => error,
  )
  await store.close?.()
  expect(failure).toBeInstanceOf(SyncError)
  expect(shown(failure)).not.toContain(secret)
  expect(shown(store)).not.toContain(secret)
  if (!(failure instanceof SyncError)) throw failure
  return failure
}

describe('PostgresCheckpointStore', () => {
  /** What the server says of a refused row: by a check, by a trigger with a code of its own, by a statement within one. */
  const refusals: readonly (readonly [what: string, code: string, state: string, sql: (table: string) => string])[] = [
    ['a check', 'E_SOURCE', '23514', (table) => `alter table ${table} add check (checkpoint = '${secret}')`],
    [
      'a trigger',
      'E_RIGHTS',
      '42501',
      (table) =>
        triggerOn(
          table,
          `raise exception using message = new.checkpoint, detail = '${secret}', hint = '${secret}',
        errcode = '42501'`,
        ),
    ],
    [
      'a cast in a trigger',
      'E_SOURCE',
      '22P02',
      (table) => triggerOn(table, `execute 'select ' || quote_literal('${secret}') || '::int'`),
    ],
  ]
  const triggerOn = (table: string, body: string) => {
    const name = `${table.split('.')[0]}.refuse`
    return `create function ${name}() returns trigger language plpgsql as $$ begin ${body}; return new; end $$;
      create trigger refuse before insert on ${table} for each row execute function ${name}()`
  }

  it.each(refusals)('says nothing of what %s says', async (what, code, state, sql) => {
    const schema = `refused_by_${what.replaceAll(' ', '_')}`
    const table = `${schema}.${place}`
    const client = await database.client()
    await client.query(`create schema ${schema};
      create table ${table} (id text primary key, checkpoint text not null, saved_at timestamptz not null);
      ${sql(table)}`)
    const pool = new pg.Pool({ connectionString: database.url, max: 1 })
    const told = await pool
      .query(`insert into ${table} values ('x', $1, now())`, [`other ${secret}`])
      .catch((error: unknown) => error)
    expect(shown(told)).toContain(secret)
    const wrapped = {
      query: (text: string, values?: unknown[]) =>
        pool.query(text, values).catch((cause: unknown) => {
          throw Object.assign(new Error(`failed: ${text} ${String(values)}`, { cause }), { dsn: secret })
        }),
    }
    const stores = [{ url: database.url }, { client: pool }].map((by) => new PostgresCheckpointStore({ ...by, schema }))
    for (const store of stores) {
      const failure = await failureOf(store)
      expect(failure.code).toBe(code)
      expect(failure.details.hint).toMatch(code === 'E_RIGHTS' ? /^Grant it SELECT/ : /^See its log/)
      expect(failure.cause).toMatchObject({ code: state })
    }
    await failureOf(new PostgresCheckpointStore({ client: wrapped, schema }))
    await pool.end()
  })

  it('says nothing of passwords', async () => {
    const url = new URL(database.url)
    url.password = secret
    url.username = 'nobody_of_this_name'
    expect((await failureOf(new PostgresCheckpointStore({ url: url.href }))).code).toBe('E_AUTH')
    const away = `postgresql://u:${secret}@127.0.0.1:1/d?sslpassword=${secret}`
    expect(await failureOf(new PostgresCheckpointStore({ url: away }))).toMatchObject({
      code: 'E_UNREACHABLE',
      message: expect.stringMatching(/^PostgreSQL, while connecting to 127\.0\.0\.1:1: .* \(for checkpoints\)$/),
      details: { hint: expect.stringContaining('host and port') },
    })
    for (const wrong of [
      `postgresql://u:${secret}@h:port/d`,
      `postgresql://u:%zz${secret}@h/d`,
      `http://u:${secret}@h`,
    ]) {
      const make = () => new PostgresCheckpointStore({ url: wrong })
      expect(make).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
      expect(make).not.toThrow(secret)
    }
  })
})

describe('SurrealCheckpointStore', () => {
  const refusal = `DEFINE TABLE ${place} SCHEMALESS;
    DEFINE FIELD checkpoint ON ${place} TYPE string ASSERT $value = 'nothing but ${secret}';`
  const target = { namespace: 'kit', database: 'errors' }

  it('says nothing of what a field says', async () => {
    const db = new Surreal({ engines: createNodeEngines() })
    await db.connect('mem://', target)
    await db.query(refusal)
    const told = await db.query(`CREATE ${place} SET checkpoint = 'x'`).catch((error: unknown) => error)
    expect(shown(told)).toContain(secret)
    expect((await failureOf(new SurrealCheckpointStore({ connect: async () => db }))).code).toBe('E_TARGET')
    await db.close()

    const root = { username: 'root', password: 'root' }
    const remote = new Surreal()
    await remote.connect(surreal.http, { authentication: root })
    await remote.query(`DEFINE NAMESPACE IF NOT EXISTS kit; USE NS kit; DEFINE DATABASE IF NOT EXISTS errors;`)
    await remote.use(target)
    await remote.query(refusal)
    await remote.close()
    const failure = await failureOf(new SurrealCheckpointStore({ url: surreal.ws, ...target, ...root }))
    expect(failure).toMatchObject({ code: 'E_TARGET', message: expect.stringMatching(/^Where checkpoints are kept: /) })
  })

  it('says nothing of passwords and tokens', async () => {
    const by = [{ username: 'root', password: secret }, { token: secret }]
    for (const credentials of by) {
      const store = new SurrealCheckpointStore({ url: surreal.ws, ...target, ...credentials })
      expect((await failureOf(store)).code).toBe('E_AUTH')
    }
    const away = { url: 'http://127.0.0.1:1', ...target, username: 'root', password: secret }
    expect((await failureOf(new SurrealCheckpointStore(away))).code).toBe('E_UNREACHABLE')
    const make = () => new SurrealCheckpointStore({ ...away, url: `wss://root:${secret}@h` })
    expect(make).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
    expect(make).not.toThrow(secret)
  })
})
