/** Rows of the audit table, and which of them one poll may use. */
import type { GapTracker } from './gap-tracker.js'
import type { AuditNames } from './schema.sql.js'
import type { Session, TextRow } from './session.js'

export interface AuditRow {
  readonly sequence: number
  /** The oid of the table. */
  readonly table: number
  readonly operation: string
  /** The key as the JSON array that the capture function wrote; null for statements on the whole table. */
  readonly key: string | null
  readonly changedAtMs: number
}

/** What one poll takes in. */
export interface AuditPage {
  readonly late: readonly AuditRow[]
  readonly fresh: readonly AuditRow[]
  /** The gaps were searched up to this number. */
  readonly searchedTo: number
  /** Nothing visible was left out. */
  readonly drained: boolean
}

const columns =
  'c.sequence_id, c.table_id, c.operation, c.row_id, pg_catalog.floor(extract(epoch from c.changed_at) * 1000)'
const gapRanges = 'rows from (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[])) as g(low, high)'

/** The tables that the next page names. Reads at most as many rows as the page will. */
export async function peekTables(
  session: Session,
  { changes }: AuditNames,
  tracker: GapTracker,
  rowsMax: number,
): Promise<ReadonlySet<number>> {
  const fresh = `select c.table_id from ${changes} c where c.sequence_id > $1 order by c.sequence_id limit $2`
  const doing = 'looking for changes'
  const rows = [
    ...(await session.rows(doing, `select distinct table_id from (${fresh}) p`, [tracker.highest, rowsMax])),
  ]
  if (tracker.gaps.length > 0) {
    const late = `select distinct c.table_id from ${gapRanges} join ${changes} c on c.sequence_id between g.low and g.high`
    rows.push(...(await session.rows(doing, late, ranges(tracker))))
  }
  return new Set(rows.map(([table]) => Number(table)))
}

/** Reads the rows in the gaps and above the highest number seen, in the session's snapshot. */
export async function readAuditRows(
  session: Session,
  { changes }: AuditNames,
  tracker: GapTracker,
  rowsMax: number,
): Promise<AuditPage> {
  const doing = 'reading changes'
  const late =
    tracker.gaps.length === 0
      ? []
      : await session.rows(
          doing,
          `select ${columns} from ${gapRanges} cross join lateral (
             select * from ${changes} a where a.sequence_id between g.low and g.high order by a.sequence_id limit $3
           ) c order by c.sequence_id limit $3`,
          [...ranges(tracker), rowsMax],
        )
  const lateRows = late.map(auditRow)
  const last = lateRows.at(-1)
  if (last !== undefined && lateRows.length === rowsMax) {
    return { late: lateRows, fresh: [], searchedTo: last.sequence, drained: false }
  }
  const fresh = await session.rows(
    doing,
    `select ${columns} from ${changes} c where c.sequence_id > $1 order by c.sequence_id limit $2`,
    [tracker.highest, rowsMax],
  )
  return { late: lateRows, fresh: fresh.map(auditRow), searchedTo: tracker.highest, drained: fresh.length < rowsMax }
}

/** The part of the page before the first row of a table that may not be read now. */
export function cut(page: AuditPage, usable: (row: AuditRow) => boolean): AuditPage {
  const late = page.late.findIndex((row) => !usable(row))
  const stop = page.late[late]
  if (stop !== undefined) {
    return { late: page.late.slice(0, late), fresh: [], searchedTo: stop.sequence - 1, drained: false }
  }
  const fresh = page.fresh.findIndex((row) => !usable(row))
  return fresh < 0 ? page : { ...page, fresh: page.fresh.slice(0, fresh), drained: false }
}

function ranges({ gaps }: GapTracker): readonly (readonly number[])[] {
  return [gaps.map(({ low }) => low), gaps.map(({ high }) => high)]
}

function auditRow([sequence, table, operation, key, changedAt]: TextRow): AuditRow {
  return {
    sequence: Number(sequence),
    table: Number(table),
    operation: operation ?? '',
    key: key ?? null,
    changedAtMs: Number(changedAt),
  }
}
