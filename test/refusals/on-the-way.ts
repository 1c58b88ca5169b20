/** Refusals of a run that has begun: what was applied before stays, what is refused leaves no trace. */
import { vi } from 'vitest'
import { type Row, SurrealSink, SyncError } from '../../src/index.js'
import { faulty, MemorySink, Reject } from '../../src/testing/index.js'
import type { Refusal } from './refusal.js'
import { spoilCopies } from './spoilt-copy.js'
import { canary, type Made, type World } from './world.js'

const insertion = (id: number, v = canary, at = '2024-01-01Z') => `insert into t values (${id}, '${v}', '${at}')`

/** Changes that come after the copy and are applied by the next run. */
function changes(sql: string, made: Made | ((world: World) => Made) = {}) {
  return async (world: World) => {
    const makes = () => (typeof made === 'function' ? made(world) : made)
    await world.copied(makes())
    await world.client.query(sql)
    return () => world.engine(makes()).run({ phase: 'incremental' })
  }
}

/** The same, where the target has been prepared for them. */
function unwelcome(definition: string, sql: string) {
  return async (world: World) => {
    await world.copied()
    await world.db.query(definition)
    await world.client.query(sql)
    return () => world.engine().run({ phase: 'incremental' })
  }
}

/** Something happens while the run waits for changes. */
function meanwhile(made: Made, happens: (world: World) => Promise<unknown>) {
  return async (world: World) => {
    await world.copied(made)
    const { ended } = await world.following(made)
    return async () => {
      await happens(world)
      await ended
    }
  }
}

