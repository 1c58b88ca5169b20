/**
 * What SurrealDB should hold for a PostgreSQL value: the table of docs/postgresql-data-types.md once more, written apart
 * from the product's codecs and reading another form (JSON text instead of the binary one), so that neither can hide a
 * mistake of the other.
 */
import { fitsSurreal, parseDecimal, printDecimal } from './decimal.js'
import { type ExactJson, JsonNumber, printExactJson } from './exact-json.js'
import { postgresGeometry, postgresRange, rangesOf } from './postgres-shape.js'
import { postgresDate, postgresInstant, postgresInterval } from './postgres-time.js'
import type { PostgresType, ScalarKind } from './postgres-type.js'
import { array, float, object, type SurrealValue, scalar, surrealNull } from './surreal-value.js'
import type { ValueForms } from './value-forms.js'

/** What is nested more deeply is text. */
const depthMax = 120
const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

/** The value for `to_json(cell)`. */
export function expectedValue(json: ExactJson, type: PostgresType, forms: ValueForms): SurrealValue {
  if (json === null) return surrealNull
  switch (type.kind) {
    case 'array':
      // The parts of an array of more dimensions are arrays of the same type.
      if (!Array.isArray(json)) return expectedValue(json, type.element, forms)
      return array(json.map((element) => expectedValue(element, Array.isArray(element) ? type : type.element, forms)))
    case 'composite':
      return object(
        [...type.fields].map(([name, field]) => [
          name,
          expectedValue(json instanceof Map ? json.get(name) : null, field, forms),
        ]),
      )
    case 'range':
      return expectedRange(textOf(json), type.element, forms)
    case 'multirange': {
      const { element } = type
      return array(rangesOf(textOf(json)).map((text) => expectedValue(text, element, forms)))
    }
    case 'json':
      return depthOf(json) > depthMax ? scalar('string', printExactJson(json)) : expectedJson(json)
    case 'printed':
    case 'unreadable':
      return scalar('string', textOf(json))
    default:
      return typeof json === 'boolean'
        ? scalar('bool', String(json))
        : expectedScalar(textOf(json), type.kind, type.name, forms)
  }
}

function expectedRange(text: string, element: PostgresType, forms: ValueForms): SurrealValue {
  return postgresRange(text, forms.ranges, (bound) => expectedValue(bound, element, forms))
}

function expectedScalar(text: string, kind: ScalarKind, name: string, forms: ValueForms): SurrealValue {
  switch (kind) {
    case 'int':
      return scalar('int', text)
    case 'float':
      return float(Number(text))
    case 'numeric':
      return expectedNumeric(text, forms)
    case 'money':
      return expectedNumeric(text.replace(/[^\d.-]/g, ''), forms)
    case 'padded':
      return scalar('string', text.replace(/ +$/, ''))
    case 'bytea':
      return scalar('bytes', text.slice(2))
    case 'uuid':
      return scalar(forms.uuid === 'string' ? 'string' : 'uuid', text)
    case 'date':
      return postgresDate(text, forms)
    case 'timestamp':
      return postgresInstant(text, forms)
    case 'interval':
      return postgresInterval(text, forms)
    case 'geometry':
      return postgresGeometry(text, name, forms.geometry)
    case 'vector':
      return array(JSON.parse(text).map((part: number) => float(part)))
    case 'sparse':
      return sparseVector(text)
    default:
      return scalar('string', text)
  }
}

/** `{1:1,4:2}/5` */
function sparseVector(text: string): SurrealValue {
  const pairs = [...text.matchAll(/(\d+):([^,}]+)/g)]
  return object([
    ['dimensions', scalar('int', text.replace(/^.*\//, ''))],
    ['indices', array(pairs.map(([, index = '']) => scalar('int', index)))],
    ['values', array(pairs.map(([, , part = '']) => float(Number(part))))],
  ])
}

/** Numbers beyond SurrealDB's decimals keep PostgreSQL's text, unless floats were chosen; those that are not finite are floats. */
function expectedNumeric(text: string, { numericOverflow }: ValueForms): SurrealValue {
  if (/[a-z]/i.test(text)) return float(Number(text))
  const decimal = parseDecimal(text)
  if (fitsSurreal(decimal)) return scalar('decimal', printDecimal(decimal))
  return numericOverflow === 'float' ? float(Number(text)) : scalar('string', text)
}

function depthOf(json: ExactJson): number {
  if (json instanceof Map) return 1 + [...json.values()].reduce((depth, part) => Math.max(depth, depthOf(part)), 0)
  return Array.isArray(json) ? 1 + json.reduce((depth, part) => Math.max(depth, depthOf(part)), 0) : 0
}

function expectedJson(json: ExactJson): SurrealValue {
  if (json === null) return surrealNull
  if (json instanceof JsonNumber) return expectedJsonNumber(json.text)
  if (typeof json === 'boolean') return scalar('bool', String(json))
  if (typeof json === 'string') return scalar('string', json.toWellFormed())
  if (json instanceof Map) return object([...json].map(([name, value]) => [name.toWellFormed(), expectedJson(value)]))
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
