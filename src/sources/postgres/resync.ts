/** Asks whoever follows tables to read them again as a whole. */
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import { resyncOperation } from './audit-rows.js'
import { readAuditState } from './audit-schema.js'
import type { Connections } from './connections.js'
import type { Installer } from './installer.js'
import type { AuditNames } from './schema.sql.js'
import type { TableSelection } from './table-pattern.js'
import { selectTables } from './table-selection.js'
import { TableShaper } from './table-shape.js'

export interface ResyncOptions extends Abortable {
  readonly connections: Connections
  readonly names: AuditNames
  readonly installer: Installer
}

/**
 * The request is a row of the audit table: it takes its place among the changes, for every pipeline that reads them. All
 * tables are asked for, or none.
 * @throws SyncError `E_TRIGGER_MISSING` if nothing is captured in this database, `E_TABLE_WITHOUT_KEY` for a table without a key
 */
export async function requestResync(
  selection: TableSelection,
  { connections, names, installer, signal }: ResyncOptions,
): Promise<readonly string[]> {
  const shaper = new TableShaper()
  const selected = { keyless: 'refuse', warn: () => {}, shaper } as const
  const tables = await connections.use((session) =>
    session.within('look', () => selectTables(session, selection, selected)),
  )
  const { relation } = await connections.use((session) => session.within('look', () => readAuditState(session, names)))
  if (relation === undefined) {
    throw new SyncError('E_TRIGGER_MISSING', `There is no audit table ${names.changes}: nothing is followed here yet`, {
      hint: 'Run a full sync with `checkpoints` first: it copies these tables, too.',
    })
  }
  await installer.install(tables, { signal })
  const sql = `insert into ${names.changes} (table_id, table_name, operation)
    select t.id, t.name, '${resyncOperation}' from rows from (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[])) t(id, name)`
  const asked = [tables.map(({ oid }) => oid), tables.map(({ label }) => label)]
  await connections.use((session) => session.within('change', () => session.rows('asking for tables', sql, asked)))
  return tables.map(({ label }) => label)
}
