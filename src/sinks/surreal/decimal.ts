/** What SurrealDB's decimal can hold: 96 bits of coefficient and at most 28 digits after the point. */

const coefficientLimit = 2n ** 96n
/** Every coefficient of this many digits is below the limit. */
const safeDigits = 28
const scaleMax = 28
/** Exponents beyond this cannot fit, so they are not written out. */
const exponentMax = 64

/** Plain notation without an exponent, or undefined if the text is not a number or its exponent is out of reach. */
export function plainDecimal(text: string): string | undefined {
  const parts = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (parts === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = parts
  if (whole === '' && fraction === '') return undefined
  const exponent = Number(exponentText)
  if (Math.abs(exponent) > exponentMax) return undefined
  const digits = whole + fraction
  const point = whole.length + exponent
  const plain =
    point <= 0
      ? `0.${'0'.repeat(-point)}${digits}`
      : point >= digits.length
        ? digits + '0'.repeat(point - digits.length)
        : `${digits.slice(0, point)}.${digits.slice(point)}`
  return (sign === '-' ? '-' : '') + plain
}

/** Removes what does not change the number: zeros at both ends, a bare point, the sign of zero. Plain notation only. */
export function normalizeDecimal(text: string): string {
  const negative = text.startsWith('-')
  let result = text.replace(/^[+-]?0*(?=\d)/, '')
  if (result.includes('.')) result = result.replace(/\.?0*$/, '')
  if (result === '' || result === '0') return '0'
  return negative ? `-${result}` : result
}

/** Whether SurrealDB keeps every digit of this number. Plain notation only. */
export function isExactDecimal(text: string): boolean {
  if (text.length <= safeDigits) return scaleOf(text) <= scaleMax
  const normal = normalizeDecimal(text)
  if (scaleOf(normal) > scaleMax) return false
  const digits = normal.replace(/[-.]/g, '').replace(/^0+(?=\d)/, '')
  return digits.length <= safeDigits || BigInt(digits) < coefficientLimit
}

function scaleOf(text: string): number {
  const point = text.indexOf('.')
  return point === -1 ? 0 : text.length - point - 1
}
