/** Durations on the command line. */
import { SyncError } from '../index.js'

const unitsMs: { readonly [unit: string]: number } = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const pattern = /^(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)?$/
const daysMax = 366

/**
 * Milliseconds of `500ms`, `90s`, `1m`, `2h`, `1.5d`, or of plain seconds.
 * @param flag for the message
 * @throws SyncError `E_CONFIG`
 */
export function parseDuration(text: string, flag: string): number {
  const [, digits, unit = 's'] = pattern.exec(text.trim().toLowerCase()) ?? []
  const durationMs = Math.round(Number(digits) * (unitsMs[unit] ?? Number.NaN))
  if (digits === undefined || Number.isNaN(durationMs)) {
    throw invalid(`${flag} is not a duration`)
  }
  if (durationMs === 0) throw invalid(`${flag} must be longer than nothing`)
  if (durationMs > daysMax * 86_400_000) throw invalid(`${flag} is longer than ${daysMax} days`)
  return durationMs
}

function invalid(message: string): SyncError {
  return new SyncError('E_CONFIG', message, { hint: 'Write 500ms, 90s, 1m, 2h, 1d, or a number of seconds.' })
}
