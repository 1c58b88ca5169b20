/** Dates, timestamps and intervals in the styles `ISO` and `iso_8601`, and what SurrealDB should hold for them. */
import { datetime, duration, type SurrealValue, scalar } from './surreal-value.js'

const yearMax = 262_142
const instant = /^(\d+)-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:[+-]00(?::00)?)?( BC)?$/
const parts = /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d+))?S)?)?$/

/**
 * A date (midnight), timestamp (taken as UTC) or timestamptz (printed in UTC). Infinity, and a year that SurrealDB does not
 * have, is text: ISO 8601 with a sign and at least six digits of year.
 */
export function postgresInstant(text: string): SurrealValue {
  const match = instant.exec(text)
  if (match === null) return scalar('string', text)
  const [, years = '', month = '', day = '', hour, minute = '0', second = '0', fraction = '', era] = match
  const year = era === undefined ? Number(years) : 1 - Number(years)
  if (Math.abs(year) > yearMax) {
    const signed = `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}-${month}-${day}`
    if (hour === undefined) return scalar('string', signed)
    const rest = fraction.replace(/0+$/, '')
    return scalar('string', `${signed}T${hour}:${minute}:${second}${rest === '' ? '' : `.${rest}`}Z`)
  }
  const date = new Date(0)
  date.setUTCFullYear(year, Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour ?? 0), Number(minute), Number(second))
  return datetime(date.getTime() / 1_000, Number(fraction.padEnd(9, '0')))
}

/** A duration where it is neither negative nor has months; otherwise the text as PostgreSQL prints it. */
export function postgresInterval(text: string): SurrealValue {
  const match = parts.exec(text)
  if (match === null) return scalar('string', text)
  const [years, months, days, hours, minutes] = match.slice(1, 6).map((part) => BigInt(part ?? 0))
  const [, , , , , , sign, seconds, fraction = ''] = match
  const restNanos = BigInt(seconds ?? 0) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  const clock =
    ((hours ?? 0n) * 3_600n + (minutes ?? 0n) * 60n) * 1_000_000_000n + (sign === '-' ? -restNanos : restNanos)
  const nanos = (days ?? 0n) * 86_400_000_000_000n + clock
  const hasMonths = years !== 0n || months !== 0n
  if (hasMonths || (days ?? 0n) < 0n || clock < 0n) return scalar('string', text)
  return duration(nanos / 1_000_000_000n, nanos % 1_000_000_000n)
}
