/** What is in the target already, before a first run. Changes nothing. */
import { Table as SurrealTable } from 'surrealdb'
import { Connection } from '../../connections/surreal/connection.js'
import { isMissingTable, toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import type { Table } from '../../core/schema.js'
import type { Abortable } from '../../core/source.js'
import { Catalog } from './catalog.js'
import type { SinkConfig } from './options.js'
import { Ownership } from './ownership.js'
import { isThere } from './rehearsal.js'
import { firstId } from './statements.js'

/** A target table as it is. */
export interface TargetContent {
  /** `schema.name` at the source. */
  readonly label: string
  /** Its name in SurrealDB. */
  readonly name: string
  /** SurrealDB before 3.0 does not tell a missing table from an empty one: `empty`. */
  readonly content: 'missing' | 'empty' | 'records'
  /** Whether a full sync of the pipeline may replace what it holds: earlier runs wrote it. */
  readonly owned: boolean
}

/** In the order of the tables given. @throws SyncError */
export async function surveyTarget(
  config: SinkConfig,
  { id, tables }: { readonly id: string; readonly tables: readonly Table[] },
  options: Abortable,
): Promise<readonly TargetContent[]> {
  const plans = new Catalog(config.choices, config.tableName).register(tables, () => {})
  const connection = new Connection(config.dial, { callTimeoutMs: config.callTimeoutMs, address: config.address })
  try {
    await connection.open(options)
    const there = await isThere(connection, config, options)
    const ownership = new Ownership(connection, id)
    if (there) await ownership.load(options)
    const found: TargetContent[] = []
    for (const { table, target } of plans) {
      const content = there ? await contentOf(connection, target, options) : 'missing'
      found.push({ label: table.label, name: target, content, owned: ownership.isOwned(target) })
    }
    return found
  } finally {
    await connection.close()
  }
}

async function contentOf(
  connection: Connection,
  target: string,
  options: Abortable,
): Promise<TargetContent['content']> {
  const bindings = { table: new SurrealTable(target) }
  const { results, failure } = await connection.call((db) => ask(db, firstId, bindings), options)
  if (failure !== undefined && isMissingTable(failure, target)) return 'missing'
  if (failure !== undefined) throw toSyncError(failure)
  const ids = results.at(-1)
  return Array.isArray(ids) && ids.length > 0 ? 'records' : 'empty'
}
