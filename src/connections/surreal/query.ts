/** One query, and what it really answered. */
import type { Surreal } from 'surrealdb'
import type { Abortable } from '../../core/source.js'
import type { Connection } from './connection.js'
import { isConsequence, toSyncError } from './errors.js'

/** The results of the statements that succeeded, or the error that made the others fail. */
export interface Answer {
  readonly results: readonly unknown[]
  readonly failure?: unknown
}

/**
 * Sends a query and looks at every response. Within a transaction each failure is reported once as itself and otherwise as
 * a consequence, and which comes first differs, so the first that is no consequence is the one.
 */
export async function ask(db: Surreal, text: string, bindings: Record<string, unknown> = {}): Promise<Answer> {
  const responses = await db.query(text, bindings).responses()
  const results: unknown[] = []
  const failures: unknown[] = []
  for (const response of responses) {
    if (response.success) results.push(response.result)
    else failures.push(response.error)
  }
  const failure = failures.find((error) => !isConsequence(error)) ?? failures[0]
  return failure === undefined ? { results } : { results, failure }
}

/** The result of the last statement. @throws SyncError */
export async function askValue(
  connection: Connection,
  text: string,
  bindings: Record<string, unknown>,
  options: Abortable,
  table?: string,
): Promise<unknown> {
  const { results, failure } = await connection.call((db) => ask(db, text, bindings), options, table)
  if (failure !== undefined) throw toSyncError(failure, { table })
  return results.at(-1)
}
