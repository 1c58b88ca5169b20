/** Roles for one test, which belong to the whole cluster and must not stay behind. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { TestDatabase } from './database.js'

export interface TestRole extends AsyncDisposable {
  readonly name: string
  /** The url of the test's database as this role. */
  readonly url: string
  /** A session as this role; it ends with the role. */
  client(): Promise<pg.Client>
}

/** Creates a role that can log in and nothing else. Must be disposed of before the database. */
export async function createRole(database: TestDatabase, attributes = ''): Promise<TestRole> {
  const admin = await database.client()
  const name = `role_${randomBytes(6).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  await admin.query(`create role ${name} login password '${password}' ${attributes}`)
  const url = new URL(database.url)
  url.username = name
  url.password = password
  const clients: pg.Client[] = []
  return {
    name,
    url: url.href,
    async client() {
      const client = new pg.Client({ connectionString: url.href })
      await client.connect()
      clients.push(client)
      return client
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(clients.map((client) => client.end()))
      await admin.query(`reassign owned by ${name} to current_user; drop owned by ${name}; drop role ${name}`)
    },
  }
}
