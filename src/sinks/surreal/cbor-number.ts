/** Numbers of any size as CBOR, in the first form that keeps every digit. */
import { canonicalDecimal } from '../../core/decimal.js'
import type { CborBuffer } from './cbor-buffer.js'
import { exactDecimal } from './exact-decimal.js'
import { isKeyDecimal } from './key-forms.js'

const decimalTag = 10
const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n
const longestInt64 = 20
/** Fewer digits than any decimal may have. */
const shortDecimal = 28

export function isInt64(value: bigint): boolean {
  return value >= int64Min && value <= int64Max
}

/** A decimal, if that keeps every digit. False: nothing was written. Plain notation only. */
export function putDecimal(buffer: CborBuffer, text: string): boolean {
  const exact = exactDecimal(text)
  if (exact === undefined) return false
  buffer.putTag(decimalTag)
  buffer.putText(exact)
  return true
}

/** What JavaScript prints of an ordinary fraction: canonical and exact. False: nothing was written. */
export function putShortDecimal(buffer: CborBuffer, text: string): boolean {
  if (text.length > shortDecimal || !/^-?\d+\.\d+$/.test(text)) return false
  buffer.putTag(decimalTag)
  buffer.putText(text)
  return true
}

/** A 64-bit integer, else a decimal, else text. False: it does not fit into 64 bits. */
export function putBigInteger(buffer: CborBuffer, value: bigint): boolean {
  const fits = isInt64(value)
  if (fits) buffer.putBigInt(value)
  else if (!putDecimal(buffer, String(value))) buffer.putText(String(value))
  return fits
}

/**
 * A number from JSON: integer, else decimal, else a float that prints the same, else text. False: it became text. Within a
 * record id there are no floats.
 */
export function putJsonNumber(buffer: CborBuffer, text: string, keyed: boolean): boolean {
  const plain = canonicalDecimal(text)
  if (plain !== undefined) {
    if (plain.length <= longestInt64 && !plain.includes('.') && isInt64(BigInt(plain))) {
      buffer.putBigInt(BigInt(plain))
      return true
    }
    if ((!keyed || isKeyDecimal(plain)) && putDecimal(buffer, plain)) return true
    const double = Number(plain)
    if (!keyed && Number.isFinite(double) && canonicalDecimal(String(double)) === plain) {
      buffer.putFloat(double)
      return true
    }
  }
  buffer.putText(keyed ? (plain ?? text) : text)
  return false
}
