/** Selects the database of a connection. */
import type { Surreal } from 'surrealdb'
import { isMissingDatabase, isUnselected, toSyncError } from './errors.js'
import { ask } from './query.js'

export interface DatabaseName {
  readonly namespace: string
  readonly database: string
}

/**
 * Selects the database if it is there. SurrealDB 3 creates what is selected, and connecting must not change anything: a dry
 * run and a run that is refused connect, too.
 */
export async function selectExisting(db: Surreal, { namespace, database }: DatabaseName): Promise<void> {
  if (await isMissing(db, 'INFO FOR ROOT;', 'namespaces', namespace)) return
  await db.use({ namespace })
  if (await isMissing(db, 'INFO FOR NS;', 'databases', database)) return
  await db.use({ namespace, database })
}

/** What is selected on a connection. @throws SyncError if that is not answered: it is no sign that nothing is */
export async function findSelected(db: Surreal): Promise<Partial<DatabaseName>> {
  const { results, failure } = await ask(db, 'RETURN [session::ns(), session::db()];')
  if (failure !== undefined) return findInSession(db, failure)
  const [namespace, database] = [results.at(-1)].flat().map(nameOf)
  return { namespace, database }
}

/** Functions may be denied; this parameter is always there. */
async function findInSession(db: Surreal, failure: unknown): Promise<Partial<DatabaseName>> {
  if (isUnselected(failure) || isMissingDatabase(failure)) return {}
  const session = await ask(db, 'RETURN $session;')
  if (session.failure !== undefined) throw toSyncError(failure)
  const found = Object(session.results.at(-1))
  return { namespace: nameOf(Reflect.get(found, 'ns')), database: nameOf(Reflect.get(found, 'db')) }
}

function nameOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Users that may not know are users of something that is there. */
async function isMissing(db: Surreal, text: string, kind: string, name: string): Promise<boolean> {
  const { results, failure } = await ask(db, text)
  const found: unknown = failure === undefined ? Reflect.get(Object(results.at(-1)), kind) : undefined
  return typeof found === 'object' && found !== null && !Object.hasOwn(found, name)
}