export const onTheWay: readonly Refusal[] = [
  {
    code: 'E_LOCK_TIMEOUT',
    endsAs: 'E_RETRY_EXHAUSTED',
    what: 'a table that somebody keeps locked',
    exitCode: 4,
    says: /another transaction/i,
    arrange: async (world) => {
      await world.copied()
      const other = await world.database.client()
      await other.query('begin; lock table t in access exclusive mode')
      const source = { lockTimeoutMs: 20, snapshot: 'consistent' } as const
      return () => world.engine({ source, engine: { checkpoints: undefined, id: 'default' } }).run({ phase: 'full' })
    },
  },
  {
    code: 'E_AUDIT_DETACHED',
    what: 'an audit table past its limit, which was removed',
    touches: 'fence',
    says: /full sync/,
    arrange: async (world) => {
      // Somebody who does not come back still needs what is logged.
      const other = new MemorySink()
      await world.engine({ engine: { id: 'other', sink: other, checkpoints: other } }).run({ phase: 'full' })
      await world.copied()
      const source = { auditBytesMax: 1, auditLimitPolicy: 'detach' } as const
      return () => world.engine({ source }).run({ phase: 'incremental', follow: true })
    },
  },
  {
    code: 'E_SCHEMA_CHANGED',
    what: 'a hidden column that got another name',
    touches: 'fence',
    says: /shape/,
    arrange: meanwhile({ source: { shaping: { t: { excludeColumns: ['v'] } } } }, ({ client }) =>
      client.query(`alter table t rename column v to w; ${insertion(11)}`),
    ),
  },
  {
    code: 'E_TABLE_GONE',
    what: 'a table that was dropped while others were copied',
    touches: 'state',
    says: /full sync again/,
    arrange: async (world) => {
      const tables = Array.from({ length: 8 }, (_, index) => `u${index}`)
      await world.client.query(tables.map((name) => `create table ${name} as table t`).join(';'))
      await world.client.query(tables.map((name) => `alter table ${name} add primary key (id)`).join(';'))
      await world.copied()
      let dropped = false
      const transforms = [
        async (rows: readonly Row[]) => {
          if (!dropped) await world.client.query('drop table u7')
          dropped = true
          return rows
        },
      ]
      return () => world.engine({ engine: { transforms, concurrency: 1, inFlight: 1 } }).run({ phase: 'full' })
    },
  },
  {
    code: 'E_LEASE_HELD',
    what: 'a pipeline that runs already',
    exitCode: 5,
    says: /--?id|other run/,
    arrange: async (world) => {
      await world.copied()
      await world.following()
      return () => world.engine().run({ phase: 'incremental' })
    },
  },
  {
    code: 'E_LEASE_LOST',
    what: 'a pipeline that another run took over',
    exitCode: 5,
    says: /other/,
    arrange: async (world) => {
      await world.copied()
      const { ended } = await world.following()
      await world.engine().run({ phase: 'incremental', takeover: true })
      return () => ended
    },
  },
  {
    code: 'E_WRITE_NOT_APPLIED',
    what: 'a user whose rights were taken away meanwhile',
    touches: 'fence',
    says: /EDITOR/,
    arrange: async (world) => {
      await world.db.query(`DEFINE USER writer ON DATABASE PASSWORD 'w' ROLES EDITOR`)
      const writer = { target: { username: 'writer', password: 'w' } }
      await world.copied(writer)
      const { ended } = await world.following(writer)
      await world.db.query(`DEFINE USER OVERWRITE writer ON DATABASE PASSWORD 'w' ROLES VIEWER`)
      await world.cut()
      return async () => {
        await world.client.query(insertion(11))
        await ended
      }
    },
  },
  {
    code: 'E_POISON_ROW',
    what: 'a row that an assertion of the target forbids',
    touches: 'fence',
    says: /public\.t/,
    arrange: unwelcome(
      'DEFINE FIELD v ON t ASSERT string::len($value) < 12',
      `${insertion(11)}; ${insertion(12, 'x'.repeat(20))}`,
    ),
  },
  {
    code: 'E_ROW_TOO_LARGE',
    what: 'a row that is larger than allowed',
    touches: 'fence',
    says: /public.t.*Leave the table out/s,
    arrange: changes(insertion(11, canary.repeat(200)), { sink: { maxRowBytes: 1_000 } }),
  },
  {
    code: 'E_VALUE',
    what: 'a value that has no form, where that is an error',
    touches: 'fence',
    says: /column/i,
    arrange: changes(insertion(11, canary, 'infinity'), { sink: { infinity: 'error' } }),
  },
  {
    code: 'E_SOURCE',
    what: 'a filter that fails for a row',
    touches: 'fence',
    says: /22012/,
    arrange: changes(insertion(11), { source: { shaping: { t: { where: '1 / (id - 11) is not null' } } } }),
  },
  {
    code: 'E_SOURCE_PROTOCOL',
    what: 'rows that were spoilt on their way',
    touches: 'fence',
    arrange: async (world) => {
      await world.copied()
      await world.client.query(insertion(11))
      const url = new URL(world.url)
      const relay = await spoilCopies(Number(url.port))
      world.later(async () => relay[Symbol.asyncDispose]())
      url.port = String(relay.port)
      return () => world.engine({ source: { url: url.href } }).run({ phase: 'incremental' })
    },
  },
  {
    code: 'E_TARGET',
    what: 'a target table that was made one of edges',
    touches: 'fence',
    arrange: unwelcome('DEFINE TABLE OVERWRITE t TYPE RELATION', insertion(11)),
  },
  {
    code: 'E_RETRY_EXHAUSTED',
    what: 'a connection that is lost each time',
    exitCode: 4,
    touches: 'fence',
    arrange: async (world) => {
      await world.copied()
      await world.client.query(insertion(11))
      const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost')
      const sink = new SurrealSink({ url: world.server.ws, username: 'root', password: 'root', ...world.place })
      const flaky = faulty(sink, (operation) => (operation === 'commit' ? new Reject(lost) : undefined))
      return () => world.engine({ engine: { sink: flaky, checkpoints: flaky } }).run({ phase: 'incremental' })
    },
  },
  {
    code: 'E_MISSING_PACKAGE',
    what: 'an embedded target without the package that it needs',
    says: /npm/,
    arrange: async (world) => {
      await world.copied()
      vi.doMock('@surrealdb/node', () => {
        throw new Error('not installed')
      })
      world.later(async () => vi.doUnmock('@surrealdb/node'))
      return () => world.engine({ target: { url: 'mem://' } }).run({ phase: 'full' })
    },
  },
]
