/** Intervals: microseconds, days and months, in this order. */
import { durationText } from '../../../core/duration.js'
import { type Codec, unexpected, type Wire } from './codec.js'

const highest = 0x7fff_ffff
const lowest = -0x8000_0000

export const intervalCodec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 16) throw unexpected('interval')
    if (isInfinite(wire, start)) return wire.view.getInt32(start + 12) < 0 ? '-infinity' : 'infinity'
    return durationText(wire.view.getInt32(start + 12), wire.view.getInt32(start + 8), wire.view.getBigInt64(start))
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 16) throw unexpected('interval')
    if (isInfinite(wire, start)) writer.infinity(wire.view.getInt32(start + 12) < 0)
    else writer.interval(wire.view.getInt32(start + 12), wire.view.getInt32(start + 8), wire.view.getBigInt64(start))
  },
}

/** PostgreSQL 17 and later mark infinity by the extremes of all three parts. */
function isInfinite(wire: Wire, start: number): boolean {
  const months = wire.view.getInt32(start + 12)
  const days = wire.view.getInt32(start + 8)
  if (months === highest && days === highest) return wire.view.getBigInt64(start) === 0x7fff_ffff_ffff_ffffn
  if (months === lowest && days === lowest) return wire.view.getBigInt64(start) === -0x8000_0000_0000_0000n
  return false
}
