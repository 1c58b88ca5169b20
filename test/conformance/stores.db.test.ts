/** The checkpoint stores that talk to databases keep the invariants, and do what they say besides. */
import { createNodeEngines } from '@surrealdb/node'
import pg from 'pg'
import { Surreal } from 'surrealdb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findSelected } from '../../src/connections/surreal/select-database.js'
import type { Checkpoint, Position } from '../../src/core/checkpoint.js'
import { PostgresCheckpointStore, PostgresTriggerSource, SurrealCheckpointStore, SyncEngine } from '../../src/index.js'
import { MemorySink, testCheckpointStore } from '../../src/testing/index.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

let database: TestDatabase
let surreal: SurrealServer
let count = 0
beforeAll(async () => {
  database = await createDatabase()
  surreal = await startSurreal()
})
afterAll(async () => {
  await surreal.stop()
  await database[Symbol.asyncDispose]()
})

const place = 'surreal_sync_checkpoints'
const root = { username: 'root', password: 'root' }
const position = 'postgresql:sequence:1' as Position
const checkpoint: Checkpoint = {
  kind: 'incremental',
  position,
  resumeAfter: position,
  described: { PostgreSQL: { sequence: 1 } },
  timestamp: '2024-01-31T12:00:00.000Z',
}

/** Half of the text is gone. */
const tearSql = (schema: string) =>
  `update ${schema}.${place} set checkpoint = left(checkpoint, length(checkpoint) / 2) where id = $1`

testCheckpointStore(
  { describe, it },
  {
    name: 'PostgresCheckpointStore with a url',
    create: async () => {
      count += 1
      const schema = `kit${count}`
      const client = await database.client()
      return {
        store: () => new PostgresCheckpointStore({ url: database.url, schema }),
        tear: async (id) => void (await client.query(tearSql(schema), [id])),
        close: () => client.end(),
      }
    },
  },
)

testCheckpointStore(
  { describe, it },
  {
    name: 'PostgresCheckpointStore with a pool',
    create: async () => {
      count += 1
      const schema = `kit${count}`
      const pool = new pg.Pool({ connectionString: database.url, max: 3 })
      return {
        store: () => new PostgresCheckpointStore({ client: pool, schema }),
        tear: async (id) => void (await pool.query(tearSql(schema), [id])),
        close: () => pool.end(),
      }
    },
  },
)

testCheckpointStore(
  { describe, it },
  {
    name: 'SurrealCheckpointStore with a url',
    create: async () => {
      count += 1
      const target = { namespace: 'kit', database: `kit${count}` }
      const store = () => new SurrealCheckpointStore({ url: surreal.ws, ...target, ...root })
      return {
        store,
        async tear(id) {
          const db = new Surreal()
          await db.connect(surreal.http, { ...target, authentication: root })
          await tear(db, id)
          await db.close()
        },
      }
    },
  },
)

testCheckpointStore(
  { describe, it },
  {
    name: 'SurrealCheckpointStore with a connection of the caller',
    create: async () => {
      const db = new Surreal({ engines: createNodeEngines() })
      await db.connect('mem://', { namespace: 'kit', database: 'kit' })
      return {
        store: () => new SurrealCheckpointStore({ connect: async () => db }),
        tear: (id) => tear(db, id),
        async close() {
          await db.close()
        },
      }
    },
  },
)

async function tear(db: Surreal, id: string): Promise<void> {
  await db.query('UPDATE type::record($place, $id) SET checkpoint = string::slice(checkpoint, 0, 100)', { place, id })
}

