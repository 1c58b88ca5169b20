/** What SurrealDB's address and certificate lead to, as docs/security.md says it. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { createRemoteEngines, Surreal } from 'surrealdb'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import {
  type Checkpoint,
  type Position,
  type SurrealAddressOptions,
  SurrealCheckpointStore,
  SurrealSink,
  type SyncWarning,
} from '../../src/index.js'
import { createCertificate } from '../support/certificates.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const rows = [
  ['`wss://`', 'wss', true],
  ['`https://`', 'https', true],
  ['`wss://`, `--surreal-insecure`', 'wss', false],
  ['`https://`, `--surreal-insecure`', 'https', false],
] as const
const columns = ['unknown', 'right', 'wrong', 'stripped'] as const

const authority = createCertificate({ name: 'Authority of the test' })
const { certificate, key } = createCertificate({ name: 'surreal', hosts: ['127.0.0.1'], authority })
let surreal: SurrealServer
let encrypted: Server

beforeAll(async () => {
  surreal = await startSurreal()
  encrypted = createServer({ cert: certificate, key }, (client) => {
    const server = connect(surreal.port, '127.0.0.1')
    client.on('error', () => server.destroy()).once('close', () => server.destroy())
    server.on('error', () => client.destroy()).once('close', () => client.destroy())
    client.pipe(server).pipe(client)
  })
  encrypted.on('tlsClientError', () => {})
  encrypted.listen(0, '127.0.0.1')
  await once(encrypted, 'listening')
})

afterAll(async () => {
  encrypted?.close()
  await surreal?.stop()
})

const position = 'postgresql:sequence:1' as Position
const checkpoint: Checkpoint = {
  kind: 'incremental',
  position,
  resumeAfter: position,
  described: { PostgreSQL: { sequence: 1 } },
  timestamp: '2024-01-31T12:00:00.000Z',
}
const options = { namespace: 'test', database: 'test', username: 'root', password: 'root' }
const port = () => (encrypted.address() as AddressInfo).port

type Connect = (address: SurrealAddressOptions) => Promise<{ close(): Promise<void> }>

const connectStore: Connect = async (address) => {
  const store = new SurrealCheckpointStore(address)
  expect(await store.load('kit')).toBeUndefined()
  return store
}

async function outcome(
  connect: Connect,
  protocol: string,
  verify: boolean,
  column: (typeof columns)[number],
): Promise<string> {
  const at = column === 'stripped' ? surreal.port : port()
  const url = `${protocol}://${column === 'wrong' ? 'localhost' : '127.0.0.1'}:${at}`
  const ca = column === 'unknown' ? undefined : authority.certificate
  try {
    const connected = await connect({ ...options, url, tls: { ca, verify } })
    await connected.close()
    return verify ? 'TLS' : 'TLS, unverified'
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_TLS' })
    return 'refused'
  }
}

it.each<[who: string, connect: Connect]>([
  ['the sink', (address) => SurrealSink.connect(address)],
  ['a checkpoint store', connectStore],
])('the cells of the table are what happens to %s', async (_, connect) => {
  const table: string[] = []
  for (const [name, protocol, verify] of rows) {
    const cells: string[] = []
    for (const column of columns) cells.push(await outcome(connect, protocol, verify, column))
    table.push(`| ${[name, ...cells].join(' | ')} |`)
  }
  const page = readFileSync(fileURLToPath(new URL('../../docs/security.md', import.meta.url)), 'utf8')
  const documented = /\| address .*\n\|[-|]+\n((?:\|.*\n)+)/.exec(page)?.[1]
  expect(documented?.trimEnd().split('\n')).toEqual(table)
})

it('a far server without encryption is warned of by a checkpoint store', async () => {
  const warnings: string[] = []
  const warn = ({ code, message }: SyncWarning) => warnings.push(`${code}: ${message}`)
  for (const url of ['ws://db.example.com', 'wss://db.example.com', 'ws://127.0.0.1', 'surrealkv:///nowhere']) {
    await new SurrealCheckpointStore({ ...options, url }).open({ warn })
  }
  const insecure = { ...options, url: 'wss://db.example.com', tls: { verify: false } }
  await new SurrealCheckpointStore(insecure).open({ warn })
  expect(warnings).toEqual([
    expect.stringMatching(/^plaintext: Where checkpoints are kept: .*db\.example\.com/),
    expect.stringMatching(/^tls_unverified: Where checkpoints are kept: .*db\.example\.com/),
  ])
})

it('an authority without encryption is a mistake, and so is one that cannot be read', () => {
  const sink = (url: string, ca: string) => () => new SurrealSink({ ...options, url, tls: { ca } })
  expect(sink('ws://127.0.0.1', authority.certificate)).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
  expect(sink('wss://127.0.0.1', '/nonexistent')).toThrow(expect.objectContaining({ code: 'E_CONFIG' }))
})

it('a token signs in, also one that a function gets for each connection', async () => {
  const url = `wss://127.0.0.1:${port()}`
  const tls = { ca: authority.certificate }
  let asked = 0
  const token = await tokenOf(surreal.ws)
  const place = { namespace: 'test', database: 'test', tls, url }
  const sink = await SurrealSink.connect({ ...place, token })
  await sink.close()
  const withFunction = await SurrealSink.connect({
    ...place,
    token: async () => {
      asked += 1
      return token
    },
  })
  await withFunction.close()
  expect(asked).toBe(1)
  const stores = [{ token }, { token: async () => token }].map((by) => new SurrealCheckpointStore({ ...place, ...by }))
  for (const store of stores) {
    await store.save('kit', checkpoint)
    expect(await store.load('kit')).toEqual(checkpoint)
    await store.close()
  }
  const refused = new SurrealCheckpointStore({ ...place, token: 'x.y.z' })
  await expect(refused.load('kit')).rejects.toMatchObject({ code: 'E_AUTH' })
  await expect(SurrealSink.connect({ ...place, token: 'x.y.z' })).rejects.toMatchObject({ code: 'E_AUTH' })
  const failing = () => Promise.reject(new Error('the service is away'))
  await expect(SurrealSink.connect({ ...place, token: failing })).rejects.toMatchObject({ code: 'E_PASSWORD' })
  expect(() => new SurrealSink({ ...options, ...place, token })).toThrow(/both/)
})

async function tokenOf(url: string): Promise<string> {
  const websocketImpl = WebSocket as unknown as typeof globalThis.WebSocket
  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl })
  await db.connect(url, { reconnect: false })
  const { access } = await db.signin({ username: 'root', password: 'root' })
  await db.close()
  return access
}
