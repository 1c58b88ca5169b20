/** Databases made and dropped on a PostgreSQL server one has administrator rights on. */
import pg from 'pg'

/**
 * Creates the database `name` and returns its url.
 *
 * @param adminUrl - Any database of the server, opened as a role that may create databases.
 * @param template - The database to copy; nobody may be connected to it. Default: `template1`.
 */
export async function createDatabase(adminUrl: string, name: string, template = 'template1'): Promise<string> {
  await withClient(adminUrl, async (client) => {
    await client.query(`create database ${pg.escapeIdentifier(name)} template ${pg.escapeIdentifier(template)}`)
  })
  return databaseUrl(adminUrl, name)
}

/**
 * Drops the database `name` if it exists, with what would keep it: its sessions, its prepared transactions and its
 * inactive replication slots.
 */
export async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withClient(adminUrl, async (client) => {
    await rollbackPrepared(client, adminUrl, name)
    await client.query(
      `select pg_drop_replication_slot(slot_name)
       from pg_replication_slots
       where database = $1 and not active`,
      [name],
    )
    await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
  })
}

/** A prepared transaction can only be ended from a session of its own database. */
async function rollbackPrepared(admin: pg.Client, adminUrl: string, name: string): Promise<void> {
  const { rows } = await admin.query<{ readonly gid: string }>(
    'select gid from pg_prepared_xacts where database = $1',
    [name],
  )
  if (rows.length === 0) return
  await withClient(databaseUrl(adminUrl, name), async (client) => {
    for (const { gid } of rows) await client.query(`rollback prepared ${pg.escapeLiteral(gid)}`)
  })
}

function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${encodeURIComponent(name)}`
  return url.href
}

async function withClient(url: string, use: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await use(client)
  } finally {
    await client.end()
  }
}
