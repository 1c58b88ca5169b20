/**
 * Dates and timestamps as text, in the proleptic Gregorian calendar, without `Date`. Years are astronomical: 0000 is 1 BC.
 * The day arithmetic is Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
 */

const daysPerEra = 146_097
const daysToEpoch = 719_468
const secondsPerDay = 86_400

const twoDigits: readonly string[] = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'))

/** `2024-01-31`; outside 0000 to 9999 with a sign and at least six digits: `-004712-01-01`. */
export function dateText(days: number): string {
  const shifted = days + daysToEpoch
  const era = Math.floor(shifted / daysPerEra)
  const dayOfEra = shifted - era * daysPerEra
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${yearText(year)}-${twoDigits[month]}-${twoDigits[day]}`
}

/** `2024-01-31T12:00:00.123456Z`, as many fraction digits as needed. Seconds and nanoseconds since 1970, UTC. */
export function timestampText(seconds: number, nanos: number): string {
  const days = Math.floor(seconds / secondsPerDay)
  return `${dateText(days)}T${clockText(seconds - days * secondsPerDay)}${fractionText(nanos, 9)}Z`
}

/** `23:59:59`. 86,400 gives `24:00:00`. */
export function clockText(secondOfDay: number): string {
  const hours = Math.floor(secondOfDay / 3600)
  const minutes = Math.floor((secondOfDay - hours * 3600) / 60)
  return `${twoDigits[hours]}:${twoDigits[minutes]}:${twoDigits[secondOfDay - hours * 3600 - minutes * 60]}`
}

/** `.25` for 250,000,000 of nine digits; empty for zero. */
export function fractionText(fraction: number, digits: number): string {
  if (fraction === 0) return ''
  const text = String(fraction).padStart(digits, '0')
  let end = text.length
  while (text.charCodeAt(end - 1) === 48) end -= 1
  return `.${text.slice(0, end)}`
}

/** Days since 1970 of what {@link dateText} writes. `undefined`: not such a text. */
export function parseDate(text: string): number | undefined {
  const match = /^([+-]\d{6,7}|\d{4})-(\d\d)-(\d\d)$/.exec(text)
  return match === null ? undefined : daysOf(Number(match[1]), Number(match[2]), Number(match[3]))
}

/**
 * The instant of what {@link timestampText} writes, or of another ISO 8601 text: a space for the `T`, an offset for the
 * `Z` or neither (then UTC), no seconds, a date alone. `undefined`: not such a text.
 */
export function parseTimestamp(text: string): { readonly seconds: number; readonly nanos: number } | undefined {
  const match =
    /^([+-]\d{6,7}|\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/.exec(
      text,
    )
  if (match === null) return undefined
  const days = daysOf(Number(match[1]), Number(match[2]), Number(match[3]))
  const hours = Number(match[4] ?? 0)
  const minutes = Number(match[5] ?? 0)
  const seconds = Number(match[6] ?? 0)
  if (days === undefined || hours > 24 || minutes > 59 || seconds > 59) return undefined
  return {
    seconds: days * secondsPerDay + hours * 3600 + minutes * 60 + seconds - offsetSeconds(match[8]),
    nanos: Number((match[7] ?? '').padEnd(9, '0')),
  }
}

function offsetSeconds(text: string | undefined): number {
  if (text === undefined || text === 'Z') return 0
  const seconds = Number(text.slice(1, 3)) * 3600 + Number(text.slice(3).replace(':', '')) * 60
  return text.startsWith('-') ? -seconds : seconds
}

function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return year >= 1000 ? String(year) : String(year).padStart(4, '0')
  return (year < 0 ? '-' : '+') + String(Math.abs(year)).padStart(6, '0')
}

function daysOf(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * daysPerEra + dayOfEra - daysToEpoch
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
