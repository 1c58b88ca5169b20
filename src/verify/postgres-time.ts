/** Dates, timestamps and intervals in the styles `ISO` and `postgres`, and what SurrealDB should hold for them. */
import { datetime, duration, object, type SurrealValue, scalar, surrealNull } from './surreal-value.js'
import type { ValueForms } from './value-forms.js'

const yearMax = 262_142
const instant = /^(\d+)-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:[+-]00(?::00)?)?( BC)?$/
const parts =
  /^(?=.)(?:([+-]?\d+) years?)? ?(?:([+-]?\d+) mons?)? ?(?:([+-]?\d+) days?)? ?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?)?$/

/**
 * A date (midnight), timestamp (taken as UTC) or timestamptz (printed in UTC). Infinity, and a year that SurrealDB does not
 * have, is text, ISO 8601 with a sign and at least six digits of year, unless NULL was chosen.
 */
export function postgresInstant(text: string, { infinity }: ValueForms): SurrealValue {
  const match = instant.exec(text)
  if (match === null) return infinity === 'null' ? surrealNull : scalar('string', text)
  const [, , month = '', day = '', hour, minute = '0', second = '0', fraction = ''] = match
  const year = yearOf(match)
  if (Math.abs(year) > yearMax) {
    if (infinity === 'null') return surrealNull
    const signed = `${yearText(year)}-${month}-${day}`
    if (hour === undefined) return scalar('string', signed)
    const rest = fraction.replace(/0+$/, '')
    return scalar('string', `${signed}T${hour}:${minute}:${second}${rest === '' ? '' : `.${rest}`}Z`)
  }
  const date = new Date(0)
  date.setUTCFullYear(year, Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour ?? 0), Number(minute), Number(second))
  return datetime(date.getTime() / 1_000, Number(fraction.padEnd(9, '0')))
}

/** As text, where that was chosen, there is no year that does not fit. */
export function postgresDate(text: string, forms: ValueForms): SurrealValue {
  const match = instant.exec(text)
  if (forms.date === 'datetime' || match === null) return postgresInstant(text, forms)
  return scalar('string', `${yearText(yearOf(match))}-${match[2]}-${match[3]}`)
}

function yearOf([, years = '', , , , , , , era]: readonly string[]): number {
  return era === undefined ? Number(years) : 1 - Number(years)
}

function yearText(year: number): string {
  if (year >= 0 && year <= 9_999) return String(year).padStart(4, '0')
  return `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}`
}

/** A duration where it is neither negative nor has months; otherwise text, ISO 8601. Infinity is as PostgreSQL prints it. */
export function postgresInterval(text: string, { interval }: ValueForms): SurrealValue {
  const match = parts.exec(text)
  if (match === null) return scalar('string', text)
  const [, years = '0', months = '0', days = '0', sign = '', hours = '0', minutes = '0', seconds = '0', decimals = ''] =
    match
  const fraction = decimals.replace(/0+$/, '')
  const time = BigInt(hours) * 3_600n + BigInt(minutes) * 60n + BigInt(seconds)
  const size = time * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  const clock = sign === '-' ? -size : size
  if (interval === 'object') {
    return object([
      ['months', scalar('int', String(BigInt(years) * 12n + BigInt(months)))],
      ['days', scalar('int', String(BigInt(days)))],
      ['microseconds', scalar('int', String(clock / 1_000n))],
    ])
  }
  const nanos = BigInt(days) * 86_400_000_000_000n + clock
  const hasMonths = BigInt(years) !== 0n || BigInt(months) !== 0n
  if (interval === 'duration' && !hasMonths && BigInt(days) >= 0n && clock >= 0n) {
    return duration(nanos / 1_000_000_000n, nanos % 1_000_000_000n)
  }
  const signed = (size: string, unit: string) => (/^[+-]?[0.]*$/.test(size) ? '' : `${size.replace('+', '')}${unit}`)
  const dated = signed(years, 'Y') + signed(months, 'M') + signed(days, 'D')
  const minus = sign === '-' ? '-' : ''
  const wholeSeconds = `${minus}${Number(seconds)}${fraction === '' ? '' : `.${fraction}`}`
  const timed =
    signed(`${minus}${BigInt(hours)}`, 'H') + signed(`${minus}${Number(minutes)}`, 'M') + signed(wholeSeconds, 'S')
  return scalar('string', dated + timed === '' ? 'PT0S' : `P${dated}${timed === '' ? '' : `T${timed}`}`)
}
