/** Values as parts of a record id. */
import { type ExactDecimal, parseDecimal, printDecimal } from './decimal.js'
import type { PostgresType } from './postgres-type.js'
import { array, object, type SurrealBound, type SurrealValue, scalar } from './surreal-value.js'

/** SurrealDB 3.0 stores numbers in keys as decimals in scientific notation, and cannot read these back. */
const decimalScale = 6

/**
 * Numbers that are equal are one key, however they are written. What SurrealDB can write into a key but not read back as
 * the same (floats, small decimals, years of other than four digits) is text there.
 */
export function keyPart(value: SurrealValue, type: PostgresType | undefined): SurrealValue {
  switch (value.kind) {
    case 'float':
      if (type?.kind === 'json') return scalar('string', printDecimal(parseDecimal(value.text)))
      // The numerics that are no numbers stay floats.
      return type?.kind === 'float' ? scalar('string', String(Number(value.text) + 0)) : value
    case 'decimal':
      return isSmall(parseDecimal(value.text)) ? scalar('string', value.text) : value
    case 'datetime':
      if (/^\d{4}-/.test(value.text)) return value
      return scalar('string', type?.kind === 'date' ? value.text.replace(/T.*$/, '') : value.text)
    case 'string':
      return type?.kind === 'numeric' ? scalar('string', printDecimal(parseDecimal(value.text))) : value
    case 'array':
      return array(value.elements.map((element) => keyPart(element, element.kind === 'array' ? type : elementOf(type))))
    case 'object':
      return object([...value.fields].map(([name, field]) => [name, keyPart(field, memberOf(type, name))]))
    case 'range':
      return { kind: 'range', lower: bound(value.lower, type), upper: bound(value.upper, type) }
    default:
      return value
  }
}

function bound(end: SurrealBound | undefined, type: PostgresType | undefined): SurrealBound | undefined {
  return end === undefined ? undefined : { kind: end.kind, value: keyPart(end.value, elementOf(type)) }
}

function elementOf(type: PostgresType | undefined): PostgresType | undefined {
  return type !== undefined && 'element' in type ? type.element : type
}

function memberOf(type: PostgresType | undefined, name: string): PostgresType | undefined {
  // A range that is an object.
  if (type?.kind === 'range') return name === 'lower' || name === 'upper' ? type.element : undefined
  return type?.kind === 'composite' ? type.fields.get(name) : type
}

function isSmall({ digits, scale }: ExactDecimal): boolean {
  return digits !== 0n && digits * 10n ** BigInt(decimalScale) < 10n ** BigInt(scale)
}
