/** Booleans and numbers of fixed size. */
import { type Codec, unexpected } from './codec.js'

const two32 = 4_294_967_296
const safeHigh = 0x1f_ffff

export const boolCodec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 1) throw unexpected('boolean')
    return wire.bytes[start] !== 0
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 1) throw unexpected('boolean')
    writer.boolean(wire.bytes[start] !== 0)
  },
}

export const int2Codec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 2) throw unexpected('int2')
    return wire.view.getInt16(start)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 2) throw unexpected('int2')
    writer.integer(wire.view.getInt16(start))
  },
}

export const int4Codec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 4) throw unexpected('int4')
    return wire.view.getInt32(start)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 4) throw unexpected('int4')
    writer.integer(wire.view.getInt32(start))
  },
}

/** Unsigned: oid. */
export const oidCodec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 4) throw unexpected('oid')
    return wire.view.getUint32(start)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 4) throw unexpected('oid')
    writer.integer(wire.view.getUint32(start))
  },
}

export const int8Codec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 8) throw unexpected('int8')
    return int8(wire.view, start)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 8) throw unexpected('int8')
    writer.integer(int8(wire.view, start))
  },
}

export const float8Codec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 8) throw unexpected('float8')
    return wire.view.getFloat64(start)
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 8) throw unexpected('float8')
    writer.float(wire.view.getFloat64(start))
  },
}

export const float4Codec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 4) throw unexpected('float4')
    return shortestFloat4(wire.view.getFloat32(start))
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 4) throw unexpected('float4')
    writer.float(shortestFloat4(wire.view.getFloat32(start)))
  },
}

/** A bigint only beyond 2^53, and without one on the way: getBigInt64 costs four times as much as two int32. */
function int8(view: DataView, start: number): number | bigint {
  const high = view.getInt32(start)
  return high > safeHigh || high < -safeHigh - 1 || (high === -safeHigh - 1 && view.getUint32(start + 4) === 0)
    ? view.getBigInt64(start)
    : high * two32 + view.getUint32(start + 4)
}

const scratch = new DataView(new ArrayBuffer(4))
const powersOfTen: readonly number[] = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

/**
 * The double nearest to the shortest decimal that reads back as the same float4: 3.14, not 3.140000104904175. PostgreSQL
 * prints float4 by the same rule (Ryu, excluding the bounds of the rounding interval).
 */
export function shortestFloat4(value: number): number {
  if (!Number.isFinite(value) || (Number.isInteger(value) && Math.abs(value) < 1_000_000)) return value
  scratch.setFloat32(0, Math.abs(value))
  const bits = scratch.getUint32(0)
  scratch.setUint32(0, bits - 1)
  const low = (scratch.getFloat32(0) + Math.abs(value)) / 2
  scratch.setUint32(0, bits + 1)
  const above = scratch.getFloat32(0)
  const high = Number.isFinite(above) ? (Math.abs(value) + above) / 2 : Number.POSITIVE_INFINITY
  const shortest = shortestBetween(low, Math.abs(value), high)
  return value < 0 ? -shortest : shortest
}

function shortestBetween(low: number, value: number, high: number): number {
  const magnitude = Math.floor(Math.log10(value))
  // Below the normal range a float4 has fewer than six digits.
  for (let digits = value < 1.2e-38 ? 1 : 6; digits < 9; digits += 1) {
    const candidate = roundTo(value, digits, magnitude)
    if (candidate > low && candidate < high) return candidate
    // Just above a power of two the interval reaches further up than down.
    const next = nextAfter(value, candidate, digits, magnitude)
    if (next > low && next < high) return next
  }
  return Number(value.toPrecision(9))
}

/** The double of the decimal with this many digits that is nearest to the value. */
function roundTo(value: number, digits: number, magnitude: number): number {
  const exponent = digits - 1 - magnitude
  const scale = exponent >= 0 ? powersOfTen[exponent] : undefined
  if (scale === undefined) return Number(value.toPrecision(digits))
  const scaled = value * scale
  const whole = Math.floor(scaled)
  const rest = scaled - whole
  if (rest > 0.499999 && rest < 0.500001) return Number(value.toPrecision(digits))
  return (rest < 0.5 ? whole : whole + 1) / scale
}

function nextAfter(value: number, candidate: number, digits: number, magnitude: number): number {
  return candidate < value ? Number((candidate + Number(`1e${magnitude - digits + 1}`)).toPrecision(digits)) : candidate
}
