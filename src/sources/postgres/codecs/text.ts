/** Text and bytes. */
import { type Codec, unexpected } from './codec.js'

/** text, varchar, name, enum, xml, citext and everything read as `::text`: UTF-8. */
export const textCodec: Codec = {
  decode(wire, start, end) {
    return wire.bytes.toString('utf8', start, end)
  },
  transcode(wire, start, end, writer) {
    writer.utf8(wire.bytes, start, end)
  },
}

/** char(n), without the blanks that fill it up. */
export const bpcharCodec: Codec = {
  decode(wire, start, end) {
    return wire.bytes.toString('utf8', start, trimmed(wire.bytes, start, end))
  },
  transcode(wire, start, end, writer) {
    writer.utf8(wire.bytes, start, trimmed(wire.bytes, start, end))
  },
}

/** A format version of one byte, then text: ltree, lquery, ltxtquery, jsonpath. */
export const versionedTextCodec: Codec = {
  decode(wire, start, end) {
    if (end <= start || wire.bytes[start] !== 1) throw unexpected('text of version 1')
    return wire.bytes.toString('utf8', start + 1, end)
  },
  transcode(wire, start, end, writer) {
    if (end <= start || wire.bytes[start] !== 1) throw unexpected('text of version 1')
    writer.utf8(wire.bytes, start + 1, end)
  },
}

/** `"char"`: one byte. Zero is empty; what is not ASCII appears in octal, as PostgreSQL 16 and later print it. */
export const charCodec: Codec = {
  decode(wire, start, end) {
    return charText(wire.bytes[start], end - start)
  },
  transcode(wire, start, end, writer) {
    writer.string(charText(wire.bytes[start], end - start))
  },
}

export const byteaCodec: Codec = {
  /** A copy, because the caller may keep it. */
  decode(wire, start, end) {
    return new Uint8Array(wire.bytes.subarray(start, end))
  },
  transcode(wire, start, end, writer) {
    writer.bytes(wire.bytes, start, end)
  },
}

export const uuidCodec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 16) throw unexpected('uuid')
    const hex = wire.bytes.toString('hex', start, end)
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 16) throw unexpected('uuid')
    writer.uuid(wire.bytes, start)
  },
}

function trimmed(bytes: Buffer, start: number, end: number): number {
  let last = end
  while (last > start && bytes[last - 1] === 0x20) last -= 1
  return last
}

function charText(byte: number | undefined, length: number): string {
  if (byte === undefined || length !== 1) throw unexpected('"char"')
  if (byte === 0) return ''
  return byte < 0x80 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`
}
