/** The definitions that the sink needs. */
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import type { Connection } from './connection.js'
import { isForbidden, toSyncError } from './errors.js'
import type { SinkConfig } from './options.js'
import { ask, askValue } from './query.js'
import {
  currentDatabase,
  defineDatabase,
  defineNamespace,
  defineTable,
  probeEncoding,
  stateTable,
} from './statements.js'
import type { TablePlan } from './table-plan.js'

/** Whether the server decodes CBOR by itself: SurrealDB 3, unless the function is denied. */
export async function hasCborFunctions(connection: Connection, options: Abortable): Promise<boolean> {
  try {
    const { results, failure } = await connection.call((db) => ask(db, probeEncoding), options)
    return failure === undefined && results.at(-1) === 1
  } catch (error) {
    // A server that does not know the function rejects the text as a whole.
    if (error instanceof SyncError && !error.retryable && error.code !== 'E_AUTH') return false
    throw error
  }
}

/**
 * Defines the database, the state table, and then the targets: one after the other, because definitions conflict with one
 * another. Between state and targets it is written down what is owned.
 */
export async function prepareDatabase(
  connection: Connection,
  { namespace, database }: Pick<SinkConfig, 'namespace' | 'database'>,
  plans: readonly TablePlan[],
  own: () => Promise<void>,
  options: Abortable,
): Promise<void> {
  if (namespace !== undefined && database !== undefined) {
    await defineIfAllowed(connection, defineNamespace(namespace), options)
    await defineIfAllowed(connection, defineDatabase(database), options)
  } else {
    await checkDatabase(connection, options)
  }
  await askValue(connection, defineTable(stateTable), {}, options)
  await own()
  for (const { target, table } of plans) await askValue(connection, defineTable(target), {}, options, table.label)
}

/** A user of the database may not define it, and need not if it is there. */
async function defineIfAllowed(connection: Connection, text: string, options: Abortable): Promise<void> {
  const { failure } = await connection.call((db) => ask(db, text), options)
  if (failure !== undefined && !isForbidden(failure)) throw toSyncError(failure)
}

async function checkDatabase(connection: Connection, options: Abortable): Promise<void> {
  const current = await askValue(connection, currentDatabase, {}, options)
  if (Array.isArray(current) && current.every((name) => typeof name === 'string')) return
  throw new SyncError('E_CONFIG', 'The connect function returned an instance that uses no database', {
    hint: 'Pass namespace and database when connecting, or call use().',
  })
}
