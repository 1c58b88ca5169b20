/** Where the source is now. */
import type { SyncWarning } from '../../core/events.js'
import { readAuditState } from './audit-schema.js'
import { currentSequence } from './fence.js'
import { readIdentity } from './identity.js'
import type { AuditPosition } from './position.js'
import type { PostgresTable } from './postgres-table.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { readMarks, recordOf, recordText } from './table-marks.js'

/** A position such that every change committed before this call is at or before it. Waits for transactions that write. */
export async function currentPosition(
  session: Session,
  names: AuditNames,
  tables: readonly PostgresTable[],
  options: { readonly signal?: AbortSignal; readonly warn: (warning: SyncWarning) => void },
): Promise<AuditPosition> {
  const identity = await readIdentity(session)
  const { incarnation } = await readAuditState(session, names)
  const marks = await readMarks(session, tables)
  const sequence = await currentSequence(session, names, options)
  const anchor = await lastRow(session, names, sequence)
  const records = tables.flatMap((table) => {
    const mark = marks.get(table.oid)
    return mark === undefined ? [] : [[String(table.oid), recordText(recordOf(table, mark))] as const]
  })
  return {
    sequence,
    highest: sequence,
    gaps: [],
    identity,
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(anchor === undefined ? {} : { anchor }),
    structures: Object.fromEntries(records),
    at: new Date().toISOString(),
  }
}

/** Near the end there is one, unless everything was pruned; the lower bound keeps deleted rows from being searched. */
async function lastRow(
  session: Session,
  { changes }: AuditNames,
  sequence: number,
): Promise<readonly [sequence: number, transaction: string] | undefined> {
  const sql = `select c.sequence_id, c.xmin from ${changes} c
    where c.sequence_id <= $1 and c.sequence_id > $1 - 1000 order by c.sequence_id desc limit 1`
  const [row] = await session.rows('reading the last change', sql, [sequence])
  return row === undefined ? undefined : [Number(row[0]), row[1] ?? '']
}
