/** The definitions that the sink needs. */

import type { Connection } from '../../connections/surreal/connection.js'
import { isForbidden, toSyncError } from '../../connections/surreal/errors.js'
import { ask, askValue } from '../../connections/surreal/query.js'
import type { Abortable } from '../../core/source.js'
import type { SinkConfig } from './options.js'
import { defineDatabase, defineNamespace, defineTable, quarantineTable, stateTable } from './statements.js'
import type { TablePlan } from './table-plan.js'

/** Defines the namespace and the database. A user of the database may not do that, and need not if they are there. */
export async function defineDatabases(
  connection: Connection,
  { namespace, database }: Pick<SinkConfig, 'namespace' | 'database'>,
  options: Abortable,
): Promise<void> {
  if (namespace === undefined || database === undefined) return
  await defineIfAllowed(connection, defineNamespace(namespace), options)
  // It was not selected if it was not there.
  await connection.call((db) => db.use({ namespace, database }), options)
  await defineIfAllowed(connection, defineDatabase(database), options)
}

async function defineIfAllowed(connection: Connection, text: string, options: Abortable): Promise<void> {
  const { failure } = await connection.call((db) => ask(db, text), options)
  if (failure !== undefined && !isForbidden(failure)) throw toSyncError(failure)
}

/** Defines the table of state records. @throws SyncError `E_RIGHTS` */
export async function defineState(connection: Connection, options: Abortable): Promise<void> {
  await askValue(connection, defineTable(stateTable), {}, options)
}

/** Defines the table of rows that were refused. @throws SyncError `E_RIGHTS` */
export async function defineQuarantine(connection: Connection, options: Abortable): Promise<void> {
  await askValue(connection, defineTable(quarantineTable), {}, options)
}

/** Defines target tables, one after the other: definitions conflict with one another. */
export async function defineTargets(
  connection: Connection,
  plans: readonly TablePlan[],
  options: Abortable,
): Promise<void> {
  for (const { target, table } of plans) await askValue(connection, defineTable(target), {}, options, table.label)
}
