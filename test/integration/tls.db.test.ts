/** What each way to ask for TLS leads to, as docs/security.md says it. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkServerIdentity, type PeerCertificate, TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseConnection } from '../../src/connections/postgres/connection-settings.js'
import type { SyncWarning } from '../../src/core/events.js'
import type { PostgresServer } from '../../src/demo/postgres-server.js'
import { PostgresCheckpointStore } from '../../src/index.js'
import { Connections } from '../../src/sources/postgres/connections.js'
import { createCertificate } from '../support/certificates.js'
import { eventually } from '../support/eventually.js'
import { startPostgresWithTls, stripTls } from '../support/postgres-tls.js'
import type { Relay } from '../support/relay.js'

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

let admin: pg.Client
beforeAll(async () => {
  server = await startPostgresWithTls(certificate, authority)
  admin = new pg.Client({
    host: near.right,
    port: server.port,
    user: 'postgres',
    password: server.password,
    database: 'postgres',
  })
  await admin.connect()
  attacker = await stripTls(server.port)
})

afterAll(async () => {
  await admin?.end()
  await attacker?.[Symbol.asyncDispose]()
  await server?.stop()
})

type Way = (hosts: typeof far, parameters: string, column: (typeof columns)[number]) => Promise<string>

function urlOf({ right, wrong }: typeof far, parameters: string, column: (typeof columns)[number]): string {
  const port = column === 'stripped' ? attacker.port : server.port
  const host = column === 'wrong' ? wrong : right
  return `postgresql://postgres:${server.password}@${host}:${port}/postgres?${parameters}`
}

/** The words of the table for what happens to a source. */
async function outcome(hosts: typeof far, parameters: string, column: (typeof columns)[number]): Promise<string> {
  const url = urlOf(hosts, parameters, column)
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

/** As far as the server can tell: what of it was verified, only the client knows. */
const seen = (cells: string): string => cells.replaceAll(/TLS, (unverified|host not compared)/g, 'TLS')

/** The same of a checkpoint store. */
const outcomeOfStore: Way = async (hosts, parameters, column) => {
  const warnings: SyncWarning[] = []
  const store = new PostgresCheckpointStore({
    url: urlOf(hosts, parameters, column),
    tls: { ca: column === 'unknown' ? undefined : authority.certificate },
  })
  await store.open({ warn: (warning) => warnings.push(warning) })
  try {
    expect(await store.load('kit')).toBeUndefined()
    const { rows } = await admin.query<{ ssl: boolean }>(
      `select s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name = 'surreal-sync'`,
    )
    expect(rows).toHaveLength(1)
    const encrypted = rows[0]?.ssl === true
    expect(warnings.map(({ code }) => code)).toEqual(
      warnings.length === 0 ? [] : [encrypted ? 'tls_unverified' : 'plaintext'],
    )
    return `${encrypted ? 'TLS' : 'plain'}${warnings.length === 0 ? '' : ', warned of'}`
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_TLS', message: expect.stringMatching(/ \(for checkpoints\)$/) })
    return 'refused'
  } finally {
    await store.close()
    await eventually(async () => {
      const { rows } = await admin.query(`select from pg_stat_activity where application_name = 'surreal-sync'`)
      return rows.length === 0
    }, 'the connection of the store is gone')
  }
}

async function cellsOf(way: Way): Promise<readonly string[]> {
  const table: string[] = []
  for (const [name, hosts, parameters] of rows) {
    const cells: string[] = []
    for (const column of columns) cells.push(await way(hosts, parameters, column))
    table.push(`| ${[name, ...cells].join(' | ')} |`)
  }
  return table
}

function documented(): readonly string[] | undefined {
  const page = readFileSync(fileURLToPath(new URL('../../docs/security.md', import.meta.url)), 'utf8')
  return /\| `sslmode`.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(page)?.[1]?.trimEnd().split('\n')
}

/** Newer releases of Node.js take such names for addresses, or for none at all: nothing then looks far and is this machine. */
const names = { subjectaltname: `DNS:${far.right}, IP Address:${near.right}` } as PeerCertificate
const comparable =
  checkServerIdentity(far.right, names) === undefined && checkServerIdentity(far.wrong, names) !== undefined

it.runIf(comparable)('the 40 cells of the table are what happens', async () => {
  expect(await cellsOf(outcome)).toEqual(documented())
})

it.runIf(comparable)('and so they are of a checkpoint store', async () => {
  expect(await cellsOf(outcomeOfStore)).toEqual(documented()?.map(seen))
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

it('a checkpoint store takes passwords from where a source does', async () => {
  const url = `postgresql://postgres@${near.right}:${server.port}/postgres`
  const tls = { ca: authority.certificate }
  vi.stubEnv('PGPASSFILE', join(tmpdir(), 'no-such-file-of-passwords'))
  await expect(new PostgresCheckpointStore({ url, tls }).load('kit')).rejects.toMatchObject({
    code: 'E_AUTH',
    message: 'PostgreSQL asks for a password, and there is none (for checkpoints)',
    details: { hint: expect.stringContaining('PGPASSWORD') },
  })
  let asked = 0
  const password = async () => {
    asked += 1
    return server.password
  }
  const store = new PostgresCheckpointStore({ url, tls, password })
  expect(await store.load('kit')).toBeUndefined()
  await store.close()
  expect(await store.load('kit')).toBeUndefined()
  await store.close()
  expect(asked).toBe(2)

  const folder = await mkdtemp(join(tmpdir(), 'surreal-sync-tls-'))
  const file = join(folder, 'pgpass')
  await writeFile(file, `${near.right}:*:*:postgres:${server.password}\n`, { mode: 0o600 })
  vi.stubEnv('PGPASSFILE', file)
  vi.stubEnv('PGSSLMODE', 'verify-full')
  try {
    const strict = new PostgresCheckpointStore({ url })
    await expect(strict.load('kit')).rejects.toMatchObject({ code: 'E_TLS' })
    const filed = new PostgresCheckpointStore({ url, tls })
    expect(await filed.load('kit')).toBeUndefined()
    await filed.close()
  } finally {
    vi.unstubAllEnvs()
    await rm(folder, { recursive: true })
  }
  expect(() => new PostgresCheckpointStore({ url: `${url}?sslmode=perhaps` })).toThrow(
    expect.objectContaining({ code: 'E_CONFIG' }),
  )
})
