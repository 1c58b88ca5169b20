/** Network addresses, as PostgreSQL prints them. */
import { type Codec, unexpected, type Wire } from './codec.js'
import { stringCodec } from './derived.js'

const family4 = 2
const family6 = 3

/** inet and cidr. The wire format says which of the two it is. */
export const inetCodec: Codec = stringCodec((wire, start, end) => {
  const family = wire.bytes[start]
  const prefix = wire.bytes[start + 1] ?? 0
  const isCidr = wire.bytes[start + 2] === 1
  const size = wire.bytes[start + 3]
  if (end - start === 8 && family === family4 && size === 4) {
    const text = text4(wire, start + 4)
    return isCidr || prefix !== 32 ? `${text}/${prefix}` : text
  }
  if (end - start === 20 && family === family6 && size === 16) {
    const text = text6(wire, start + 4)
    return isCidr || prefix !== 128 ? `${text}/${prefix}` : text
  }
  throw unexpected('inet')
})

/** macaddr and macaddr8. */
export const macCodec: Codec = stringCodec((wire, start, end) => {
  if (end - start !== 6 && end - start !== 8) throw unexpected('macaddr')
  let text = ''
  for (let index = start; index < end; index += 1) {
    text += (index === start ? '' : ':') + (wire.bytes[index] ?? 0).toString(16).padStart(2, '0')
  }
  return text
})

function text4(wire: Wire, start: number): string {
  const { bytes } = wire
  return `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}`
}

/** The longest run of two or more zero words becomes `::`; mapped and compatible IPv4 addresses keep their dots. */
function text6(wire: Wire, start: number): string {
  const words = Array.from({ length: 8 }, (_, index) => wire.view.getUint16(start + 2 * index))
  const run = longestZeros(words)
  const mapped = run.start === 0 && run.length === 5 && words[5] === 0xffff
  const compatible = run.start === 0 && run.length === 6
  if (mapped || compatible) return `::${mapped ? 'ffff:' : ''}${text4(wire, start + 12)}`
  if (run.length < 2) return words.map((word) => word.toString(16)).join(':')
  const head = words.slice(0, run.start)
  const tail = words.slice(run.start + run.length)
  return `${head.map((word) => word.toString(16)).join(':')}::${tail.map((word) => word.toString(16)).join(':')}`
}

function longestZeros(words: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: -1, length: 0 }
  let start = 0
  for (let index = 0; index <= words.length; index += 1) {
    if (words[index] === 0) continue
    if (index - start > best.length) best = { start, length: index - start }
    start = index + 1
  }
  return best
}
