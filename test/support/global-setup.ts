/** One PostgreSQL for a whole run of the tests; each test makes its own database on it (database.ts). */
import type { TestProject } from 'vitest/node'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** The url of a superuser on the server all tests share. */
    readonly postgresUrl: string
  }
}

let server: PostgresServer | undefined

/** Starts the server, unless the environment variable TEST_POSTGRES_URL names one. */
export async function setup(project: TestProject): Promise<void> {
  const given = process.env.TEST_POSTGRES_URL
  if (given !== undefined) return project.provide('postgresUrl', given)
  server = await startPostgres()
  project.provide('postgresUrl', server.url())
}

/** Stops the server that {@link setup} started. */
export async function teardown(): Promise<void> {
  await server?.stop()
}
