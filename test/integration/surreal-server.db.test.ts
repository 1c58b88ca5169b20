import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CborCodec, type ConnectOptions, createRemoteEngines, Surreal } from 'surrealdb'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const root: ConnectOptions = {
  authentication: { username: 'root', password: 'root' },
  namespace: 'test',
  database: 'test',
  reconnect: false,
}

/** Node 20 has no WebSocket of its own; the types of ws and of the platform differ in event listeners only. */
const websocketImpl = WebSocket as unknown as typeof globalThis.WebSocket

/** Connects the unmodified SDK. */
async function connect(url: string, options: ConnectOptions = root): Promise<Surreal> {
  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl })
  await db.connect(url, options)
  return db
}

/** The names of the errors of the SDK, which exist once per copy of it. */
function named(name: string) {
  return expect.objectContaining({ name })
}

const standInOnly = test.skipIf(process.env.SURREAL_BIN)

describe.each(['ws', 'http'] as const)('over %s', (protocol) => {
  let server: SurrealServer
  let options: ConnectOptions

  beforeAll(async () => {
    server = await startSurreal()
    return () => server.stop()
  })

  beforeEach(() => {
    options = { ...root, database: `test_${randomUUID()}` }
  })

  test('refuses what is not signed in', async () => {
    const db = await connect(server[protocol], { ...options, authentication: undefined })
    await expect(db.query('RETURN 1')).rejects.toEqual(named('NotAllowedError'))
    expect((await db.version()).version).toMatch(/^surrealdb-\d/)
    await db.signin({ username: 'root', password: 'root' })
    expect(await db.query('RETURN 1')).toEqual([1])
    await db.invalidate()
    await expect(db.query('RETURN 1')).rejects.toEqual(named('NotAllowedError'))
    await db.close()
  })

  test('keeps database and variables of each connection apart', async () => {
    const one = await connect(server[protocol], options)
    const other = await connect(server[protocol], { ...options, database: 'other' })
    await one.set('mine', 1)
    expect(await one.query('RETURN [session::db(), $mine]')).toEqual([[options.database, 1]])
    expect((await other.query('RETURN [session::db(), $mine]'))[0]).toEqual(['other', undefined])
    await one.use({ database: 'third' })
    expect(await one.query('RETURN session::db()')).toEqual(['third'])
    expect(await other.query('RETURN session::db()')).toEqual(['other'])
    await one.close()
    await other.close()
  })

  test('lets a viewer read and silently ignores what it writes', async () => {
    const owner = await connect(server[protocol], options)
    await owner.query("DEFINE USER viewer ON DATABASE PASSWORD 'look' ROLES VIEWER; DEFINE TABLE item; CREATE item:1")
    const viewer = await connect(server[protocol], {
      ...options,
      authentication: { username: 'viewer', password: 'look', namespace: 'test', database: options.database },
    })
    const [inserted, upserted, read] = await viewer.query<[unknown[], unknown[], unknown[]]>(
      'INSERT INTO item { id: 2 }; UPSERT item:3; SELECT VALUE record::id(id) FROM item',
    )
    expect([inserted, upserted, read]).toEqual([[], [], [1]])
    expect(await owner.query('SELECT VALUE record::id(id) FROM item')).toEqual([[1]])
    await viewer.close()
    await owner.close()
  })

  test('serves two clients at a time', async () => {
    const clients = await Promise.all([connect(server[protocol], options), connect(server[protocol], options)])
    await clients[0].query('DEFINE TABLE item')
    await Promise.all(
      clients.flatMap((db, client) =>
        Array.from({ length: 20 }, (_, n) => db.query('CREATE type::record("item", $key)', { key: [client, n] })),
      ),
    )
    expect(await clients[1].query('RETURN count(SELECT * FROM item)')).toEqual([40])
    await Promise.all(clients.map((db) => db.close()))
  })

  test('commits rows that come as encoded bytes', async () => {
    const db = await connect(server[protocol], options)
    await db.query('DEFINE TABLE item')
    const rows = Array.from({ length: 500 }, (_, n) => ({ id: n, name: `row ${n}`, big: 'x'.repeat(1000) }))
    const responses = await db
      .query('BEGIN; LET $rows = encoding::cbor::decode($bytes); INSERT INTO item $rows RETURN NONE; COMMIT', {
        bytes: new CborCodec({}).encode(rows),
      })
      .responses()
    expect(responses.filter((response) => !response.success)).toEqual([])
    expect(await db.query('SELECT VALUE name FROM item:499; RETURN count(SELECT * FROM item)')).toEqual([
      ['row 499'],
      500,
    ])
    await db.close()
  })
})

