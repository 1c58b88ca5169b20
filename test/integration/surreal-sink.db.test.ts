/** The sink against every kind of target: in memory, a file, a server by WebSocket and by HTTP. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeEngines } from '@surrealdb/node'
import { createRemoteEngines, type DriverOptions, RecordId, Surreal, Table as SurrealTable } from 'surrealdb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { RawCborCodec } from '../../src/connections/surreal/raw-cbor.js'
import { deletes, type Key, truncate, upserts } from '../../src/core/batch.js'
import type { Checkpoint, Position } from '../../src/core/checkpoint.js'
import type { SyncWarning } from '../../src/core/events.js'
import type { Table } from '../../src/core/schema.js'
import type { LogicalType } from '../../src/core/value.js'
import { SurrealSink, type SurrealSinkOptions, type SurrealSinkSettings } from '../../src/sinks/surreal/surreal-sink.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const database = { namespace: 'test', database: 'test' }
const root = { username: 'root', password: 'root' }

function table(name: string, columns: { readonly [name: string]: LogicalType['kind'] }, key: readonly string[]): Table {
  const all = Object.entries(columns).map(([column, kind]) => {
    // Only simple kinds are used here.
    const type = { kind } as LogicalType
    return { name: column, type, sourceType: kind, nullable: !key.includes(column) }
  })
  return {
    schema: 'public',
    name,
    label: `public.${name}`,
    columns: all,
    key: key.flatMap((wanted) => all.filter((column) => column.name === wanted)),
  }
}

const users = table('users', { id: 'integer', name: 'text' }, ['id'])

interface Target {
  /** Another instance of the sink over the same database. */
  readonly sink: (settings?: SurrealSinkSettings) => Promise<SurrealSink>
  readonly db: Surreal
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

let server: SurrealServer
let count = 0
beforeAll(async () => {
  server = await startSurreal()
})
afterAll(async () => {
  await server.stop()
})

async function embedded(
  url: string,
  settings: Parameters<typeof createNodeEngines>[0] = {},
  codecs?: DriverOptions['codecs'],
): Promise<Target> {
  const db = new Surreal({ engines: createNodeEngines(settings), codecs })
  await db.connect(url, database)
  return {
    db,
    sink: (settings) => SurrealSink.connect({ connect: async () => db, disconnect: async () => {}, ...settings }),
    [Symbol.asyncDispose]: async () => {
      await db.close()
    },
  }
}

async function remote(url: string): Promise<Target> {
  count += 1
  const place = { namespace: 'test', database: `d${count}` }
  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await db.connect(server.ws, { ...place, authentication: root, reconnect: false })
  return {
    db,
    sink: (settings) => SurrealSink.connect({ url, ...place, ...root, ...settings }),
    [Symbol.asyncDispose]: async () => {
      await db.close()
    },
  }
}

const noFunctions = { capabilities: { functions: { deny: ['encoding'] } } }

const targets: { readonly [name: string]: () => Promise<Target> } = {
  'mem://': () => embedded('mem://'),
  'mem:// without encoding functions': () => embedded('mem://', noFunctions),
  'mem:// with a codec of ours': () =>
    embedded('mem://', noFunctions, { cbor: (options) => new RawCborCodec(options) }),
  'surrealkv://': async () => {
    const folder = await mkdtemp(join(tmpdir(), 'surreal-sink-'))
    const target = await embedded(`surrealkv://${folder}`)
    return {
      ...target,
      [Symbol.asyncDispose]: async () => {
        await target[Symbol.asyncDispose]()
        await rm(folder, { recursive: true, force: true, maxRetries: 10 })
      },
    }
  },
  'ws://': () => remote(server.ws),
  'http://': () => remote(server.http),
}

