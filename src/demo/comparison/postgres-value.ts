/**
 * What SurrealDB should hold for a PostgreSQL value: the table of docs/postgresql-data-types.md once more, written apart
 * from the product's codecs and reading another form (JSON text instead of the binary one), so that neither can hide a
 * mistake of the other.
 */
import { fitsSurreal, parseDecimal, printDecimal } from './decimal.js'
import { type ExactJson, JsonNumber } from './exact-json.js'
import { postgresGeometry, postgresRange, rangesOf } from './postgres-shape.js'
import { postgresInstant, postgresInterval } from './postgres-time.js'
import type { PostgresType, ScalarKind } from './postgres-type.js'
import { array, float, object, type SurrealValue, scalar, surrealNull } from './surreal-value.js'

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

/** The value for `to_json(cell)`. */
export function expectedValue(json: ExactJson, type: PostgresType): SurrealValue {
  if (json === null) return surrealNull
  switch (type.kind) {
    case 'array':
      // The parts of an array of more dimensions are arrays of the same type.
      if (!Array.isArray(json)) return expectedValue(json, type.element)
      return array(json.map((element) => expectedValue(element, Array.isArray(element) ? type : type.element)))
    case 'composite':
      return object(
        [...type.fields].map(([name, field]) => [
          name,
          expectedValue(json instanceof Map ? json.get(name) : null, field),
        ]),
      )
    case 'range':
      return expectedRange(textOf(json), type.element)
    case 'multirange': {
      const { element } = type
      return array(rangesOf(textOf(json)).map((text) => expectedValue(text, element)))
    }
    case 'json':
      return expectedJson(json)
    default:
      return typeof json === 'boolean'
        ? scalar('bool', String(json))
        : expectedScalar(textOf(json), type.kind, type.name)
  }
}

function expectedRange(text: string, element: PostgresType): SurrealValue {
  return postgresRange(text, (bound) => expectedValue(bound, element))
}

function expectedScalar(text: string, kind: ScalarKind, name: string): SurrealValue {
  switch (kind) {
    case 'int':
      return scalar('int', text)
    case 'float':
      return float(Number(text))
    case 'numeric':
      return expectedNumeric(text)
    case 'money':
      return expectedNumeric(text.replace(/[^\d.-]/g, ''))
    case 'padded':
      return scalar('string', text.replace(/ +$/, ''))
    case 'bytea':
      return scalar('bytes', text.slice(2))
    case 'uuid':
      return scalar('uuid', text)
    case 'date':
    case 'timestamp':
      return postgresInstant(text)
    case 'interval':
      return postgresInterval(text)
    case 'geometry':
      return postgresGeometry(text, name)
    default:
      return scalar('string', text)
  }
}

/** Numbers beyond SurrealDB's decimals keep PostgreSQL's text; those that are not finite are floats. */
function expectedNumeric(text: string): SurrealValue {
  if (/[a-z]/i.test(text)) return float(Number(text))
  const decimal = parseDecimal(text)
  return fitsSurreal(decimal) ? scalar('decimal', printDecimal(decimal)) : scalar('string', text)
}

function expectedJson(json: ExactJson): SurrealValue {
  if (json === null) return surrealNull
  if (json instanceof JsonNumber) return expectedJsonNumber(json.text)
  if (typeof json === 'boolean') return scalar('bool', String(json))
  if (typeof json === 'string') return scalar('string', json)
  if (json instanceof Map) return object([...json].map(([name, value]) => [name, expectedJson(value)]))
  return Array.isArray(json) ? array(json.map(expectedJson)) : surrealNull
}

/** The first of int, decimal and float that keeps every digit, else the text. */
function expectedJsonNumber(text: string): SurrealValue {
  const decimal = parseDecimal(text)
  const plain = printDecimal(decimal)
  if (decimal.scale === 0) {
    const integer = BigInt(plain)
    if (integer >= int64.min && integer <= int64.max) return scalar('int', plain)
  }
  if (fitsSurreal(decimal)) return scalar('decimal', plain)
  const double = Number(text)
  if (Number.isFinite(double) && printDecimal(parseDecimal(String(double))) === plain) return float(double)
  return scalar('string', text)
}

function textOf(json: ExactJson): string {
  if (typeof json === 'string') return json
  if (json instanceof JsonNumber) return json.text
  throw new Error('A text or a number was expected.')
}
