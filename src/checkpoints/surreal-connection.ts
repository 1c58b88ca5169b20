/** Opens the connection of a {@link SurrealCheckpointStore}. Loaded only by those that have a url. */
import { createRemoteEngines, type Engines, Surreal } from 'surrealdb'
import { SyncError } from '../core/errors.js'
import { isRefusal, surrealError } from './surreal-errors.js'

interface Place {
  readonly url: string
  readonly namespace: string
  readonly database: string
  readonly username?: string
  readonly password?: string
  readonly authLevel?: Level
}

type Level = 'root' | 'namespace' | 'database'
type InTime = <T>(call: Promise<T>) => Promise<T>

const levels = ['root', 'namespace', 'database'] as const

/** By HTTP, where every call is one request: there is no connection that could be lost between two saves. */
export async function openSurreal(place: Place, inTime: InTime): Promise<Surreal> {
  const embedded = /^(mem|surrealkv|surrealkv\+versioned|rocksdb):\/\//.test(place.url)
  const url = place.url.replace(/^ws(s?):/, 'http$1:')
  if (!embedded && !/^https?:\/\//.test(url)) throw new SyncError('E_CONFIG', 'The SurrealDB URL has an unknown scheme')
  const db = new Surreal({ engines: embedded ? await embeddedEngines() : createRemoteEngines() })
  try {
    await inTime(db.connect(url))
    // The embedded engine gives whoever opens it every right.
    if (!embedded) await signIn(db, place, inTime)
    return db
  } catch (error) {
    void db.close().catch(() => undefined)
    throw surrealError(error, true)
  }
}

async function signIn(db: Surreal, { namespace, database, ...user }: Place, inTime: InTime): Promise<void> {
  const { username, password, authLevel } = user
  if (username === undefined || password === undefined) return
  const credentials = {
    root: { username, password },
    namespace: { namespace, username, password },
    database: { namespace, database, username, password },
  }
  let refusal: unknown
  for (const level of authLevel === undefined ? levels : [authLevel]) {
    try {
      await inTime(db.signin(credentials[level]))
      return
    } catch (error) {
      if (!isRefusal(error)) throw error
      refusal ??= error
    }
  }
  throw refusal
}

async function embeddedEngines(): Promise<Engines> {
  try {
    const { createNodeEngines } = await import('@surrealdb/node')
    return createNodeEngines()
  } catch (error) {
    throw new SyncError('E_MISSING_PACKAGE', 'An embedded database needs the package @surrealdb/node', {
      hint: 'Install it: npm install @surrealdb/node@3',
      cause: error,
    })
  }
}
