/** The sums over all tables. */
import { formatCount, formatDuration, formatRate } from './figures.js'
import type { Progress } from './progress.js'

export interface Totals {
  readonly tables: number
  readonly tablesDone: number
  readonly rows: number
  /** An estimate. Undefined as soon as one table has none. */
  readonly rowsExpected: number | undefined
  /** On average since the phase began. */
  readonly rate: number
  readonly remainingMs: number | undefined
}

export function totalsOf(progress: Progress): Totals {
  const tables = progress.tables()
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  const rowsExpected = tables.reduce<number | undefined>(
    (sum, { total }) => (sum === undefined || total === undefined ? undefined : sum + total),
    0,
  )
  const rate = (rows * 1_000) / Math.max(1, progress.durationMs)
  const remainingMs =
    rowsExpected === undefined || rate === 0 || rows === rowsExpected
      ? undefined
      : ((rowsExpected - rows) * 1_000) / rate
  return {
    tables: tables.length,
    tablesDone: tables.filter(({ state }) => state === 'done').length,
    rows,
    rowsExpected,
    rate,
    remainingMs,
  }
}

/** `337.9k of about 650.0k rows in 2.1 s, 158.2k/s, 2.0 s left`, or `12 changes in 3.0 s, 4.0/s, lag 15 ms`. */
export function describeTotals(progress: Progress): string {
  const { rows, rowsExpected, rate, remainingMs } = totalsOf(progress)
  const time = `in ${formatDuration(progress.durationMs)}, ${formatRate(rate)}`
  if (progress.phase === 'incremental') {
    const lag = progress.lagMs === undefined ? '' : `, lag ${formatDuration(progress.lagMs)}`
    return `${formatCount(rows)} ${rows === 1 ? 'change' : 'changes'} ${time}${lag}`
  }
  const expected = rowsExpected === undefined || rowsExpected === rows ? '' : ` of about ${formatCount(rowsExpected)}`
  const left = remainingMs === undefined ? '' : `, ${formatDuration(remainingMs)} left`
  return `${formatCount(rows)}${expected} rows ${time}${left}`
}
