/** What the tests themselves see of SurrealDB, beside the product. */
import { createNodeEngines } from '@surrealdb/node'
import { createRemoteEngines, Surreal } from 'surrealdb'
import { WebSocket } from 'ws'

export const namespace = 'production'
export const database = 'migrated_data'

// Node.js 20 has none of its own.
const websocketImpl = WebSocket as unknown as typeof globalThis.WebSocket

/** A connection that is closed at the end of its scope. */
export interface Target extends AsyncDisposable {
  readonly db: Surreal
}

/** Connects as root to a server, and uses a database if one is named. */
export async function openServer(url: string, use: { namespace?: string; database?: string } = {}): Promise<Target> {
  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl })
  await db.connect(url, { authentication: { username: 'root', password: 'root' }, reconnect: false })
  if (use.namespace !== undefined) await db.use(use)
  return closing(db)
}

/** Opens the database that the command line has written to. */
export async function openTarget(url: string): Promise<Target> {
  return await openServer(url, { namespace, database })
}

/** An empty database in this process. */
export async function openMemory(): Promise<Target> {
  const db = new Surreal({ engines: createNodeEngines() })
  await db.connect('mem://')
  await db.use({ namespace, database })
  return closing(db)
}

function closing(db: Surreal): Target {
  return {
    db,
    async [Symbol.asyncDispose]() {
      await db.close()
    },
  }
}
