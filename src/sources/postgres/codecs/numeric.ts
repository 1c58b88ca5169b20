/** Decimal numbers: numeric and money. The wire format is `numeric_send` in PostgreSQL's utils/adt/numeric.c. */
import { type Codec, unexpected, type Wire } from './codec.js'
import { decimalCodec } from './derived.js'

const positive = 0x0000
const negative = 0x4000
const nan = 0xc000
const infinity = 0xd000
const minusInfinity = 0xf000

/** Base-10,000 digits as text. */
const groups: readonly string[] = Array.from({ length: 10_000 }, (_, value) => String(value).padStart(4, '0'))

export const numericCodec: Codec = decimalCodec(numericText)

/** Money is an int64 of the smallest unit; how many digits follow the point is a setting of the database. */
export function moneyCodec(fractionDigits: number): Codec {
  return decimalCodec((wire, start, end) => {
    if (end - start !== 8) throw unexpected('money')
    const units = wire.view.getBigInt64(start)
    const digits = (units < 0n ? -units : units).toString().padStart(fractionDigits + 1, '0')
    const point = digits.length - fractionDigits
    const sign = units < 0n ? '-' : ''
    return fractionDigits === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
  })
}

function numericText(wire: Wire, start: number, end: number): string {
  const view = wire.view
  if (end - start < 8) throw unexpected('numeric')
  const groupCount = view.getUint16(start)
  const weight = view.getInt16(start + 2)
  const sign = view.getUint16(start + 4)
  const scale = view.getUint16(start + 6)
  if (end - start !== 8 + 2 * groupCount) throw unexpected('numeric')
  if (sign !== positive && sign !== negative) return special(sign)
  let text = sign === negative ? '-' : ''
  if (weight < 0) text += '0'
  for (let index = 0; index <= weight; index += 1) {
    const value = index < groupCount ? view.getUint16(start + 8 + 2 * index) : 0
    text += index === 0 ? String(Number(groupText(value))) : groupText(value)
  }
  return scale === 0 ? text : `${text}.${fraction(view, start + 8, groupCount, weight, scale)}`
}

function fraction(view: DataView, start: number, groupCount: number, weight: number, scale: number): string {
  let text = ''
  for (let index = weight + 1; text.length < scale; index += 1) {
    text += index >= 0 && index < groupCount ? groupText(view.getUint16(start + 2 * index)) : '0000'
  }
  return text.length === scale ? text : text.slice(0, scale)
}

function groupText(value: number): string {
  const text = groups[value]
  if (text === undefined) throw unexpected('numeric')
  return text
}

function special(sign: number): string {
  if (sign === nan) return 'NaN'
  if (sign === infinity) return 'Infinity'
  if (sign === minusInfinity) return '-Infinity'
  throw unexpected('numeric')
}
