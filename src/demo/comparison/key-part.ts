/** Values as parts of a record id. */
import { type ExactDecimal, parseDecimal, printDecimal } from './decimal.js'
import type { PostgresType } from './postgres-type.js'
import { float, type SurrealValue, scalar } from './surreal-value.js'

/** SurrealDB 3.0 stores numbers in keys as decimals in scientific notation, and cannot read these back. */
const decimalScale = 6
const floatMax = 2 ** 96

/**
 * Numbers that are equal are one key, however they are written. A table with a key that SurrealDB can write but not read
 * (small decimals, large floats, years of other than four digits) could not be read any more: such a part is text.
 */
export function keyPart(value: SurrealValue, kind: PostgresType['kind'] | undefined): SurrealValue {
  switch (value.kind) {
    case 'float': {
      const number = Number(value.text) + 0
      return Number.isFinite(number) && Math.abs(number) >= floatMax ? scalar('string', String(number)) : float(number)
    }
    case 'decimal':
      return isSmall(parseDecimal(value.text)) ? scalar('string', value.text) : value
    case 'datetime':
      if (/^\d{4}-/.test(value.text)) return value
      return scalar('string', kind === 'date' ? value.text.replace(/T.*$/, '') : value.text)
    case 'string':
      return kind === 'numeric' ? scalar('string', printDecimal(parseDecimal(value.text))) : value
    default:
      return value
  }
}

function isSmall({ digits, scale }: ExactDecimal): boolean {
  return digits !== 0n && digits * 10n ** BigInt(decimalScale) < 10n ** BigInt(scale)
}
