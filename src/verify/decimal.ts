/** Decimal numbers as text, exact whatever their size. */

/** A finite decimal number: `digits` × 10^-`scale`, with the smallest scale that is not negative. */
export interface ExactDecimal {
  readonly negative: boolean
  readonly digits: bigint
  readonly scale: number
}

const pattern = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/
/** SurrealDB's decimals have a 96-bit coefficient and at most 28 digits after the point. */
const surreal = { digitsMax: 2n ** 96n - 1n, scaleMax: 28 }

/** Reads plain or exponent notation. @throws Error for anything else, `NaN` included. */
export function parseDecimal(text: string): ExactDecimal {
  const match = pattern.exec(text)
  if (match === null || text === '') throw new Error('A decimal number was expected.')
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const shift = Number(exponent) - fraction.length
  const all = `${whole}${fraction}${'0'.repeat(Math.max(0, shift))}`
  const trailing = shift < 0 ? Math.min(-shift, all.length - all.replace(/0+$/, '').length) : 0
  const digits = BigInt(all.slice(0, all.length - trailing) || '0')
  return { negative: sign === '-' && digits !== 0n, digits, scale: digits === 0n ? 0 : Math.max(0, -shift) - trailing }
}

/** Plain notation without superfluous zeros, so that equal numbers are equal texts. */
export function printDecimal({ negative, digits, scale }: ExactDecimal): string {
  const text = digits.toString().padStart(scale + 1, '0')
  const point = text.length - scale
  return `${negative ? '-' : ''}${text.slice(0, point)}${scale === 0 ? '' : `.${text.slice(point)}`}`
}

/** Whether SurrealDB's decimal type holds the number without rounding. */
export function fitsSurreal({ digits, scale }: ExactDecimal): boolean {
  return digits <= surreal.digitsMax && scale <= surreal.scaleMax
}
