/** ISO 8601 texts of dates, timestamps and intervals, for values that SurrealDB's own types cannot hold. */

const secondsPerDay = 86_400
const microsPerSecond = 1_000_000n

/** `2024-01-31`. A sign and six digits for years outside 0000 to 9999. */
export function dateText(days: number): string {
  const { year, month, day } = civil(days)
  const yearText =
    year >= 0 && year <= 9999
      ? String(year).padStart(4, '0')
      : `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}`
  return `${yearText}-${two(month)}-${two(day)}`
}

/** `2024-01-31T12:00:00.123456Z`: as many fraction digits as are needed. */
export function timestampText(seconds: number, nanos: number): string {
  const days = Math.floor(seconds / secondsPerDay)
  const rest = seconds - days * secondsPerDay
  const time = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`
  return `${dateText(days)}T${time}${fraction}Z`
}

/** `P1Y2M3DT4H5M6.789S`: every part carries its own sign, as PostgreSQL prints it with `intervalstyle = iso_8601`. */
export function intervalText(months: number, days: number, micros: bigint): string {
  const years = Math.trunc(months / 12)
  const date = part(years, 'Y') + part(months - years * 12, 'M') + part(days, 'D')
  const negative = micros < 0n
  const absolute = negative ? -micros : micros
  const seconds = absolute / microsPerSecond
  const fraction = absolute % microsPerSecond
  const sign = negative ? '-' : ''
  const hours = seconds / 3600n
  const minutes = (seconds / 60n) % 60n
  let time = ''
  if (hours !== 0n) time += `${sign}${hours}H`
  if (minutes !== 0n) time += `${sign}${minutes}M`
  if (seconds % 60n !== 0n || fraction !== 0n) {
    const digits = fraction === 0n ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
    time += `${sign}${seconds % 60n}${digits}S`
  }
  if (time !== '') return `P${date}T${time}`
  return date === '' ? 'PT0S' : `P${date}`
}

/** Days since 1970-01-01 to the proleptic Gregorian calendar: https://howardhinnant.github.io/date_algorithms.html */
function civil(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  }
}

function part(value: number, unit: string): string {
  return value === 0 ? '' : `${value}${unit}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
