/** What SurrealDB's address and certificate lead to, as docs/security.md says it. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { createRemoteEngines, Surreal } from 'surrealdb'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { SurrealSink } from '../../src/index.js'
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

const options = { namespace: 'test', database: 'test', username: 'root', password: 'root' }
const port = () => (encrypted.address() as AddressInfo).port

async function outcome(protocol: string, verify: boolean, column: (typeof columns)[number]): Promise<string> {
  const at = column === 'stripped' ? surreal.port : port()
  const url = `${protocol}://${column === 'wrong' ? 'localhost' : '127.0.0.1'}:${at}`
  const ca = column === 'unknown' ? undefined : authority.certificate
  try {
    const sink = await SurrealSink.connect({ ...options, url, tls: { ca, verify } })
    await sink.close()
    return verify ? 'TLS' : 'TLS, unverified'
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_TLS' })
    return 'refused'
  }
}

it('the cells of the table are what happens', async () => {
  const table: string[] = []
  for (const [name, protocol, verify] of rows) {
    const cells: string[] = []
    for (const column of columns) cells.push(await outcome(protocol, verify, column))
    table.push(`| ${[name, ...cells].join(' | ')} |`)
  }
  const page = readFileSync(fileURLToPath(new URL('../../docs/security.md', import.meta.url)), 'utf8')
  const documented = /\| address .*\n\|[-|]+\n((?:\|.*\n)+)/.exec(page)?.[1]
  expect(documented?.trimEnd().split('\n')).toEqual(table)
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
