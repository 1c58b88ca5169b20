/** PostgreSQL with TLS, and somebody in between who strips it. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import type { Certificate } from './certificates.js'

/** Starts a server with this certificate, which accepts client certificates of the authority, and asks the role `certified` for one. */
export async function startPostgresWithTls(server: Certificate, authority: Certificate): Promise<PostgresServer> {
  const postgres = await startPostgres()
  const admin = new pg.Client({ connectionString: postgres.url() })
  await admin.connect()
  try {
    const write = async (text: string, command: string) => {
      const lines = text.trimEnd().split('\n')
      const values = lines.map((line) => `(${pg.escapeLiteral(line)})`).join(', ')
      await admin.query(
        `copy (select line from (values ${values}) lines(line)) to program ${pg.escapeLiteral(command)}`,
      )
    }
    const file = (name: string) => `umask 077; cat > '${postgres.dataDir}/${name}'`
    await write(server.certificate, file('server.crt'))
    await write(server.key, file('server.key'))
    await write(authority.certificate, file('root.crt'))
    const entries = `hostssl all certified all cert\nhost all certified all reject`
    const hba = `${postgres.dataDir}/pg_hba.conf`
    await write(entries, `(cat; cat '${hba}') > '${hba}.new' && mv '${hba}.new' '${hba}'`)
    await admin.query('create role certified login superuser')
    await admin.query(`alter system set ssl_ca_file = 'root.crt'`)
    await admin.query('alter system set ssl = on')
  } finally {
    await admin.end()
  }
  await postgres.restart('fast')
  return postgres
}

export interface Relay extends AsyncDisposable {
  readonly port: number
}

/** Says to whoever asks for TLS that there is none, and passes on everything else. */
export async function stripTls(port: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.once('close', () => other.destroy())
    }
    server.pipe(client)
    client.once('data', (first) => {
      if (first.length === 8 && first.readInt32BE(4) === 80_877_103) client.write('N')
      else server.write(first)
      client.pipe(server)
    })
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return {
    port: (relay.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => relay.close(resolve))
    },
  }
}
