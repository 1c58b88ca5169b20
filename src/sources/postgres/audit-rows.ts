/** Rows of the audit table, and which of them one poll may use. */
import type { Gap, GapTracker } from './gap-tracker.js'
import type { AuditNames } from './schema.sql.js'
import type { Session, TextRow } from './session.js'

export interface AuditRow {
  readonly sequence: number
  /** The oid of the table. */
  readonly table: number
  /** The key as the JSON array that the capture function wrote; null for statements on the whole table. */
  readonly key: string | null
  readonly changedAtMs: number
  /** Somebody asks for the table as a whole. */
  readonly asks: boolean
  /** Its `xmin`. */
  readonly transaction: string
}

/** What one poll takes in. */
export interface AuditPage {
  readonly late: readonly AuditRow[]
  readonly fresh: readonly AuditRow[]
  /** The unsearched gaps were searched up to this number. */
  readonly searchedTo: number
  /** Nothing visible was left out. */
  readonly drained: boolean
}

/** Bounds of one poll, whatever keys look like: rows are read a slice at a time until there is enough. */
const limits = { sliceRows: 10_000, bytesMax: 8_388_608 }

const gapRanges =
  'rows from (pg_catalog.unnest($1::pg_catalog.int8[]), pg_catalog.unnest($2::pg_catalog.int8[])) as g(low, high)'

/** The operation of a row that asks for a whole table. */
export const resyncOperation = 'RESYNC'

const columns = `c.sequence_id, c.table_id, c.row_id, pg_catalog.floor(extract(epoch from c.changed_at) * 1000),
  c.operation = '${resyncOperation}', c.xmin`

/** The tables that the next page names, by oid. */
export interface NamedTables {
  readonly all: ReadonlySet<number>
  /** Those that somebody asked for as a whole. */
  readonly asked: ReadonlySet<number>
}

/** Reads at most as many rows as the page will. */
export async function peekTables(
  session: Session,
  { changes }: AuditNames,
  tracker: GapTracker,
  rowsMax: number,
): Promise<NamedTables> {
  const doing = 'looking for changes'
  const named = (rows: string) =>
    `select p.table_id, pg_catalog.bool_or(p.operation = '${resyncOperation}') from (${rows}) p group by p.table_id`
  const fresh = `select c.table_id, c.operation from ${changes} c where c.sequence_id > $1 order by c.sequence_id limit $2`
  const rows = [...(await session.rows(doing, named(fresh), [tracker.highest, rowsMax]))]
  const { gaps } = nextGaps(tracker, rowsMax)
  if (gaps.length > 0) {
    const late = `select c.table_id, c.operation from ${gapRanges} cross join lateral (
      select a.table_id, a.operation from ${changes} a where a.sequence_id between g.low and g.high
      order by a.sequence_id limit $3) c`
    rows.push(...(await session.rows(doing, named(late), [...bounds(gaps), rowsMax])))
  }
  return {
    all: new Set(rows.map(([table]) => Number(table))),
    asked: new Set(rows.filter(([, asked]) => asked === 't').map(([table]) => Number(table))),
  }
}

/** Reads the rows in the gaps and above the highest number seen, in the session's snapshot. */
export async function readAuditRows(
  session: Session,
  { changes }: AuditNames,
  tracker: GapTracker,
  rowsMax: number,
): Promise<AuditPage> {
  const doing = 'reading changes'
  const { gaps, searchedTo } = nextGaps(tracker, rowsMax)
  const lateSql = `select ${columns} from ${gapRanges} cross join lateral (
      select a.*, a.xmin from ${changes} a
      where a.sequence_id between g.low and g.high and a.sequence_id > $3 order by a.sequence_id limit $4
    ) c order by c.sequence_id limit $4`
  const late = await readSlices(0, rowsMax, async (after, count) => {
    const open = gaps.filter(({ high }) => high > after)
    return open.length === 0 ? [] : session.rows(doing, lateSql, [...bounds(open), after, count])
  })
  const last = late.rows.at(-1)
  if (last !== undefined && !late.complete) {
    return { late: late.rows, fresh: [], searchedTo: last.sequence, drained: false }
  }
  const freshSql = `select ${columns} from ${changes} c where c.sequence_id > $1 order by c.sequence_id limit $2`
  const fresh = await readSlices(tracker.highest, rowsMax - late.rows.length, (after, count) =>
    session.rows(doing, freshSql, [after, count]),
  )
  const drained = fresh.complete && searchedTo === tracker.highest
  return { late: late.rows, fresh: fresh.rows, searchedTo, drained }
}

/** Reads rows of one table that were seen before and left, up to a number. */
export function readTableRows(
  session: Session,
  { changes }: AuditNames,
  table: number,
  { after, upTo, rowsMax }: { readonly after: number; readonly upTo: number; readonly rowsMax: number },
): Promise<{ readonly rows: readonly AuditRow[]; readonly complete: boolean }> {
  const sql = `select ${columns} from ${changes} c
    where c.sequence_id > $1 and c.sequence_id <= $2 and c.table_id = $3 order by c.sequence_id limit $4`
  return readSlices(after, rowsMax, (from, count) => session.rows('reading changes', sql, [from, upTo, table, count]))
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

/** The lowest gaps that may hold something new: as many as can hold so many rows, and at least one. */
function nextGaps(
  tracker: GapTracker,
  rowsMax: number,
): { readonly gaps: readonly Gap[]; readonly searchedTo: number } {
  const { unsearched } = tracker
  let width = 0
  for (const [index, { low, high }] of unsearched.entries()) {
    width += high - low + 1
    if (width >= rowsMax && index < unsearched.length - 1) {
      return { gaps: unsearched.slice(0, index + 1), searchedTo: high }
    }
  }
  return { gaps: unsearched, searchedTo: tracker.highest }
}

function bounds(gaps: readonly Gap[]): readonly (readonly number[])[] {
  return [gaps.map(({ low }) => low), gaps.map(({ high }) => high)]
}

/** Reads until there are no more rows, or enough of them. */
async function readSlices(
  start: number,
  rowsMax: number,
  read: (after: number, count: number) => Promise<readonly TextRow[]>,
): Promise<{ readonly rows: readonly AuditRow[]; readonly complete: boolean }> {
  const rows: AuditRow[] = []
  let after = start
  let bytes = 0
  while (rows.length < rowsMax && bytes < limits.bytesMax) {
    const count = Math.min(limits.sliceRows, rowsMax - rows.length)
    const slice = await read(after, count)
    for (const text of slice) {
      const row = auditRow(text)
      rows.push(row)
      bytes += row.key?.length ?? 0
    }
    if (slice.length < count) return { rows, complete: true }
    after = rows.at(-1)?.sequence ?? after
  }
  return { rows, complete: false }
}

function auditRow([sequence, table, key, changedAt, asks, transaction]: TextRow): AuditRow {
  return {
    sequence: Number(sequence),
    table: Number(table),
    key: key ?? null,
    changedAtMs: Number(changedAt),
    asks: asks === 't',
    transaction: transaction ?? '',
  }
}
