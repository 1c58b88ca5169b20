/** Types whose text is spelled from their bytes: bit strings, log positions, transaction ids. */
import { type Codec, unexpected } from './codec.js'
import { stringCodec } from './derived.js'

const octets: readonly string[] = Array.from({ length: 256 }, (_, value) => value.toString(2).padStart(8, '0'))

/** bit and varbit: the number of bits, then the bits from the left. */
export const bitCodec: Codec = stringCodec((wire, start, end) => {
  const length = end - start < 4 ? -1 : wire.view.getInt32(start)
  if (length < 0 || Math.ceil(length / 8) !== end - start - 4) throw unexpected('bit string')
  let text = ''
  for (let index = start + 4; index < end; index += 1) text += octets[wire.bytes[index] ?? 0]
  return text.slice(0, length)
})

/** pg_lsn: `16/B374D848`. */
export const lsnCodec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 8) throw unexpected('pg_lsn')
  return `${hex(wire.view.getUint32(start))}/${hex(wire.view.getUint32(start + 4))}`
})

/** xid and cid. */
export const xidCodec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 4) throw unexpected('xid')
  return String(wire.view.getUint32(start))
})

/** xid8. */
export const xid8Codec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 8) throw unexpected('xid8')
  return String(wire.view.getBigUint64(start))
})

/** tid: block and line, `(0,1)`. */
export const tidCodec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 6) throw unexpected('tid')
  return `(${wire.view.getUint32(start)},${wire.view.getUint16(start + 4)})`
})

function hex(value: number): string {
  return value.toString(16).toUpperCase()
}
