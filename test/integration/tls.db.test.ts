/** What each way to ask for TLS leads to, as docs/security.md says it. */
import { readFileSync } from 'node:fs'
import { checkServerIdentity, type PeerCertificate, TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SyncWarning } from '../../src/core/events.js'
import type { PostgresServer } from '../../src/demo/postgres-server.js'
import { parseConnection } from '../../src/sources/postgres/connection-settings.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { createCertificate } from '../support/certificates.js'
import { type Relay, startPostgresWithTls, stripTls } from '../support/postgres-tls.js'

// 127.1 and 127.0.1 are names of this machine that do not look near by.
const far = { right: '127.1', wrong: '127.0.1' }
const near = { right: '127.0.0.1', wrong: 'localhost' }

const rows = [
  ['nothing', far, ''],
  ['nothing, near by', near, ''],
  ['`disable`', far, 'sslmode=disable'],
  ['`allow`', far, 'sslmode=allow'],
  ['`prefer`', far, 'sslmode=prefer'],
  ['`require`', far, 'sslmode=require'],
  ['`uselibpqcompat=true&sslmode=require`', far, 'uselibpqcompat=true&sslmode=require'],
  ['`no-verify`', far, 'sslmode=no-verify'],
  ['`verify-ca`', far, 'sslmode=verify-ca'],
  ['`verify-full`', far, 'sslmode=verify-full'],
] as const
const columns = ['unknown', 'right', 'wrong', 'stripped'] as const

const authority = createCertificate({ name: 'Authority of the test' })
const certificate = createCertificate({ name: 'server', hosts: [far.right, near.right], authority })
const client = createCertificate({ name: 'certified', authority })
let server: PostgresServer
let attacker: Relay

beforeAll(async () => {
  server = await startPostgresWithTls(certificate, authority)
  attacker = await stripTls(server.port)
})

afterAll(async () => {
  await attacker?.[Symbol.asyncDispose]()
  await server?.stop()
})

/** The words of the table for what happens. */
async function outcome(
  { right, wrong }: typeof far,
  parameters: string,
  column: (typeof columns)[number],
): Promise<string> {
  const port = column === 'stripped' ? attacker.port : server.port
  const host = column === 'wrong' ? wrong : right
  const url = `postgresql://postgres:${server.password}@${host}:${port}/postgres?${parameters}`
  const ca = column === 'unknown' ? undefined : authority.certificate
  const warnings: SyncWarning[] = []
  const connections = new Connections(parseConnection(url, { tls: { ca } }, {}), (warning) => warnings.push(warning))
  try {
    return await connections.use(async (session) => {
      const [row] = await session.rows(
        'looking at TLS',
        'select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()',
      )
      const { stream } = session.client.connection
      const encrypted = row?.[0] === 't'
      expect(stream instanceof TLSSocket).toBe(encrypted)
      const verified = stream instanceof TLSSocket && stream.authorized
      const how = !verified ? 'TLS, unverified' : column === 'wrong' ? 'TLS, host not compared' : 'TLS'
      expect(warnings.map(({ code }) => code)).toEqual(
        warnings.length === 0 ? [] : [encrypted ? 'tls_unverified' : 'plaintext'],
      )
      return `${encrypted ? how : 'plain'}${warnings.length === 0 ? '' : ', warned of'}`
    })
  } catch (error) {
    expect(error).toMatchObject({
      code: 'E_TLS',
      details: { hint: expect.stringMatching(column === 'stripped' ? /sslmode=disable/ : /sslrootcert/) },
    })
    return 'refused'
  } finally {
    await connections.close()
  }
}

/** Newer releases of Node.js take such names for addresses, or for none at all: nothing then looks far and is this machine. */
const names = { subjectaltname: `DNS:${far.right}, IP Address:${near.right}` } as PeerCertificate
const comparable =
  checkServerIdentity(far.right, names) === undefined && checkServerIdentity(far.wrong, names) !== undefined

it.runIf(comparable)('the 40 cells of the table are what happens', async () => {
  const table: string[] = []
  for (const [name, hosts, parameters] of rows) {
    const cells: string[] = []
    for (const column of columns) cells.push(await outcome(hosts, parameters, column))
    table.push(`| ${[name, ...cells].join(' | ')} |`)
  }
  const page = readFileSync(fileURLToPath(new URL('../../docs/security.md', import.meta.url)), 'utf8')
  const documented = /\| `sslmode`.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(page)?.[1]
  expect(documented?.trimEnd().split('\n')).toEqual(table)
})

describe('certificates', () => {
  it('of the client let it in, also with an encrypted key', async () => {
    const url = `postgresql://certified@${near.right}:${server.port}/postgres?sslmode=verify-full`
    const passphrase = 'a secret of the key'
    const key = client.keyObject.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString()
    for (const own of [{ key: client.key }, { key, passphrase }]) {
      const tls = { ca: authority.certificate, cert: client.certificate, ...own }
      const connections = new Connections(parseConnection(url, { tls }, {}), () => undefined)
      const rows = await connections.use((session) => session.rows('asking who this is', 'select current_user'))
      expect(rows).toEqual([['certified']])
      await connections.close()
    }
    expect(() => parseConnection(url, { tls: { key, cert: client.certificate } }, {})).toThrow(
      expect.objectContaining({ code: 'E_CONFIG' }),
    )
    const without = new Connections(parseConnection(url, { tls: { ca: authority.certificate } }, {}), () => undefined)
    await expect(without.session()).rejects.toMatchObject({ code: expect.stringMatching(/^E_(AUTH|TLS)$/) })
  })

  it('allow: what is refused without TLS is tried with it', async () => {
    const url = `postgresql://certified@${near.right}:${server.port}/postgres?sslmode=allow`
    const tls = { ca: authority.certificate, cert: client.certificate, key: client.key }
    const connections = new Connections(parseConnection(url, { tls }, {}), () => undefined)
    const rows = await connections.use((session) =>
      session.rows('asking', 'select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()'),
    )
    expect(rows).toEqual([['t']])
    await connections.close()
  })
})
