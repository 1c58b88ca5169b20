/** Refusals before a run begins: where it cannot work, and where it would be wrong to go on. */
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { FileCheckpointStore, type RunOptions } from '../../src/index.js'
import { createDatabase } from '../support/database.js'
import { createRole } from '../support/roles.js'
import type { Refusal } from './refusal.js'
import { type Made, type World, wrongPassword } from './world.js'

/** A run that is refused as it begins, of a target that has been copied to. */
function begins(made: Made | ((world: World) => Made), options: RunOptions = { phase: 'full' }) {
  const arrange = async (world: World) => {
    await world.copiedOnce()
    return () => world.engine(typeof made === 'function' ? made(world) : made).run(options)
  }
  return { shares: true, arrange }
}

/** The same, after a table came to the source that matters only where it is named. */
function after(sql: string, made: Made) {
  const arrange = async (world: World) => {
    await world.copiedOnce()
    await world.client.query(sql)
    return () => world.engine(made).run({ phase: 'full' })
  }
  return { shares: true, arrange }
}

function as(world: World, change: (url: URL) => void): Made {
  const url = new URL(world.url)
  change(url)
  return { source: { url: url.href } }
}

/** As a role that may do nothing but what is granted to it. */
function asRole(grants: (name: string) => string, attributes = '') {
  const arrange = async (world: World) => {
    await world.copiedOnce()
    const role = await createRole(world.database, attributes)
    world.later(async () => role[Symbol.asyncDispose]())
    await world.client.query(grants(role.name))
    return () => world.engine({ source: { url: `${role.url}?sslmode=disable` } }).run({ phase: 'full' })
  }
  return { shares: true, arrange }
}

/** Changes go on from the position in the target. */
const goesOn: RunOptions = { phase: 'incremental' }

