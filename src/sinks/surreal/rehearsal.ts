/** What this user may not do, found out by transactions that fail at their end whatever happens before it. */

import type { Connection } from '../../connections/surreal/connection.js'
import { notApplied, thrownText, toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import { findSelected } from '../../connections/surreal/select-database.js'
import type { Abortable } from '../../core/source.js'
import type { SinkConfig } from './options.js'
import { defineDatabase, defineNamespace, rehearseDefinition, rehearsedText, rehearseWrite } from './statements.js'

type Target = Pick<SinkConfig, 'namespace' | 'database'>

/** Whether the database is there to look at. One that the caller selected is taken to be. */
export async function isThere(connection: Connection, { database }: Target, options: Abortable): Promise<boolean> {
  return database === undefined || (await connection.call(findSelected, options)).database !== undefined
}

/**
 * Whether this user may define what is missing and write state records. Nothing is left of it on the server.
 * @throws SyncError `E_RIGHTS`, `E_WRITE_NOT_APPLIED`
 */
export async function rehearse(
  connection: Connection,
  { namespace, database }: Target,
  pipeline: string,
  options: Abortable,
): Promise<void> {
  const bindings = { pipeline }
  if (namespace === undefined || database === undefined) return perform(connection, rehearseWrite, bindings, options)
  const selected = await connection.call(findSelected, options)
  if (selected.namespace === undefined) {
    await perform(connection, rehearseDefinition(defineNamespace(namespace)), {}, options)
  } else if (selected.database === undefined) {
    await perform(connection, rehearseDefinition(defineDatabase(database)), {}, options)
  } else {
    await perform(connection, rehearseWrite, bindings, options)
  }
}

async function perform(
  connection: Connection,
  text: string,
  bindings: Record<string, unknown>,
  options: Abortable,
): Promise<void> {
  const { failure } = await connection.call((db) => ask(db, text, bindings), options)
  const verdict = thrownText(failure)
  if (verdict === `${rehearsedText}allowed`) return
  throw verdict === `${rehearsedText}forbidden` ? notApplied(undefined) : toSyncError(failure)
}
