/** Numbers of JSON texts (RFC 8259) without the loss of a digit. */
import { canonicalDecimal } from './decimal.js'
import { Decimal } from './value.js'

/**
 * The number that a text stands for: a bigint beyond 2^53, a {@link Decimal} where a double cannot hold it.
 * @param whole Whether there is no fraction and no exponent.
 * @throws SyntaxError
 */
export function jsonNumber(text: string, whole: boolean): number | bigint | Decimal {
  const value = Number(text)
  if (whole) return Number.isSafeInteger(value) ? value : BigInt(text)
  if (Number.isNaN(value)) throw new SyntaxError('Invalid number in JSON')
  // Up to 15 significant digits survive a double, unless it overflows or underflows.
  if (text.length <= 16 && Number.isFinite(value) && Math.abs(value) > 1e-290) return value
  return Number.isFinite(value) && canonicalDecimal(text) === canonicalDecimal(String(value))
    ? value
    : new Decimal(text)
}