describe('PostgresCheckpointStore', () => {
  it('is beside the replicated tables, and never replicated', async () => {
    await using own = await createDatabase()
    const client = await own.client()
    await client.query('create table users (id integer primary key); insert into users values (1), (2)')
    const sink = new MemorySink()
    const warnings: string[] = []
    const run = () => {
      const engine = new SyncEngine({
        source: new PostgresTriggerSource({ url: `${own.url}?sslmode=disable`, schemas: ['*'] }),
        sink,
        checkpoints: new PostgresCheckpointStore({ url: own.url }),
      })
      engine.on('warning', ({ code, message }) => warnings.push(`${code}: ${message}`))
      return engine.run()
    }
    const { tables } = await run()
    await client.query('insert into users values (3)')
    await run()
    expect([...tables.keys()]).toEqual(['public.users'])
    expect(sink.rows('public.users')).toHaveLength(3)
    const plain = expect.stringMatching(/^plaintext: Where checkpoints are kept: .* offers no TLS/)
    expect(warnings).toEqual([plain, plain])
    const { rows } = await client.query(
      `select id, checkpoint::jsonb #>> '{checkpoint,PostgreSQL,sequence}' as sequence from surreal_sync.${place}`,
    )
    expect(rows).toEqual([{ id: 'default', sequence: '1' }])
  })

  it('saves durably where the role would not, and leaves the setting as it is', async () => {
    const client = await database.client()
    await client.query('set synchronous_commit = off')
    const seen: string[] = []
    const store = new PostgresCheckpointStore({
      schema: 'durable',
      client: {
        async query(text, values) {
          seen.push(text)
          return client.query(text, values)
        },
      },
    })
    await store.save('kit', checkpoint)
    expect(seen.at(-1)).toMatch(/set_config\('synchronous_commit'/)
    const { rows } = await client.query('show synchronous_commit')
    expect(rows).toEqual([{ synchronous_commit: 'off' }])
  })

  it('finds a missing right before anything is written, and says what to run', async () => {
    const client = await database.client()
    await client.query(`drop role if exists store_reader; create role store_reader login password 'x'`)
    const url = new URL(database.url)
    url.username = 'store_reader'
    url.password = 'x'
    const store = new PostgresCheckpointStore({ url: url.href, schema: 'forbidden' })
    try {
      expect(await store.load('kit')).toBeUndefined()
      await expect(store.probe()).rejects.toMatchObject({
        code: 'E_RIGHTS',
        details: { hint: expect.stringContaining('create schema if not exists "forbidden"') },
      })
      await expect(store.save('kit', checkpoint)).rejects.toMatchObject({ code: 'E_RIGHTS' })
      await client.query('create schema forbidden; grant usage, create on schema forbidden to store_reader')
      await store.probe()
      await store.save('kit', checkpoint)
      expect(await store.load('kit')).toEqual(checkpoint)
    } finally {
      await store.close()
      await client.query('drop owned by store_reader; drop role store_reader')
    }
  })

  it('goes on after its connection was cut', async () => {
    const client = await database.client()
    const store = new PostgresCheckpointStore({ url: database.url, schema: 'cut' })
    await store.save('kit', checkpoint)
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'surreal-sync' and datname = current_database()`,
    )
    await expect.poll(() => store.load('kit').catch(() => undefined)).toEqual(checkpoint)
    await store.close()
  })

  it('names what is wrong with an address', async () => {
    const unreachable = new PostgresCheckpointStore({ url: 'postgresql://postgres@127.0.0.1:1/postgres' })
    await expect(unreachable.load('kit')).rejects.toMatchObject({ code: 'E_UNREACHABLE', retryable: true })
    const unknown = new URL(database.url)
    unknown.pathname = '/no_such_database'
    await expect(new PostgresCheckpointStore({ url: unknown.href }).load('kit')).rejects.toMatchObject({
      code: 'E_UNKNOWN_DATABASE',
    })
    expect(() => new PostgresCheckpointStore({ url: 'mysql://x' })).toThrow('postgresql://')
  })
})

describe('SurrealCheckpointStore', () => {
  it('makes nothing when it only loads', async () => {
    const store = new SurrealCheckpointStore({ url: surreal.http, namespace: 'absent', database: 'absent', ...root })
    expect(await store.load('kit')).toBeUndefined()
    await store.probe('kit')
    await store.close()
    const db = new Surreal()
    await db.connect(surreal.http, { authentication: root })
    const [info] = await db.query<[{ namespaces: object }]>('INFO FOR ROOT')
    expect(Object.keys(info.namespaces)).not.toContain('absent')
    await db.close()
  })

  it('names what is wrong with an address or a password', async () => {
    const target = { namespace: 'kit', database: 'kit' }
    const unreachable = new SurrealCheckpointStore({ url: 'http://127.0.0.1:1', ...target })
    await expect(unreachable.load('kit')).rejects.toMatchObject({ code: 'E_UNREACHABLE' })
    const refused = new SurrealCheckpointStore({ url: surreal.http, ...target, username: 'root', password: 'wrong' })
    await expect(refused.load('kit')).rejects.toMatchObject({ code: 'E_AUTH' })
    const odd = () => new SurrealCheckpointStore({ url: 'ftp://127.0.0.1', ...target })
    expect(odd).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
  })

  it('does not take it for a database without checkpoints that nothing was answered', async () => {
    const target = { namespace: 'kit', database: 'silent', ...root }
    const store = () => new SurrealCheckpointStore({ url: surreal.http, ...target })
    await store().save('kit', checkpoint)
    const late = (matching: string) => surreal.fault({ when: 'before', action: 'timeout', matching })
    // There are two ways to ask.
    await late('session::')
    expect(await store().load('kit')).toEqual(checkpoint)
    await late('session::')
    await late('$session')
    const asked = store()
    await expect(asked.load('kit')).rejects.toMatchObject({ code: 'E_BUSY' })
    expect(await asked.load('kit')).toEqual(checkpoint)
  })

  it.each(['session', 'everything'])('finds its database where functions are denied: %s', async (what) => {
    const functions = what === 'session' ? { deny: [what] } : false
    const db = new Surreal({ engines: createNodeEngines({ capabilities: { functions } }) })
    await db.connect('mem://')
    expect(await findSelected(db)).toEqual({})
    await db.use({ namespace: 'kit' })
    expect(await findSelected(db)).toEqual({ namespace: 'kit' })
    await db.use({ namespace: 'kit', database: 'denied' })
    expect(await findSelected(db)).toEqual({ namespace: 'kit', database: 'denied' })
    await db.close()
  })

  it('asks for another token when the one that let it in is worth nothing any more', async () => {
    const place = { namespace: 'kit', database: 'tokens' }
    const db = new Surreal()
    await db.connect(surreal.http, { authentication: root })
    await db.query('DEFINE NAMESPACE IF NOT EXISTS kit')
    await db.use({ namespace: 'kit' })
    await db.query('DEFINE DATABASE IF NOT EXISTS tokens')
    await db.use(place)
    // Tokens of a user end with its definition.
    const define = () => db.query(`DEFINE USER OVERWRITE keeper ON DATABASE PASSWORD 'x' ROLES OWNER`)
    const signIn = async () => {
      const own = new Surreal()
      await own.connect(surreal.http)
      const { access } = await own.signin({ ...place, username: 'keeper', password: 'x' })
      await own.close()
      return access
    }
    await define()
    let token = await signIn()
    let asked = 0
    const store = new SurrealCheckpointStore({
      ...place,
      url: surreal.http,
      token: async () => {
        asked += 1
        return token
      },
    })
    await store.save('kit', checkpoint)
    expect(asked).toBe(1)
    await define()
    token = await signIn()
    expect(await store.load('kit')).toEqual(checkpoint)
    expect(asked).toBe(2)
    await define()
    await expect(store.load('kit')).rejects.toMatchObject({ code: 'E_AUTH' })
    expect(asked).toBe(3)
    await store.close()
    await db.close()
  })
})
