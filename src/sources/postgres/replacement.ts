/** What happened to a table since it was read last, as far as its triggers have not told. */
import { type CaptureState, isCaptured, isCapturingRows } from './capture-state.js'
import { isRelabelled, recordOf, type TableMark, type TableRecord } from './table-marks.js'

export interface Replacement {
  readonly code: 'table_replaced' | 'table_renamed'
  /** Completes a sentence that begins with the table's name. */
  readonly what: string
}

/**
 * Why the table must be read as a whole; `undefined`: it need not.
 *
 * New files alone are no reason: TRUNCATE is captured, and VACUUM FULL, CLUSTER or a move to another tablespace change no
 * row. Rows with other values come with a changed column, or with a label of an enum that was renamed.
 * @param before `undefined`: nothing is known of it.
 */
export function replacementOf(
  state: CaptureState,
  mark: TableMark,
  before: TableRecord | undefined,
): Replacement | undefined {
  const now = recordOf(state.table, mark)
  const replaced = (what: string): Replacement => ({ code: 'table_replaced', what })
  const captured = isCaptured(state)
  if (before === undefined) return captured ? undefined : replaced('was not captured for a while')
  if (before.label !== now.label) return { code: 'table_renamed', what: `was ${before.label} before` }
  if (before.structure !== now.structure)
    return replaced('has other columns, another key, other partitions or another shape')
  const rewritten = before.columns !== now.columns || (!captured && isCapturingRows(state))
  if (before.storage !== now.storage && rewritten) return replaced('was rewritten')
  if (isRelabelled(before, mark)) return replaced('has an enum of which a value was renamed')
  // A function of an older release captured just as well, if it is the one that was there.
  if (before.capture !== '' && before.capture !== now.capture) return replaced('was perhaps not captured for a while')
  return captured || isCapturingRows(state) || !isMissing(state) ? undefined : replaced('was not captured for a while')
}

/** Not merely of another text. */
function isMissing(state: CaptureState): boolean {
  return state.function === 'missing' || state.triggers.some((trigger) => trigger.state !== 'right')
}
