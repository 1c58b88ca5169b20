/** Where the source is now, and whether a copy may begin or go on there. */
import type { Position } from '../../core/checkpoint.js'
import { isOutdated } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { readAuditState } from './audit-schema.js'
import { currentSequence } from './fence.js'
import { readIdentity, verifyPosition } from './identity.js'
import type { Installer } from './installer.js'
import { type AuditPosition, decode } from './position.js'
import type { PostgresTable } from './postgres-table.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { parseRecord, readMarks, recordOf, recordText, type TableRecord } from './table-marks.js'

/** A position such that every change committed before this call is at or before it. Waits for transactions that write. */
export async function currentPosition(
  session: Session,
  names: AuditNames,
  tables: readonly PostgresTable[],
  options: { readonly signal?: AbortSignal; readonly warn: (warning: SyncWarning) => void },
): Promise<AuditPosition> {
  const identity = await readIdentity(session)
  const { incarnation } = await readAuditState(session, names)
  const records = await readRecords(session, tables)
  const sequence = await currentSequence(session, names, options)
  const anchor = await lastRow(session, names, sequence)
  return {
    sequence,
    highest: sequence,
    gaps: [],
    identity,
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(anchor === undefined ? {} : { anchor }),
    structures: Object.fromEntries([...records].map(([oid, record]) => [oid, recordText(record)])),
    at: new Date().toISOString(),
  }
}

/**
 * An earlier position, for a copy that began there and goes on with these tables as they are now. What a table was then
 * stays written down, so that whoever reads the changes sees what happened to it since; except if it has other files or
 * columns by now: then all of it is copied again.
 * @throws SyncError `E_SOURCE_IDENTITY`, `E_SOURCE_REWOUND`, `E_AUDIT_HOLE` if changes since then are not complete
 */
export async function positionSince(
  session: Session,
  names: AuditNames,
  tables: readonly PostgresTable[],
  since: AuditPosition,
): Promise<AuditPosition> {
  await verifyPosition(session, names, since, await readIdentity(session))
  const records = await readRecords(session, tables)
  const structures = [...records].map(([oid, now]) => {
    const before = since.structures?.[oid]
    const then = before === undefined ? undefined : parseRecord(before)
    const same = then?.label === now.label && then.structure === now.structure && then.storage === now.storage
    return [oid, same && before !== undefined ? before : recordText(now)]
  })
  return { ...since, structures: Object.fromEntries(structures) }
}

interface CopyContext {
  readonly installer: Installer
  readonly names: AuditNames
  readonly tables: readonly PostgresTable[]
}

/**
 * Finds out, before anything is installed, whether a copy may begin whose changes are captured, and whether it may go on
 * from where it was cut off. What a copy from the start repairs is no reason against it.
 * @throws SyncError also `E_AUDIT_DETACHED`
 */
export async function checkCopy(
  session: Session,
  { installer, names, tables }: CopyContext,
  since: Position | undefined,
): Promise<void> {
  const identity = await readIdentity(session)
  await installer.check(session, tables)
  if (since === undefined) return
  try {
    await verifyPosition(session, names, decode(since), identity)
  } catch (error) {
    if (!isOutdated(error)) throw error
  }
}

/** What each table is now, by oid. */
async function readRecords(
  session: Session,
  tables: readonly PostgresTable[],
): Promise<ReadonlyMap<string, TableRecord>> {
  const marks = await readMarks(session, tables)
  const records = new Map<string, TableRecord>()
  for (const table of tables) {
    const mark = marks.get(table.oid)
    if (mark !== undefined) records.set(String(table.oid), recordOf(table, mark))
  }
  return records
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
