/** How large the audit table is, and how much of it somebody still needs. Reads only. */
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

export interface AuditSize {
  /** What the audit table takes, its index included. */
  readonly bytes: number
  /** About how much of that is changes that a pipeline has not applied yet: all, if none is registered. */
  readonly neededBytes: number
  /** The same of all changes that are kept. */
  readonly keptBytes: number
}

/** What a row takes beside itself: a line pointer, an entry of the index, and their share of the pages. */
const rowOverheadBytes = 32

/** Numbers are handed out one by one, so that two look-ups in the index stand in for counting rows. */
const sizeSql = ({ changes, consumers }: AuditNames) => `
select pg_catalog.pg_total_relation_size($1::pg_catalog.regclass),
  coalesce((select pg_catalog.max(c.sequence_id) from ${changes} c), 0),
  coalesce((select pg_catalog.min(c.sequence_id) from ${changes} c), 1),
  coalesce((select pg_catalog.min(r.position) from ${consumers} r), 0),
  coalesce((select pg_catalog.avg(pg_catalog.pg_column_size(n.*)) from (
    select c.* from ${changes} c order by c.sequence_id desc limit 1000) n), 0)`

/** @returns undefined: there is no audit table */
export async function readAuditSize(session: Session, names: AuditNames): Promise<AuditSize | undefined> {
  const doing = 'measuring the audit table'
  const there = 'select pg_catalog.to_regclass($1) is not null and pg_catalog.to_regclass($2) is not null'
  const [installed] = await session.rows(doing, there, [names.changes, names.consumers])
  if (installed?.[0] !== 't') return undefined
  const [row] = await session.rows(doing, sizeSql(names), [names.changes])
  const [bytes = 0, highest = 0, lowest = 1, applied = 0, rowBytes = 0] = (row ?? []).map(Number)
  const size = (after: number) => Math.round(Math.max(0, highest - after) * (rowBytes + rowOverheadBytes))
  return { bytes, neededBytes: size(Math.max(applied, lowest - 1)), keptBytes: size(lowest - 1) }
}

/** Whether the table would go on growing: room that is no longer needed is used again, and comes to no more than half. */
export function isFull({ bytes, neededBytes }: Omit<AuditSize, 'keptBytes'>, bytesMax: number): boolean {
  return bytes > bytesMax && neededBytes > bytesMax / 2
}

/** Whether it would go on growing unless what nobody needs is removed, if there is such. */
export function isCrowded({ bytes, keptBytes }: Omit<AuditSize, 'neededBytes'>, bytesMax: number): boolean {
  return isFull({ bytes, neededBytes: keptBytes }, bytesMax)
}
