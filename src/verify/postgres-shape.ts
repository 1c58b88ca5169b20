/** Ranges and geometric values in the text form that PostgreSQL prints. */
import { array, float, object, type SurrealBound, type SurrealValue, scalar, surrealNull } from './surreal-value.js'
import type { ValueForms } from './value-forms.js'

const range = /^([[(])("(?:[^"\\]|\\.|"")*"|[^,"]*),("(?:[^"\\]|\\.|"")*"|[^,"]*)([\])])$/
const member = /[[(](?:"(?:[^"\\]|\\.|"")*"|[^"\])])*[\])]/g

/** `[1,5)`, in the form chosen; no range at all is text, `empty`, where ranges are ranges. */
export function postgresRange(
  text: string,
  form: ValueForms['ranges'],
  bound: (text: string) => SurrealValue,
): SurrealValue {
  const match = range.exec(text)
  if (match === null) return form === 'range' ? scalar('string', text) : object([['empty', scalar('bool', 'true')]])
  const [, open, lower = '', upper = '', close] = match
  if (form === 'object') {
    const part = (cell: string) => (cell === '' ? surrealNull : bound(unquote(cell)))
    return object([
      ['bounds', scalar('string', `${open}${close}`)],
      ['lower', part(lower)],
      ['upper', part(upper)],
    ])
  }
  const end = (cell: string, mark: string | undefined): SurrealBound | undefined => {
    if (cell === '') return undefined
    return { kind: mark === '[' || mark === ']' ? 'inclusive' : 'exclusive', value: bound(unquote(cell)) }
  }
  return { kind: 'range', lower: end(lower, open), upper: end(upper, close) }
}

/** The ranges in `{[1,5),[7,9)}`. */
export function rangesOf(text: string): readonly string[] {
  return text.match(member) ?? []
}

/**
 * Points, lines and polygons are geometries, unless GeoJSON cannot hold them (too few points, or not finite) or objects were
 * chosen; `line` and `circle` are objects of their numbers.
 */
export function postgresGeometry(text: string, type: string, form: ValueForms['geometry']): SurrealValue {
  const numbers = text
    .replace(/[^\d.,eE+\-a-zA-Z]/g, '')
    .split(',')
    .map(Number)
  const [first = 0, second = 0, third = 0] = numbers
  switch (type) {
    case 'point':
      if (form === 'object' || !numbers.every(Number.isFinite)) return point(numbers)
      return { kind: 'geometry', shape: 'Point', coordinates: numbers }
    case 'line':
      return object([
        ['a', float(first)],
        ['b', float(second)],
        ['c', float(third)],
      ])
    case 'circle':
      return object([
        ['center', point([first, second])],
        ['radius', float(third)],
      ])
    case 'box':
      return polygon(corners(numbers), form)
    case 'polygon':
      return polygon(pairs(numbers), form)
    case 'path':
      return text.startsWith('(') ? polygon(pairs(numbers), form) : line(pairs(numbers), form)
    default:
      return line(pairs(numbers), form)
  }
}

type Points = readonly (readonly number[])[]

function line(points: Points, form: ValueForms['geometry']): SurrealValue {
  if (form === 'object' || points.length < 2 || !points.flat().every(Number.isFinite))
    return object([['points', array(points.map(point))]])
  return { kind: 'geometry', shape: 'LineString', coordinates: points }
}

function polygon(points: Points, form: ValueForms['geometry']): SurrealValue {
  if (form === 'object' || points.length < 3 || !points.flat().every(Number.isFinite))
    return object([['points', array(points.map(point))]])
  return { kind: 'geometry', shape: 'Polygon', coordinates: [points] }
}

function point([x = 0, y = 0]: readonly number[]): SurrealValue {
  return object([
    ['x', float(x)],
    ['y', float(y)],
  ])
}

/** PostgreSQL prints the upper right corner first. */
function corners([right = 0, top = 0, left = 0, bottom = 0]: readonly number[]): Points {
  return [
    [left, bottom],
    [right, bottom],
    [right, top],
    [left, top],
  ]
}

function pairs(numbers: readonly number[]): Points {
  return numbers.flatMap((x, index) => (index % 2 === 0 ? [[x, numbers[index + 1] ?? Number.NaN]] : []))
}

function unquote(cell: string): string {
  if (!cell.startsWith('"')) return cell
  return cell.slice(1, -1).replace(/\\(.)|""/g, (found, escaped: string | undefined) => escaped ?? found.slice(1))
}
