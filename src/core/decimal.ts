/** Decimal numbers as text. */

/** More digits than PostgreSQL's `numeric` can have; a longer text is not expanded. */
const exponentMax = 150_000

/** Plain notation: `1.5e3` becomes `1500`. Digits are kept: `12.50` stays. `undefined`: not a number. */
export function plainDecimal(text: string): string | undefined {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/.exec(text)
  if (match === null) return text === 'NaN' || text === 'Infinity' || text === '-Infinity' ? text : undefined
  const sign = match[1] === '-' ? '-' : ''
  const whole = match[2] ?? ''
  const fraction = match[3] ?? ''
  const exponent = Number(match[4] ?? 0)
  if (exponent === 0) return sign + trimStart(whole) + (fraction === '' ? '' : `.${fraction}`)
  if (Math.abs(exponent) > exponentMax) return undefined
  const digits = whole + fraction
  const point = whole.length + exponent
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return sign + trimStart(digits + '0'.repeat(point - digits.length))
  return `${sign}${trimStart(digits.slice(0, point))}.${digits.slice(point)}`
}

/** One text for each number: no needless zeros, no exponent, no sign on zero. `undefined`: not a number. */
export function canonicalDecimal(text: string): string | undefined {
  const plain = plainDecimal(text)
  if (plain === undefined) return undefined
  let end = plain.length
  if (plain.includes('.')) {
    while (plain.charCodeAt(end - 1) === 48) end -= 1
    if (plain.charCodeAt(end - 1) === 46) end -= 1
  }
  const trimmed = plain.slice(0, end)
  return trimmed === '-0' ? '0' : trimmed
}

function trimStart(digits: string): string {
  let start = 0
  while (start < digits.length - 1 && digits.charCodeAt(start) === 48) start += 1
  return start === 0 ? digits : digits.slice(start)
}