describe.each(Object.keys(targets))('a SurrealDB sink over %s', (kind) => {
  let target: Target
  let warnings: SyncWarning[]
  const sinks: SurrealSink[] = []

  beforeEach(async () => {
    const make = targets[kind]
    if (make === undefined) throw new Error(kind)
    target = await make()
    warnings = []
  })
  afterEach(async () => {
    for (const sink of sinks.splice(0)) await sink.close()
    await target[Symbol.asyncDispose]()
  })

  async function opened(settings: SurrealSinkSettings = {}, syncId = 'p1'): Promise<SurrealSink> {
    const sink = await target.sink(settings)
    sinks.push(sink)
    await sink.open({
      syncId,
      warn: (warning) => {
        if (warning.code !== 'numbers_change_kind') warnings.push(warning)
      },
    })
    return sink
  }

  async function prepared(tables: readonly Table[], settings: SurrealSinkSettings = {}): Promise<SurrealSink> {
    const sink = await opened(settings)
    await sink.prepare(tables, { phase: 'full' })
    return sink
  }

  async function stored(name = 'users'): Promise<unknown[]> {
    const [rows] = await target.db.query<[unknown[]]>('SELECT * FROM $t ORDER BY id', { t: new SurrealTable(name) })
    return rows
  }

  const ada = { id: new RecordId('users', 1), name: 'Ada' }

  it('writes, overwrites and deletes rows', async () => {
    const sink = await prepared([users])
    await sink.write(
      upserts(users, [
        { id: 1, name: 'Ad' },
        { id: 2, name: null },
      ]),
      {},
    )
    await sink.write(
      upserts(users, [
        { id: 1, name: 'Ada' },
        { id: 3, name: 'Cy' },
      ]),
      {},
    )
    await sink.write(deletes(users, [{ id: 3 }, { id: 4 }]), {})
    expect(await stored()).toEqual([ada, { id: new RecordId('users', 2), name: null }])
  })

  it('I4: writes the same batch again without effect', async () => {
    const sink = await prepared([users])
    const batch = upserts(users, [{ id: 1, name: 'Ada' }])
    for (let time = 0; time < 3; time += 1) await sink.write(batch, {})
    const deletion = deletes(users, [{ id: 2 }])
    for (let time = 0; time < 2; time += 1) await sink.write(deletion, {})
    expect(await stored()).toEqual([ada])
  })

  it('I4: marks what is gone where it is to stay, once, and not what was never there', async () => {
    const soft = { ...users, shape: { deletes: { soft: 'gone at' } } } as const
    const codes = { ...table('codes', { code: 'text', n: 'float' }, ['code', 'n']), shape: soft.shape }
    const sink = await prepared([soft, codes])
    const all = upserts(
      soft,
      [1, 2, 3].map((id) => ({ id, name: 'Ada' })),
    )
    await sink.write(all, {})
    await sink.write(upserts(codes, [{ code: 'a', n: 0.5 }]), {})
    await sink.write(deletes(soft, [{ id: 2 }, { id: 9 }]), {})
    await sink.write(deletes(codes, [{ code: 'a', n: 0.5 }]), {})
    const marks = async (name: string) => {
      const [rows] = await target.db.query<[[unknown, string][]]>('SELECT VALUE [id.id(), <string>`gone at`] FROM $t', {
        t: new SurrealTable(name),
      })
      return rows
    }
    const first = await marks('users')
    expect(first).toEqual([
      [1, 'NONE'],
      [2, expect.stringMatching(/^\d{4}-/)],
      [3, 'NONE'],
    ])
    expect(await marks('codes')).toEqual([[['a', '0.5'], expect.stringMatching(/^\d{4}-/)]])
    await sink.write(deletes(soft, [{ id: 2 }]), {})
    await sink.write({ op: 'replace', table: soft, absent: async (keys) => keys.map(([id]) => id === 2) }, {})
    expect(await marks('users')).toEqual(first)
    await sink.write(truncate(soft), {})
    expect((await marks('users')).filter(([, text]) => text === 'NONE')).toEqual([])
    await sink.write(all, {})
    expect((await marks('users')).filter(([, text]) => text !== 'NONE')).toEqual([])
  })

  it('I10: commits a delta with its checkpoint, which later writes leave alone', async () => {
    const sink = await prepared([users], { batchSize: 3 })
    const position = 'memory:1' as Position
    const described = { PostgreSQL: { sequence: 2 ** 40, gaps: [[1, 2]], system_identifier: null } }
    const timestamp = '2026-01-01T00:00:00.000Z'
    const checkpoint: Checkpoint = { kind: 'incremental', position, resumeAfter: position, described, timestamp }
    for (const name of ['Ad', 'Ada']) {
      const batches = async function* () {
        yield upserts(
          users,
          [1, 2, 3, 4].map((id) => ({ id, name })),
        )
        yield deletes(users, [{ id: 5 }, { id: 6 }])
      }
      await sink.commit({ batches: batches(), position, drained: true }, () => checkpoint, {})
    }
    await sink.write(deletes(users, [{ id: 2 }, { id: 3 }, { id: 4 }]), {})
    expect(await sink.load('p1')).toEqual(checkpoint)
    expect(await (await opened()).load('p1')).toEqual(checkpoint)
    expect(await stored()).toEqual([ada])
  })

  it('lets the last row of a key win', async () => {
    const sink = await prepared([users])
    const rows = [
      { id: 1, name: 'a' },
      { id: 1, name: 'Ada' },
    ]
    await sink.write(upserts(users, rows), {})
    expect(await stored()).toEqual([ada])
  })

  it('replaces a record as a whole', async () => {
    const sink = await prepared([users], { nulls: 'none' })
    await sink.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    await target.db.query('UPDATE users SET extra = 1')
    await sink.write(upserts(users, [{ id: 1, name: null }]), {})
    expect(await stored()).toEqual([{ id: new RecordId('users', 1) }])
  })

  it('truncates more records than fit into a page', async () => {
    const sink = await prepared([users])
    await sink.write(upserts(users, rowsOf(2_500)), {})
    await sink.write(truncate(users), {})
    expect(await stored()).toEqual([])
    await sink.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    expect(await stored()).toEqual([ada])
  })

  it('sweeps what the source does not have, and ids that cannot be its keys', async () => {
    const sink = await prepared([users])
    await sink.write(upserts(users, rowsOf(2_100)), {})
    await target.db.query("CREATE users:text; CREATE users:[1]; CREATE users:[1.5]; CREATE users:['x', 3]")
    const asked: number[] = []
    const absent = async (keys: readonly Key[]) => {
      asked.push(keys.length)
      return keys.map(([id]) => Number(id) % 7 !== 0)
    }
    await sink.write({ op: 'replace', table: users, absent }, {})
    const ids = await target.db.query<[RecordId[]]>('SELECT VALUE id FROM users')
    expect(ids[0].map(({ id }) => id)).toEqual(Array.from({ length: 300 }, (_, index) => index * 7))
    expect(Math.max(...asked)).toBeLessThanOrEqual(1_000)
    expect(asked.reduce((sum, length) => sum + length)).toBe(2_100)
  })

  it('keys records by composite keys in key order', async () => {
    const orders = table('orders', { note: 'text', line: 'integer', id: 'text' }, ['id', 'line'])
    const sink = await prepared([orders])
    await sink.write(
      upserts(orders, [
        { note: 'n', line: 2, id: 'a' },
        { note: 'm', line: 1, id: 'a' },
      ]),
      {},
    )
    await sink.write(deletes(orders, [{ line: 1, id: 'a' }]), {})
    expect(await stored('orders')).toEqual([{ id: new RecordId('orders', ['a', 2]), note: 'n', line: 2, id_: 'a' }])
    const asked: Key[] = []
    const absent = async (keys: readonly Key[]) => {
      asked.push(...keys)
      return keys.map(() => false)
    }
    await sink.write({ op: 'replace', table: orders, absent }, {})
    expect(asked).toEqual([['a', 2]])
  })

  it('renames a column id that is not the key, and says so', async () => {
    const things = table('things', { code: 'text', id: 'integer', id_: 'integer' }, ['code'])
    const sink = await prepared([things])
    await sink.write(upserts(things, [{ code: 'a', id: 1, id_: 2 }]), {})
    expect(await stored('things')).toEqual([{ id: new RecordId('things', 'a'), code: 'a', id__: 1, id_: 2 }])
    expect(warnings).toMatchObject([{ code: 'column_renamed', table: 'public.things', column: 'id' }])
  })

  it('splits what is too large for one transaction', async () => {
    const sink = await prepared([users])
    await sink.write(upserts(users, rowsOf(5_000)), {})
    expect(await stored()).toHaveLength(5_000)
    const large = Array.from({ length: 5 }, (_, id) => ({ id, name: String(id).repeat(3_000_000) }))
    await sink.write(upserts(users, large), {})
    const [lengths] = await target.db.query('SELECT VALUE string::len(name) FROM users WHERE id < users:5')
    expect(lengths).toEqual(Array(5).fill(3_000_000))
  })

  it('refuses a row that is too large, and names the table', async () => {
    const sink = await prepared([users], { maxRowBytes: 1_000 })
    await expect(sink.write(upserts(users, [{ id: 1, name: 'x'.repeat(1_000) }]), {})).rejects.toMatchObject({
      code: 'E_ROW_TOO_LARGE',
      message: expect.stringMatching(
        /^A row of public\.users takes \d+ bytes, more than 1000: column name alone takes 1003$/,
      ),
      details: { table: 'public.users', column: 'name' },
    })
  })

  it('writes in several lanes at once', async () => {
    const sink = await prepared([users], { writers: 3 })
    const rows = rowsOf(3_000)
    const batches = Array.from({ length: 30 }, (_, index) => upserts(users, rows.slice(index * 100, index * 100 + 100)))
    await Promise.all(batches.map((batch) => sink.write(batch, {})))
    await Promise.all(batches.map((batch) => sink.write(batch, {})))
    expect(await stored()).toHaveLength(3_000)
  })

  it('refuses a target that it did not write, and leaves it alone', async () => {
    await target.db.query('CREATE users:9 SET name = "other"')
    const before = await target.db.query('INFO FOR DB')
    const sink = await opened()
    await expect(sink.prepare([users], { phase: 'full' })).rejects.toMatchObject({
      code: 'E_TARGET_NOT_EMPTY',
      details: { table: 'public.users' },
    })
    expect(await stored()).toHaveLength(1)
    expect(await target.db.query('INFO FOR DB')).toEqual(before)
  })

  it('goes on with what it owns, and another pipeline does not', async () => {
    const first = await prepared([users])
    await first.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    await first.close()
    const second = await prepared([users])
    await second.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    await second.prepare([users], { phase: 'incremental' })
    await second.write(deletes(users, [{ id: 1 }]), {})
    await second.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    expect(await stored()).toEqual([ada])
    const other = await opened({}, 'p2')
    await expect(other.prepare([users], { phase: 'full' })).rejects.toMatchObject({ code: 'E_TARGET_NOT_EMPTY' })
  })

  it('existing: replace deletes what the source does not have', async () => {
    await target.db.query('CREATE users:9 SET name = "other"')
    const sink = await prepared([users], { existing: 'replace' })
    await sink.write({ op: 'replace', table: users, absent: async (keys) => keys.map(() => true) }, {})
    await sink.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    expect(await stored()).toEqual([ada])
  })

  it('existing: keep deletes nothing, not even later', async () => {
    await target.db.query('CREATE users:9 SET name = "other"')
    const sink = await prepared([users], { existing: 'keep' })
    const replace = {
      op: 'replace',
      table: users,
      absent: async (keys: readonly Key[]) => keys.map(() => true),
    } as const
    await sink.write(replace, {})
    await sink.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    expect(await stored()).toEqual([ada, { id: new RecordId('users', 9), name: 'other' }])
    await sink.prepare([users], { phase: 'incremental' })
    await sink.write(replace, {})
    await sink.write(truncate(users), {})
    expect(await stored()).toHaveLength(2)
    expect(new Set(warnings.map(({ code }) => code))).toEqual(new Set(['sweep_skipped']))
    const strict = await opened()
    await expect(strict.prepare([users], { phase: 'full' })).rejects.toMatchObject({ code: 'E_TARGET_NOT_EMPTY' })
  })

  it('writes nothing where others have records until it is decided what becomes of them', async () => {
    const pipeline = await prepared([users])
    await pipeline.close()
    await target.db.query('CREATE other:9')
    const other = table('other', { id: 'integer' }, ['id'])
    const sink = await opened()
    await sink.prepare([users, other], { phase: 'incremental' })
    await sink.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    for (const batch of [upserts(other, [{ id: 1 }]), deletes(other, [{ id: 9 }]), truncate(other)]) {
      await expect(sink.write(batch, {})).rejects.toMatchObject({
        code: 'E_TARGET_NOT_EMPTY',
        details: { table: 'public.other' },
      })
    }
    expect(await stored('other')).toHaveLength(1)
    await target.db.query('DELETE other')
    await sink.prepare([other], { phase: 'full', beside: [users] })
    await sink.write(upserts(other, [{ id: 1 }]), {})
    await sink.write(upserts(users, [{ id: 2, name: 'Bob' }]), {})
    expect(await stored('other')).toHaveLength(1)
    expect(await stored()).toHaveLength(2)
  })

  it('refuses two tables of one name, and its own state table', async () => {
    const sink = await opened()
    const other: Table = { ...users, schema: 'shop', label: 'shop.users' }
    await expect(sink.prepare([users, other], { phase: 'full' })).rejects.toMatchObject({ code: 'E_NAME_COLLISION' })
    const state = table('surreal_sync_state', { id: 'integer' }, ['id'])
    await expect(sink.prepare([state], { phase: 'full' })).rejects.toMatchObject({ code: 'E_NAME_COLLISION' })
    const named = await prepared([users, other], { tableName: ({ schema, name }) => `${schema}_${name}` })
    await named.write(upserts(other, [{ id: 1, name: 'x' }]), {})
    expect(await stored('shop_users')).toHaveLength(1)
    expect(await stored('public_users')).toHaveLength(0)
  })

  it('tells a later run from an earlier one, which can write no more', async () => {
    const old = await prepared([users])
    await old.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})
    await prepared([users])
    await expect(old.write(upserts(users, [{ id: 2, name: 'late' }]), {})).rejects.toMatchObject({
      code: 'E_LEASE_LOST',
    })
    expect(await stored()).toEqual([ada])
  })

  it('stops when its state is gone', async () => {
    const sink = await prepared([users])
    await target.db.query('REMOVE TABLE surreal_sync_state')
    await expect(sink.write(upserts(users, [{ id: 1, name: 'Ada' }]), {})).rejects.toMatchObject({
      code: 'E_STATE_MISSING',
    })
    expect(await stored()).toEqual([])
  })

  it('throws the reason of an abort and can be used again', async () => {
    const sink = await prepared([users])
    const reason = new Error('stop')
    const batch = upserts(users, [{ id: 1, name: 'Ada' }])
    await expect(sink.write(batch, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await sink.write(batch, {})
    expect(await stored()).toEqual([ada])
  })

  it('names a row that the target refuses, without quoting it', async () => {
    const sink = await prepared([users])
    await target.db.query('DEFINE FIELD name ON users TYPE option<int>')
    const failure = await sink.write(upserts(users, [{ id: 1, name: 'secret' }]), {}).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'E_POISON_ROW', details: { table: 'public.users' } })
    expect(String(failure)).not.toContain('secret')
  })

  it('counts values that took another form', async () => {
    const sums = table('sums', { id: 'integer', total: 'decimal' }, ['id'])
    const sink = await prepared([sums])
    const total = '9'.repeat(40)
    await sink.write(
      upserts(sums, [
        { id: 1, total },
        { id: 2, total },
        { id: 3, total: '1.5' },
      ]),
      {},
    )
    await sink.write(upserts(sums, [{ id: 4, total }]), {})
    expect(warnings).toMatchObject([{ code: 'value_fallback', table: 'public.sums', column: 'total', count: 2 }])
    await sink.close()
    expect(warnings).toMatchObject([{ count: 2 }, { count: 1 }])
    expect(JSON.stringify(warnings)).not.toContain('999')
  })
})

