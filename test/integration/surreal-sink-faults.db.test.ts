/** The sink when something goes wrong: rights, addresses, cuts, silence, other writers. */
import { createServer, type Server } from 'node:net'
import { createRemoteEngines, type RecordId, Surreal } from 'surrealdb'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { deletes, upserts } from '../../src/core/batch.js'
import { SurrealSink, type SurrealSinkSettings } from '../../src/sinks/surreal/surreal-sink.js'
import { defineTable } from '../../src/testing/define-table.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const users = defineTable('public.users', { id: 'integer', name: 'text' }, ['id'])
const root = { username: 'root', password: 'root' }
const ada = { id: 1, name: 'Ada' }

let server: SurrealServer
let admin: Surreal
let place: { namespace: string; database: string }
let count = 0
const sinks: SurrealSink[] = []

beforeAll(async () => {
  server = await startSurreal()
})
afterAll(async () => {
  await server.stop()
})
beforeEach(async () => {
  count += 1
  place = { namespace: `n${count}`, database: 'd' }
  await reconnectAdmin()
})
afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink.close()
  await admin.close()
})

async function reconnectAdmin() {
  admin = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await admin.connect(server.ws, { ...place, authentication: root, reconnect: false })
}

async function connected(settings: SurrealSinkSettings = {}, who: object = root, url = server.ws) {
  const sink = await SurrealSink.connect({ url, ...place, ...who, ...settings })
  sinks.push(sink)
  await sink.open({ syncId: 'p1', warn: () => {} })
  return sink
}

async function prepared(settings: SurrealSinkSettings = {}, who: object = root, url = server.ws) {
  const sink = await connected(settings, who, url)
  await sink.prepare([users], { phase: 'full' })
  return sink
}

async function stored() {
  const [rows] = await admin.query<[{ id: RecordId; name: string }[]]>('SELECT * FROM users')
  return rows.map(({ id, name }) => ({ id: id.id, name }))
}

