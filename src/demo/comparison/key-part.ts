/** Values as parts of a record id. */
import { type ExactDecimal, parseDecimal, printDecimal } from './decimal.js'
import type { PostgresType } from './postgres-type.js'
import { type SurrealValue, scalar } from './surreal-value.js'

/** SurrealDB 3.0 stores numbers in keys as decimals in scientific notation, and cannot read smaller ones back. */
const decimalScale = 6

/**
 * Numbers that are equal are one key, however they are written. Keys that SurrealDB can write but not read back faithfully
 * (floats, small decimals, years of other than four digits) are text: a table with such a key could not be read any more.
 */
export function keyPart(value: SurrealValue, kind: PostgresType['kind'] | undefined): SurrealValue {
  switch (value.kind) {
    case 'float':
      // The numeric values that are no numbers stay floats.
      return kind === 'numeric' ? value : scalar('string', String(Number(value.text) + 0))
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