function rowsOf(length: number) {
  return Array.from({ length }, (_, id) => ({ id, name: `name ${id}` }))
}

describe('options', () => {
  it.each([
    [{ url: 'ftp://x' }, 'E_CONFIG'],
    [{ url: 'ws://root:secret@localhost:8000' }, 'E_CONFIG'],
    [{ url: 'surrealkv://' }, 'E_CONFIG'],
    [{ url: 'ws://localhost:8000', username: 'root' }, 'E_CONFIG'],
    [{ url: 'ws://localhost:8000', batchSize: 0 }, 'E_CONFIG'],
    [{ url: 'ws://localhost:8000', existing: 'x' }, 'E_CONFIG'],
    [{ url: 'ws://localhost:8000', namespace: '' }, 'E_CONFIG'],
  ])('refuses %j', (options, code) => {
    const failure = (() => {
      try {
        return new SurrealSink({ ...database, ...options } as SurrealSinkOptions)
      } catch (error) {
        return error
      }
    })()
    expect(failure).toMatchObject({ code })
    expect(String(failure)).not.toContain('secret')
  })

  it('opens a file by the path given, creates it, and closes it so that it can be opened again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'surreal-sink-'))
    const url = `surrealkv://${join(folder, 'a b')}`
    try {
      for (let time = 0; time < 3; time += 1) {
        const sink = await SurrealSink.connect({ url, ...database })
        await sink.open({ syncId: 'p1', warn: () => {} })
        await sink.prepare([users], { phase: 'full' })
        await sink.write(upserts(users, [{ id: time, name: 'Ada' }]), {})
        await sink.close()
      }
      const db = new Surreal({ engines: createNodeEngines() })
      await db.connect(`surrealkv://${folder}/other`)
      await db.close()
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    }
  })

  it('says at once that a file cannot be opened', async () => {
    const started = performance.now()
    await expect(SurrealSink.connect({ url: 'surrealkv:///proc/nowhere/x', ...database })).rejects.toMatchObject({
      code: 'E_CONFIG',
    })
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
