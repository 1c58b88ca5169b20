/** What SurrealDB's decimal can hold: 96 bits of coefficient and at most 28 digits after the point. */
import { canonicalDecimal } from '../../core/decimal.js'

const coefficientLimit = 2n ** 96n
/** Every coefficient of this many digits is below the limit. */
const safeDigits = 28
const scaleMax = 28

/**
 * The text that SurrealDB reads as exactly this number, or undefined if there is none. Plain notation only: SurrealDB takes
 * no exponent, and rounds further digits without a word.
 */
export function exactDecimal(text: string): string | undefined {
  if (text.length <= safeDigits) return text
  const canonical = canonicalDecimal(text)
  if (canonical === undefined) return undefined
  const point = canonical.indexOf('.')
  if (point !== -1 && canonical.length - point - 1 > scaleMax) return undefined
  const digits = canonical.replace(/[-.]/g, '').replace(/^0+(?=\d)/, '')
  return digits.length <= safeDigits || BigInt(digits) < coefficientLimit ? canonical : undefined
}
