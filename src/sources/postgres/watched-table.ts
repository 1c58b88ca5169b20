/** A table that is followed, as it was when it was looked at last. */
import type { PostgresTable } from './postgres-table.js'
import type { TableMark } from './table-marks.js'

export interface Watched {
  readonly table: PostgresTable
  /** `undefined`: not looked at yet, or to be looked at again. */
  readonly mark: TableMark | undefined
  /** It could not be captured yet, because somebody holds a lock; when to try again. */
  readonly stuckUntil?: number
}

/** Whether it must be looked at again. */
export function isMoved({ mark, stuckUntil }: Watched, now: TableMark | undefined): boolean {
  if (stuckUntil !== undefined && performance.now() < stuckUntil && now !== undefined) return false
  return mark === undefined || mark.whole !== now?.whole
}
