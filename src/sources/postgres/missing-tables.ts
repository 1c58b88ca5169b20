/** What became of tables that were followed at a position and are not among those to follow now. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Session } from './session.js'
import { skipNow } from './skip-now.js'
import type { SkippedTable } from './skipped-table.js'
import { goneWarning } from './structure-warnings.js'
import { parseRecord } from './table-marks.js'

export interface MissingOptions {
  /** What the position says of tables, by oid. */
  readonly known: Readonly<Record<string, string>>
  /** The tables to follow now, by oid. */
  readonly followed: { has(oid: number): boolean }
  readonly skipped: readonly SkippedTable[]
}

/** Those that do not exist any more. @throws SyncError for one that is there and cannot be followed: nothing may be skipped */
export async function missingTables(
  session: Session,
  { known, followed, skipped }: MissingOptions,
): Promise<readonly SyncWarning[]> {
  const warnings: SyncWarning[] = []
  for (const [oid, text] of Object.entries(known)) {
    const label = parseRecord(text)?.label
    if (followed.has(Number(oid)) || label === undefined) continue
    const now = await skipNow(session, Number(oid))
    if (now === undefined) warnings.push(goneWarning(label, 'no longer exists'))
    else if (now !== 'none' && now.reason !== 'partition' && skipped.some((skip) => skip.label === now.label)) {
      throw new SyncError(now.code, now.message, { table: label, hint: now.hint })
    }
  }
  return warnings
}
