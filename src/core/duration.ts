/** Intervals as ISO 8601 durations, with a sign on each part as PostgreSQL's `iso_8601` style writes them. */
import { fractionText } from './calendar.js'

/** What PostgreSQL keeps of an interval. The three parts may differ in sign. */
export interface Duration {
  readonly months: number
  readonly days: number
  readonly micros: bigint
}

const microsPerSecond = 1_000_000n

/** `P1Y2M3DT4H5M6.789S`; nothing at all is `PT0S`. */
export function durationText(months: number, days: number, micros: bigint): string {
  let text = 'P'
  const years = Math.trunc(months / 12)
  const restMonths = months - years * 12
  if (years !== 0) text += `${years}Y`
  if (restMonths !== 0) text += `${restMonths}M`
  if (days !== 0) text += `${days}D`
  if (micros === 0n) return text === 'P' ? 'PT0S' : text
  const size = micros < 0n ? -micros : micros
  const sign = micros < 0n ? '-' : ''
  const totalSeconds = Number(size / microsPerSecond)
  const fraction = Number(size % microsPerSecond)
  const hours = Math.floor(totalSeconds / 3600)
  const minutes = Math.floor((totalSeconds - hours * 3600) / 60)
  const seconds = totalSeconds - hours * 3600 - minutes * 60
  text += 'T'
  if (hours !== 0) text += `${sign}${hours}H`
  if (minutes !== 0) text += `${sign}${minutes}M`
  if (seconds !== 0 || fraction !== 0) text += `${sign}${seconds}${fractionText(fraction, 6)}S`
  return text
}

/** The parts of what {@link durationText} writes. `undefined`: not such a text, or finer than microseconds. */
export function parseDuration(text: string): Duration | undefined {
  const match =
    /^P(?:(-?\d{1,12})Y)?(?:(-?\d{1,12})M)?(?:(-?\d{1,12})W)?(?:(-?\d{1,12})D)?(?:T(?:(-?\d{1,12})H)?(?:(-?\d{1,12})M)?(?:(-?)(\d{1,15})(?:\.(\d{1,6}))?S)?)?$/.exec(
      text,
    )
  if (match === null || text.endsWith('P') || text.endsWith('T')) return undefined
  const seconds = BigInt(match[8] ?? 0) * microsPerSecond + BigInt((match[9] ?? '').padEnd(6, '0'))
  const clock = BigInt(match[5] ?? 0) * 3600n + BigInt(match[6] ?? 0) * 60n
  return {
    months: Number(match[1] ?? 0) * 12 + Number(match[2] ?? 0),
    days: Number(match[3] ?? 0) * 7 + Number(match[4] ?? 0),
    micros: clock * microsPerSecond + (match[7] === '-' ? -seconds : seconds),
  }
}