describe.each(['ws', 'http'] as const)('over %s', (protocol) => {
  const url = () => server[protocol]

  it('names a wrong password, and never repeats it', async () => {
    const failure = await connected({}, { username: 'root', password: 'hunter2' }, url()).catch(
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({ code: 'E_AUTH', retryable: false })
    expect(String(failure)).not.toContain('hunter2')
  })

  it('fails within seconds where nobody listens', async () => {
    const closed = createServer()
    const port = await listening(closed)
    await new Promise((resolve) => closed.close(resolve))
    const started = performance.now()
    await expect(connected({}, root, `${protocol}://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
    })
    await expect(connected({}, root, `${protocol}://no-such-host.invalid`)).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
    })
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('gives up on a server that accepts and says nothing', async () => {
    const silent = createServer(() => {})
    const port = await listening(silent)
    await expect(connected({ connectTimeoutMs: 300 }, root, `${protocol}://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
    })
    silent.close()
  })

  it('signs in users of the root, the namespace and the database', async () => {
    await admin.query(`DEFINE USER ns ON NAMESPACE PASSWORD 'a' ROLES EDITOR;
      DEFINE USER db ON DATABASE PASSWORD 'b' ROLES EDITOR`)
    for (const who of [
      { username: 'ns', password: 'a' },
      { username: 'db', password: 'b' },
      { username: 'db', password: 'b', authLevel: 'database' },
    ]) {
      const sink = await prepared({}, who, url())
      await sink.write(upserts(users, [ada]), {})
    }
    expect(await stored()).toEqual([ada])
    await expect(prepared({}, { username: 'db', password: 'b', authLevel: 'root' }, url())).rejects.toMatchObject({
      code: 'E_AUTH',
    })
  })

  it('tells a user who may only read', async () => {
    await admin.query("DEFINE USER reader ON DATABASE PASSWORD 'r' ROLES VIEWER")
    await expect(prepared({}, { username: 'reader', password: 'r' }, url())).rejects.toMatchObject({
      code: 'E_RIGHTS',
      details: { hint: expect.stringContaining('EDITOR') },
    })
  })

  it.each(['before', 'after'] as const)('survives a cut %s the server did its work', async (when) => {
    const sink = await prepared({ writers: 1 }, root, url())
    const fault = await server.fault({ when, action: 'cut', matching: 'CREATE $row.id' })
    await sink.write(upserts(users, [ada]), {}) // inserts
    await sink.prepare([users], { phase: 'incremental' })
    const batch = upserts(users, [{ id: 1, name: 'B' }])
    await expect(sink.write(batch, {})).rejects.toMatchObject({ code: 'E_CONNECTION_LOST', retryable: true })
    await fault.triggered
    await sink.write(batch, {})
    expect(await stored()).toEqual([{ id: 1, name: 'B' }])
  })

  it('gives up on an answer that does not come, and goes on', async () => {
    const sink = await prepared({ callTimeoutMs: 500 }, root, url())
    await server.fault({ when: 'after', action: 'drop', matching: 'INSERT' })
    const batch = upserts(users, [ada])
    await expect(sink.write(batch, {})).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
    await sink.write(batch, {})
    expect(await stored()).toEqual([ada])
  })

  it('stops waiting when told to, for the reason given', async () => {
    const sink = await prepared({}, root, url())
    await server.fault({ when: 'before', action: 'drop', matching: 'INSERT' })
    const stop = new AbortController()
    const writing = sink.write(upserts(users, [ada]), { signal: stop.signal })
    const reason = new Error('stop')
    setTimeout(() => stop.abort(reason), 50)
    await expect(writing).rejects.toBe(reason)
    await sink.write(upserts(users, [ada]), {})
    expect(await stored()).toEqual([ada])
  })

  it('retries conflicts with other writers', async () => {
    const sink = await prepared({}, root, url())
    await sink.write(upserts(users, rowsOf(50, 'a')), {})
    await sink.prepare([users], { phase: 'incremental' })
    const others = Array.from({ length: 10 }, () =>
      admin
        .query('UPDATE users SET other += 1')
        .collect()
        .catch(() => {}),
    )
    const ours = Array.from({ length: 5 }, (_, turn) => sink.write(upserts(users, rowsOf(50, `b${turn}`)), {}))
    await Promise.all([...others, ...ours.map((write) => retrying(() => write))])
    expect(await stored()).toHaveLength(50)
  })
})

it('tells when rights are lost on the way, instead of dropping rows', async () => {
  await admin.query("DEFINE USER writer ON DATABASE PASSWORD 'w' ROLES EDITOR")
  const sink = await prepared({ writers: 1 }, { username: 'writer', password: 'w' })
  await sink.write(upserts(users, [ada]), {})
  await admin.query("DEFINE USER OVERWRITE writer ON DATABASE PASSWORD 'w' ROLES VIEWER")
  await server.cutAll() // The next connection signs in again.
  await expect(retrying(() => sink.write(upserts(users, [{ id: 2, name: 'x' }]), {}))).rejects.toMatchObject({
    code: 'E_WRITE_NOT_APPLIED',
  })
  await reconnectAdmin()
  expect(await stored()).toEqual([ada])
})

/** Keeps a query back and sends it when told to, as a network may. */
class Delaying extends Surreal {
  late: (() => Promise<unknown>) | undefined
  holds = ''

  override query(...args: [never]): never {
    if (this.holds === '' || !String(args[0]).includes(this.holds)) return super.query(...args) as never
    this.holds = ''
    this.late = () => super.query(...args).responses()
    return { responses: () => new Promise(() => {}) } as never
  }
}

it('a request that is carried out late changes nothing', async () => {
  const db = new Delaying({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await db.connect(server.ws, { ...place, authentication: root, reconnect: false })
  const sink = await SurrealSink.connect({ connect: async () => db, disconnect: async () => {}, callTimeoutMs: 300 })
  sinks.push(sink)
  await sink.open({ syncId: 'p1', warn: () => {} })
  await sink.prepare([users], { phase: 'incremental' })
  await sink.write(upserts(users, [ada]), {})
  db.holds = 'CREATE $row.id'
  const old = upserts(users, [{ id: 1, name: 'old' }])
  await expect(sink.write(old, {})).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
  await Promise.all([
    sink.write(upserts(users, [{ id: 2, name: 'other' }]), {}),
    sink.write(upserts(users, [{ id: 1, name: 'new' }]), {}),
  ])
  expect(JSON.stringify(await db.late?.())).toContain('"kind":"Thrown"')
  expect(await stored()).toEqual([
    { id: 1, name: 'new' },
    { id: 2, name: 'other' },
  ])
  await db.close()
})

it('refuses a row beyond what HTTP carries, and says to use ws', async () => {
  const sink = await prepared({}, root, server.http)
  const failure = sink.write(upserts(users, [{ id: 1, name: 'x'.repeat(3.6 * 1024 * 1024) }]), {})
  await expect(failure).rejects.toMatchObject({
    code: 'E_ROW_TOO_LARGE',
    details: { table: 'public.users', hint: expect.stringContaining('ws://') },
  })
  await sink.write(upserts(users, [{ id: 1, name: 'x'.repeat(3.4 * 1024 * 1024) }, ada, { id: 2, name: 'b' }]), {})
  expect(await stored()).toHaveLength(2)
})

it('reports a server that is gone, and finds it again', async () => {
  await using other = await startSurreal()
  const sink = await SurrealSink.connect({ url: other.ws, ...place, ...root, writers: 1 })
  sinks.push(sink)
  await sink.open({ syncId: 'p1', warn: () => {} })
  await sink.prepare([users], { phase: 'full' })
  await other.kill()
  const codes: unknown[] = []
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await sink.write(upserts(users, [ada]), {}).catch((error: { code: unknown }) => codes.push(error.code))
  }
  expect(codes).toHaveLength(3)
  expect(codes.slice(1)).toEqual(['E_UNREACHABLE', 'E_UNREACHABLE'])
  await using again = await startSurreal({ port: other.port })
  expect(again.port).toBe(other.port)
  await expect(sink.write(upserts(users, [ada]), {})).rejects.toMatchObject({ code: 'E_STATE_MISSING' })
})

it('takes a factory, asks it again after a loss, and closes what it got', async () => {
  const made: Surreal[] = []
  const sink = await SurrealSink.connect({
    writers: 2,
    connect: async () => {
      const db = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
      await db.connect(server.ws, { ...place, authentication: root })
      made.push(db)
      return db
    },
  })
  await sink.open({ syncId: 'p1', warn: () => {} })
  await sink.prepare([users], { phase: 'full' })
  await Promise.all([sink.write(upserts(users, [ada]), {}), sink.write(upserts(users, [{ id: 2, name: 'b' }]), {})])
  expect(made).toHaveLength(2)
  await server.cutAll()
  await retrying(() => sink.write(deletes(users, [{ id: 2 }]), {}))
  expect(made.length).toBeGreaterThan(2)
  await sink.close()
  expect(made.map(({ status }) => status)).toEqual(made.map(() => 'disconnected'))
  await reconnectAdmin()
  expect(await stored()).toEqual([ada])
})

it('says which factory does not work', async () => {
  const reject = SurrealSink.connect({ connect: () => Promise.reject(new TypeError('boom')) })
  await expect(reject).rejects.toMatchObject({ name: 'SyncError' })
  const never = SurrealSink.connect({ connect: () => new Promise(() => {}), connectTimeoutMs: 100 })
  await expect(never).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await db.connect(server.ws, { authentication: root, reconnect: false })
  const sink = await SurrealSink.connect({ connect: async () => db })
  await sink.open({ syncId: 'p1', warn: () => {} })
  await expect(sink.prepare([users], { phase: 'full' })).rejects.toMatchObject({ code: 'E_CONFIG' })
  await sink.close()
})

it('names the package that an embedded database needs', async () => {
  vi.doMock('@surrealdb/node', () => {
    throw new Error('not installed')
  })
  try {
    await expect(SurrealSink.connect({ url: 'mem://', ...place })).rejects.toMatchObject({
      code: 'E_MISSING_PACKAGE',
      message: expect.stringContaining('@surrealdb/node'),
    })
  } finally {
    vi.doUnmock('@surrealdb/node')
  }
})

async function retrying<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      const retryable = typeof error === 'object' && error !== null && Reflect.get(error, 'retryable') === true
      if (!retryable || attempt === 20) throw error
    }
  }
}

function rowsOf(length: number, name: string) {
  return Array.from({ length }, (_, id) => ({ id, name }))
}

async function listening(listener: Server): Promise<number> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
