/** A throw-away SurrealDB within this process. */
import { Surreal } from 'surrealdb'
import { SyncError } from '../index.js'
import { installHint } from './packages.js'

/** In memory; gone with the process at the latest. */
export class EmbeddedSurreal implements AsyncDisposable {
  readonly connection: Surreal
  readonly version: string

  private constructor(connection: Surreal, version: string) {
    this.connection = connection
    this.version = version
  }

  /** @throws SyncError `E_MISSING_PACKAGE` */
  static async start(namespace: string, database: string): Promise<EmbeddedSurreal> {
    const { createNodeEngines } = await importEngines()
    const connection = new Surreal({ engines: createNodeEngines() })
    await connection.connect('mem://')
    await connection.use({ namespace, database })
    const { version } = await connection.version()
    return new EmbeddedSurreal(connection, version.replace(/^surrealdb-/, ''))
  }

  /** An embedded SurrealDB that is not closed keeps the process alive. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close()
  }
}

async function importEngines() {
  try {
    return await import('@surrealdb/node')
  } catch (cause) {
    throw new SyncError('E_MISSING_PACKAGE', 'The demo needs the package @surrealdb/node', { hint: installHint, cause })
  }
}
