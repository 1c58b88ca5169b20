/** A hot standby of a server, made of a copy of its files, that follows it by streaming replication. */
import pg from 'pg'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'

/** How its primary calls it. */
export const standbyName = 'standby'

export interface Standby {
  /** Of a database, as the primary's superuser. */
  url(database: string): string
  stop(): Promise<void>
}

/** @returns when it accepts connections */
export async function startStandby(primary: PostgresServer): Promise<Standby> {
  const standby = await startPostgres()
  const admin = new pg.Client({ connectionString: primary.url() })
  await admin.connect()
  /** As the account that both servers run as, to whom the files belong. */
  const shell = (command: string) => admin.query(`copy (select) to program ${pg.escapeLiteral(command)}`)
  const write = async (lines: readonly string[], command: string) => {
    const values = lines.map((line) => `(${pg.escapeLiteral(line)})`).join(', ')
    await admin.query(`copy (select line from (values ${values}) l(line)) to program ${pg.escapeLiteral(command)}`)
  }
  const [from, to] = [primary.dataDir, standby.dataDir]
  try {
    await admin.query(`select pg_backup_start('standby', true)`)
    // The server that has run there so far is to crash, and to find these files in place of its own.
    await shell(`find '${to}' -mindepth 1 -maxdepth 1 ! -name postmaster.pid -exec rm -rf {} +`)
    await shell(`tar -C '${from}' --exclude ./postmaster.pid --exclude ./pg_wal/0* -cf - . | tar -C '${to}' -xf -`)
    const { rows } = await admin.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    await write((rows[0]?.labelfile ?? '').trimEnd().split('\n'), `cat > '${to}/backup_label'`)
    const { host, port, user, password } = primary
    const settings = [
      `primary_conninfo = 'host=${host} port=${port} user=${user} password=${password} application_name=${standbyName}'`,
      `unix_socket_directories = '${standby.socketDir}'`,
      `wal_receiver_status_interval = '1s'`,
    ]
    await write(settings, `cat >> '${to}/postgresql.auto.conf' && : > '${to}/standby.signal'`)
    await standby.restart('immediate')
    return {
      // With the files came the password.
      url: (database) => standby.url(database).replace(standby.password, password),
      stop: () => standby.stop(),
    }
  } catch (error) {
    await standby.stop()
    throw error
  } finally {
    await admin.end()
  }
}