test.each(['ws', 'http'] as const)('refuses a wrong password and an unknown user over %s', async (protocol) => {
  await using server = await startSurreal({ username: 'admin', password: 'it\'s "secret"' })
  const db = await connect(server[protocol], {
    ...root,
    authentication: { username: 'admin', password: 'it\'s "secret"' },
  })
  await db.close()
  for (const authentication of [
    { username: 'admin', password: 'wrong' },
    { username: 'root', password: 'root' },
  ]) {
    await expect(connect(server[protocol], { ...root, authentication })).rejects.toThrow()
    const anonymous = await connect(server[protocol], { reconnect: false })
    await expect(anonymous.signin(authentication)).rejects.toEqual(named('NotAllowedError'))
    await anonymous.close()
  }
})

test('answers over http whether it is alive and which version it is', async () => {
  await using server = await startSurreal()
  for (const path of ['/health', '/status']) expect((await fetch(server.http + path)).status).toBe(200)
  expect(await (await fetch(`${server.http}/version`)).text()).toMatch(/^surrealdb-\d/)
})

test('refuses what is over the limit of http and takes it over ws', async () => {
  await using server = await startSurreal()
  const bytes = new Uint8Array(5 * 1024 * 1024)
  const http = await connect(server.http)
  await expect(http.query('RETURN bytes::len($bytes)', { bytes })).rejects.toMatchObject({ status: 413 })
  const ws = await connect(server.ws)
  expect(await ws.query('RETURN bytes::len($bytes)', { bytes })).toEqual([bytes.length])
  await http.close()
  await ws.close()
})

test('has sessions and transactions, which end with their connection', async () => {
  await using server = await startSurreal()
  const db = await connect(server.ws)
  await db.query('DEFINE TABLE item')
  const fork = await db.forkSession()
  await fork.use({ database: 'other' })
  expect(await db.query('RETURN session::db()')).toEqual(['test'])
  expect(await fork.query('RETURN session::db()')).toEqual(['other'])
  const kept = await db.beginTransaction()
  await kept.query('CREATE item:kept')
  await kept.commit()
  const lost = await db.beginTransaction()
  await lost.query('CREATE item:lost')
  await db.close()
  const later = await connect(server.ws)
  expect(await later.query('SELECT VALUE record::id(id) FROM item')).toEqual([['kept']])
  await later.close()
})

