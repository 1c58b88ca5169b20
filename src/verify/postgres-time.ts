/** Dates, timestamps and intervals in the styles `ISO` and `iso_8601`, and what SurrealDB should hold for them. */
import { datetime, duration, object, type SurrealValue, scalar, surrealNull } from './surreal-value.js'
import type { ValueForms } from './value-forms.js'

const yearMax = 262_142
const instant = /^(\d+)-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:[+-]00(?::00)?)?( BC)?$/
const parts = /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d+))?S)?)?$/

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

/** A duration where it is neither negative nor has months; otherwise the text as PostgreSQL prints it. */
export function postgresInterval(text: string, { interval }: ValueForms): SurrealValue {
  const match = parts.exec(text)
  if (match === null || interval === 'string') return scalar('string', text)
  const [years = 0n, months = 0n, days = 0n, hours = 0n, minutes = 0n] = match
    .slice(1, 6)
    .map((part) => BigInt(part ?? 0))
  const [, , , , , , sign, seconds, fraction = ''] = match
  const restNanos = BigInt(seconds ?? 0) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  const clock = (hours * 3_600n + minutes * 60n) * 1_000_000_000n + (sign === '-' ? -restNanos : restNanos)
  if (interval === 'object') {
    return object([
      ['months', scalar('int', String(years * 12n + months))],
      ['days', scalar('int', String(days))],
      ['microseconds', scalar('int', String(clock / 1_000n))],
    ])
  }
  const nanos = days * 86_400_000_000_000n + clock
  const hasMonths = years * 12n + months !== 0n
  if (hasMonths || days < 0n || clock < 0n) return scalar('string', text)
  return duration(nanos / 1_000_000_000n, nanos % 1_000_000_000n)
}
