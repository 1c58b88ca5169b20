/** A fresh PostgreSQL database for one test. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import * as databases from '../../src/demo/postgres-database.js'

/** A database that ends with the scope it was made in: `await using database = await createDatabase()`. */
export interface TestDatabase extends AsyncDisposable {
  /** A superuser's connection url. */
  readonly url: string
  readonly name: string
  /** Opens a connection; it is closed with the database unless the test has ended it before. */
  client(): Promise<pg.Client>
}

/** Creates a database with a random name on the server of the run (global-setup.ts). */
export async function createDatabase(): Promise<TestDatabase> {
  const adminUrl = inject('postgresUrl')
  const name = `test_${randomBytes(8).toString('hex')}`
  const url = await databases.createDatabase(adminUrl, name)
  const clients = new Set<pg.Client>()

  return {
    url,
    name,
    async client() {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      clients.add(client)
      client.once('end', () => clients.delete(client))
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.on('error', () => {}) // a test may have left it broken
      await databases.dropDatabase(adminUrl, name)
      await Promise.all([...clients].map((client) => client.end()))
    },
  }
}