export const atStart: readonly Refusal[] = [
  {
    code: 'E_CONFIG',
    what: 'a schema for the audit table that does not exist',
    says: /nowhere/,
    ...begins({ source: { auditSchema: 'nowhere' } }),
  },
  {
    code: 'E_UNREACHABLE',
    what: 'a source that nobody answers at',
    exitCode: 4,
    says: /host and port/,
    ...begins((world) => as(world, (url) => Object.assign(url, { port: '1' }))),
  },
  {
    code: 'E_UNREACHABLE',
    what: 'a target that nobody answers at',
    exitCode: 4,
    says: /Check the address/,
    ...begins({ target: { url: 'ws://127.0.0.1:1' } }),
  },
  {
    code: 'E_CONNECTION_LOST',
    what: 'a server that hangs up, because it is not PostgreSQL',
    exitCode: 4,
    says: /PostgreSQL that listens there/,
    ...begins((world) => as(world, (url) => Object.assign(url, { port: String(world.server.port) }))),
  },
  {
    code: 'E_BUSY',
    what: 'a role that has all the connections it may have',
    exitCode: 4,
    says: /too many connections/,
    ...asRole((name) => `grant select, trigger on t to ${name}`, 'connection limit 0'),
  },
  {
    code: 'E_AUTH',
    what: 'a wrong password of the source',
    says: /password/,
    ...begins({ source: { password: wrongPassword } }),
  },
  {
    code: 'E_AUTH',
    what: 'a wrong password of the target',
    says: /password/,
    ...begins({ target: { password: wrongPassword } }),
  },
  {
    code: 'E_PASSWORD',
    what: 'a function that does not get the password',
    exitCode: 4,
    ...begins({ source: { password: () => Promise.reject(new Error('The vault is sealed')) } }),
  },
  {
    code: 'E_TLS',
    what: 'a source without the TLS that was asked for',
    says: /sslmode/,
    ...begins((world) => as(world, (url) => url.searchParams.set('sslmode', 'verify-full'))),
  },
  {
    code: 'E_RIGHTS',
    what: 'a role that may not read the table',
    says: /grant/i,
    ...asRole((name) => `grant usage on schema public to ${name}`),
  },
  {
    code: 'E_UNKNOWN_DATABASE',
    what: 'a database that does not exist',
    says: /database name/,
    ...begins({ source: { database: 'no such database' } }),
  },
  {
    code: 'E_UNKNOWN_TABLE',
    what: 'a table that does not exist',
    says: /userz/,
    ...begins({ source: { tables: ['t', 'userz'] } }),
  },
  {
    code: 'E_TABLE_WITHOUT_KEY',
    what: 'a table without a key',
    says: /public\.log/,
    ...after('create table log (line text)', { source: { tables: ['t', 'log'] } }),
  },
  {
    code: 'E_UNSUPPORTED_TABLE',
    what: 'an unlogged table, which a crash empties',
    says: /public\.fast/,
    ...after('create unlogged table fast (id int primary key)', { source: { tables: ['t', 'fast'] } }),
  },
  {
    code: 'E_RLS_FILTERED',
    what: 'a table whose rows are hidden from the role',
    says: /BYPASSRLS/,
    ...asRole(
      (name) => `grant select, trigger on t to ${name}; grant create on schema public to ${name};
        alter table t enable row level security`,
    ),
  },
  {
    code: 'E_NAME_COLLISION',
    what: 'two tables that would become one',
    says: /public\.t/,
    ...after('create schema other; create table other.t (id int primary key)', {}),
    shares: false,
  },
  {
    code: 'E_TARGET_NOT_EMPTY',
    what: 'a target table with records of others',
    says: /existing/,
    arrange: async (world) => {
      await world.copied()
      await world.client.query('create table u (id int primary key)')
      await world.db.query(`CREATE u:7 SET name = 'somebody else'`)
      return () => world.engine({ engine: { id: 'another' } }).run({ phase: 'full' })
    },
  },
  {
    code: 'E_TARGET_PROTOCOL',
    what: 'a target that is a web server',
    says: /not a SurrealDB server/,
    shares: true,
    arrange: async (world) => {
      await world.copiedOnce()
      const server = createServer((_, response) => response.writeHead(404).end()).listen(0, '127.0.0.1')
      world.later(async () => server.close())
      await new Promise((resolve) => server.once('listening', resolve))
      const { port } = server.address() as AddressInfo
      return () => world.engine({ target: { url: `http://127.0.0.1:${port}` } }).run({ phase: 'full' })
    },
  },
  {
    code: 'E_SOURCE_IDENTITY',
    what: 'another database than the one that was copied',
    says: /full sync/,
    arrange: async (world) => {
      await world.copied()
      const other = await createDatabase()
      world.later(async () => other[Symbol.asyncDispose]())
      const client = await other.client()
      await client.query('create table t (id int primary key, v text, at timestamptz)')
      const url = `${other.url}?sslmode=disable`
      await world.engine({ source: { url }, target: { database: 'elsewhere' } }).run({ phase: 'full' })
      return () => world.engine({ source: { url } }).run(goesOn)
    },
  },
  {
    code: 'E_SOURCE_REWOUND',
    what: 'a source that lacks what was applied',
    says: /full sync/,
    arrange: async (world) => {
      await world.copied()
      await world.unguarded(
        `delete from surreal_sync_changes; select setval('surreal_sync_changes_sequence_id_seq', 1, false)`,
      )
      return () => world.engine().run(goesOn)
    },
  },
  {
    code: 'E_AUDIT_HOLE',
    what: 'changes that were removed before they were applied',
    says: /full sync/,
    arrange: async (world) => {
      await world.copied()
      await world.client.query(
        `insert into t values (11, 'x'); delete from surreal_sync_consumers; delete from surreal_sync_changes`,
      )
      return () => world.engine().run(goesOn)
    },
  },
  {
    code: 'E_AUDIT_HOLE',
    what: 'an audit table that was made anew',
    says: /full sync/,
    arrange: async (world) => {
      await world.copied()
      await world.client.query('drop table surreal_sync_changes, surreal_sync_meta, surreal_sync_consumers')
      return () => world.engine().run(goesOn)
    },
  },
  {
    code: 'E_TRIGGER_MISSING',
    what: 'changes that nobody captures',
    says: /full sync/,
    arrange: async (world) => {
      await world.engine({ engine: { checkpoints: undefined } }).run({ phase: 'full' })
      return () => world.engine().run({ phase: 'incremental', from: '0', replay: true })
    },
  },
  {
    code: 'E_CHECKPOINT_CORRUPT',
    what: 'a checkpoint in the target that makes no sense',
    says: /full sync/,
    arrange: async (world) => {
      await world.copied()
      await world.db.query('UPDATE surreal_sync_state SET checkpoint = { position: 7 }')
      return () => world.engine().run(goesOn)
    },
  },
  {
    code: 'E_CHECKPOINT_FOREIGN',
    what: 'a checkpoint file of another kind of source',
    says: /checkpoint_full_sync_start_2024/,
    shares: true,
    arrange: async (world) => {
      await world.copiedOnce()
      const folder = join(world.directory, 'checkpoints')
      await mkdir(folder, { mode: 0o700 })
      const content = `{"checkpoint":{"MySQL":{"sequence":1}},"phase":"full_sync_start","timestamp":"2024-01-01T00:00:00Z"}`
      await writeFile(join(folder, 'checkpoint_full_sync_start_2024-01-01T00-00-00Z.json'), content)
      return () => world.engine({ engine: { checkpoints: new FileCheckpointStore(folder) } }).run()
    },
  },
  {
    code: 'E_CHECKPOINT_MISMATCH',
    what: 'a position that is past what was applied',
    says: /would skip/,
    ...begins({}, { phase: 'incremental', from: '1000000' }),
  },
  {
    code: 'E_STATE_MISSING',
    what: 'changes for a target that nothing was copied to',
    says: /full sync/,
    ...begins({ engine: { id: 'another' } }, goesOn),
  },
  {
    code: 'E_STATE_MISSING',
    what: 'a target that was emptied, by what the files say',
    says: /full sync/,
    arrange: async (world) => {
      const checkpoints = new FileCheckpointStore(join(world.directory, 'checkpoints'))
      await world.copied({ engine: { checkpoints } })
      await world.db.query('REMOVE TABLE t; REMOVE TABLE surreal_sync_state')
      return () => world.engine({ engine: { checkpoints } }).run()
    },
  },
]
