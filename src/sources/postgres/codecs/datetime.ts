/** Dates, times and timestamps. On the wire: days or microseconds since 2000-01-01, big-endian. */
import { clockText, dateText, fractionText, timestampText } from '../../../core/calendar.js'
import { type Codec, unexpected, type Wire } from './codec.js'
import { stringCodec } from './derived.js'

const daysTo2000 = 10_957
const secondsTo2000 = 946_684_800
const highest = 0x7fff_ffff
const lowest = -0x8000_0000
const two32 = 4_294_967_296

export const dateCodec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 4) throw unexpected('date')
    const days = wire.view.getInt32(start)
    if (days === highest) return 'infinity'
    return days === lowest ? '-infinity' : dateText(days + daysTo2000)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 4) throw unexpected('date')
    const days = wire.view.getInt32(start)
    if (days === highest) writer.infinity(false)
    else if (days === lowest) writer.infinity(true)
    else writer.date(days + daysTo2000)
  },
}

/** timestamp and timestamptz: both are UTC here. */
export const timestampCodec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 8) throw unexpected('timestamp')
    const high = wire.view.getInt32(start)
    const low = wire.view.getUint32(start + 4)
    if (high === highest && low === two32 - 1) return 'infinity'
    if (high === lowest && low === 0) return '-infinity'
    const rest = restMicros(high, low)
    const restSeconds = Math.floor(rest / 1_000_000)
    return timestampText(high * 4294 + restSeconds + secondsTo2000, (rest - restSeconds * 1_000_000) * 1000)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 8) throw unexpected('timestamp')
    const high = wire.view.getInt32(start)
    const low = wire.view.getUint32(start + 4)
    if (high === highest && low === two32 - 1) writer.infinity(false)
    else if (high === lowest && low === 0) writer.infinity(true)
    else {
      const rest = restMicros(high, low)
      const restSeconds = Math.floor(rest / 1_000_000)
      writer.timestamp(high * 4294 + restSeconds + secondsTo2000, (rest - restSeconds * 1_000_000) * 1000)
    }
  },
}

export const timeCodec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 8) throw unexpected('time')
  return timeText(wire, start)
})

/** The zone follows the time, in seconds west of Greenwich. */
export const timetzCodec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 12) throw unexpected('timetz')
  return timeText(wire, start) + zoneText(-wire.view.getInt32(start + 8))
})

/**
 * What remains of `high * 2^32 + low` microseconds after `high * 4294` seconds, since 2^32 = 4294 * 10^6 + 967,296.
 * Every step is exact in a double, over the whole range of int64.
 */
function restMicros(high: number, low: number): number {
  return high * 967_296 + low
}

function timeText(wire: Wire, start: number): string {
  const micros = wire.view.getInt32(start) * two32 + wire.view.getUint32(start + 4)
  const seconds = Math.floor(micros / 1_000_000)
  if (seconds < 0 || seconds > 86_400) throw unexpected('time')
  return clockText(seconds) + fractionText(micros - seconds * 1_000_000, 6)
}

/** As PostgreSQL prints it: `+02`, `+05:30`, `-00:00:01`. */
function zoneText(secondsEast: number): string {
  const size = Math.abs(secondsEast)
  const text = clockText(size)
  const end = size % 60 !== 0 ? 8 : size % 3600 !== 0 ? 5 : 2
  return (secondsEast < 0 ? '-' : '+') + text.slice(0, end)
}
