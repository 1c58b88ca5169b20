/** PostgreSQL with TLS, and somebody in between who strips it. */
import pg from 'pg'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import type { Certificate } from './certificates.js'
import { pipeWithoutTls, type Relay, startRelay } from './relay.js'

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

/** Says to whoever asks for TLS that there is none, and passes on everything else. */
export function stripTls(port: number): Promise<Relay> {
  return startRelay(port, (client, server) => {
    server.pipe(client)
    pipeWithoutTls(client, server)
  })
}