test('keeps what surrealkv stored over a kill and a restart on the same port', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'surreal-sync-kv-'))
  try {
    const storage = `surrealkv://${directory}/data`
    const first = await startSurreal({ storage })
    const before = await connect(first.ws)
    await before.query('CREATE item:1')
    await first.kill('SIGKILL')
    await using second = await startSurreal({ storage, port: first.port })
    const after = await connect(second.ws)
    expect(await after.query('SELECT VALUE record::id(id) FROM item')).toEqual([[1]])
    await after.close()
    await before.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

describe('faults', () => {
  const bump = 'UPSERT counter:1 SET n += 1 RETURN VALUE n'
  const read = 'RETURN counter:1.n'

  async function counter(server: SurrealServer): Promise<Surreal> {
    const db = await connect(server.ws)
    await db.query('DEFINE TABLE counter; UPSERT counter:1 SET n = 0')
    return db
  }

  standInOnly('cutAll rejects the pending calls of a client that does not reconnect', async () => {
    await using server = await startSurreal()
    const db = await connect(server.ws)
    await server.pause()
    const pending = expect(db.query('RETURN 1')).rejects.toEqual(named('CallTerminatedError'))
    await server.cutAll()
    await pending
    await server.resume()
    await db.connect(server.ws, root)
    expect(await db.query('RETURN 1')).toEqual([1])
    await db.close()
  })

  standInOnly('cut after the write: it is done and the client does not know', async () => {
    await using server = await startSurreal()
    const db = await counter(server)
    const fault = await server.fault({ when: 'after', action: 'cut', nth: 2, matching: 'n += 1' })
    expect(await db.query(bump)).toEqual([[1]])
    await expect(db.query(bump)).rejects.toEqual(named('CallTerminatedError'))
    await fault.triggered
    const later = await connect(server.ws)
    expect(await later.query(read)).toEqual([2])
    await later.close()
  })

  standInOnly('cut after the write, over http', async () => {
    await using server = await startSurreal()
    const db = await counter(server)
    const http = await connect(server.http)
    await server.fault({ when: 'after', action: 'cut' })
    await expect(http.query(bump)).rejects.toThrow('fetch failed')
    expect(await db.query(read)).toEqual([1])
    await http.close()
    await db.close()
  })

  standInOnly('cut before the write: it is not done', async () => {
    await using server = await startSurreal()
    const db = await counter(server)
    await server.fault({ when: 'before', action: 'cut' })
    await expect(db.query(bump)).rejects.toEqual(named('CallTerminatedError'))
    const later = await connect(server.ws)
    expect(await later.query(read)).toEqual([0])
    await later.close()
  })

  standInOnly('drop the reply: the connection stays usable', async () => {
    await using server = await startSurreal()
    const db = await counter(server)
    const fault = await server.fault({ when: 'after', action: 'drop' })
    const lost = Promise.resolve(db.query(bump)).then(() => 'answered')
    await fault.triggered
    expect(await db.query(read)).toEqual([1])
    expect(await Promise.race([lost, 'no answer'])).toBe('no answer')
    await server.cutAll()
    await expect(lost).rejects.toEqual(named('CallTerminatedError'))
  })

  standInOnly('pause holds everything back until resume', async () => {
    await using server = await startSurreal()
    const db = await counter(server)
    await server.pause()
    let answered = false
    const held = db.query(bump).then((result) => {
      answered = true
      return result
    })
    for (let roundTrip = 0; roundTrip < 50; roundTrip += 1) await server.pause()
    expect(answered).toBe(false)
    await server.resume()
    expect(await held).toEqual([[1]])
    await db.close()
  })

  standInOnly('a fault that never happened is reported when the server ends', async () => {
    const server = await startSurreal()
    const { triggered } = await server.fault({ when: 'before', action: 'drop' })
    await server.stop()
    await expect(triggered).rejects.toThrow('has ended')
    await expect(server.cutAll()).rejects.toThrow('has ended')
    await server.stop()
  })
})

standInOnly('ends when its parent is killed', async () => {
  const program = `
    import { startSurreal } from './test/support/surreal-server.ts'
    console.log((await startSurreal()).http)
    process.stdin.resume()`
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [url] = await once(createInterface({ input: parent.stdout }), 'line')
  expect((await fetch(`${url}/health`)).status).toBe(200)
  parent.kill('SIGKILL')
  const answers = () =>
    fetch(`${url}/health`).then(
      () => true,
      () => false,
    )
  await expect.poll(answers, { timeout: 20_000 }).toBe(false)
})

test('says why it does not start', async () => {
  await using server = await startSurreal()
  await expect(startSurreal({ port: server.port })).rejects.toThrow(/did not start: .*EADDRINUSE/)
})
