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

/** A bigint only beyond 2^53, and without one on the way: getBigInt64 costs four times as much as two int32. */
function int8(view: DataView, start: number): number | bigint {
  const high = view.getInt32(start)
  return high > safeHigh || high < -safeHigh - 1 || (high === -safeHigh - 1 && view.getUint32(start + 4) === 0)
    ? view.getBigInt64(start)
    : high * two32 + view.getUint32(start + 4)
}
