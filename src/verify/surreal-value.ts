/** What SurrealDB holds, kind by kind: `1`, `1f`, `1dec` and `'1'` are four different values here. */

/** Coordinates of a point, or of the points, lines or polygons in a shape. */
export type Coordinates = number | readonly Coordinates[]

export interface SurrealBound {
  readonly kind: 'inclusive' | 'exclusive'
  readonly value: SurrealValue
}

export type SurrealScalar = 'bool' | 'int' | 'float' | 'decimal' | 'string' | 'bytes' | 'uuid' | 'datetime' | 'duration'

export type SurrealValue =
  | { readonly kind: 'none' | 'null' }
  /** `text` is canonical within the kind: equal values are equal texts. */
  | { readonly kind: SurrealScalar; readonly text: string }
  | { readonly kind: 'array'; readonly elements: readonly SurrealValue[] }
  | { readonly kind: 'object'; readonly fields: ReadonlyMap<string, SurrealValue> }
  /** A bound that is undefined is open. */
  | { readonly kind: 'range'; readonly lower: SurrealBound | undefined; readonly upper: SurrealBound | undefined }
  | { readonly kind: 'record'; readonly table: string; readonly key: SurrealValue }
  | { readonly kind: 'geometry'; readonly shape: string; readonly coordinates: Coordinates }

export const surrealNull: SurrealValue = { kind: 'null' }

export function scalar(kind: SurrealScalar, text: string): SurrealValue {
  return { kind, text }
}

/** A double, with its sign even if it is zero. */
export function float(value: number): SurrealValue {
  return { kind: 'float', text: Object.is(value, -0) ? '-0' : String(value) }
}

/** A point in time by whole seconds since 1970 and the nanoseconds above, printed in ISO 8601. */
export function datetime(seconds: number, nanos: number): SurrealValue {
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`
  return { kind: 'datetime', text: new Date(seconds * 1_000).toISOString().replace('.000Z', `${fraction}Z`) }
}

export function duration(seconds: bigint, nanos: bigint): SurrealValue {
  return { kind: 'duration', text: `${seconds}s${nanos === 0n ? '' : `${nanos}ns`}` }
}

export function array(elements: readonly SurrealValue[]): SurrealValue {
  return { kind: 'array', elements }
}

export function object(fields: Iterable<readonly [name: string, value: SurrealValue]>): SurrealValue {
  return { kind: 'object', fields: new Map(fields) }
}

/** Prints in the manner of SurrealQL, such that two values print alike only if they are the same. */
export function printValue(value: SurrealValue): string {
  switch (value.kind) {
    case 'none':
    case 'null':
      return value.kind.toUpperCase()
    case 'array':
      return `[${value.elements.map(printValue).join(', ')}]`
    case 'object': {
      const fields = [...value.fields].sort(([a], [b]) => (a < b ? -1 : 1))
      return `{${fields.map(([name, field]) => `${printName(name)}: ${printValue(field)}`).join(', ')}}`
    }
    case 'range':
      return `${printBound(value.lower, '>')}..${printBound(value.upper, '=')}`
    case 'record':
      return `${value.table}:${printValue(value.key)}`
    case 'geometry':
      return `${value.shape} ${printCoordinates(value.shape === 'Polygon' ? openRings(value.coordinates) : value.coordinates)}`
    default:
      return printScalar(value.kind, value.text)
  }
}

function printName(name: string): string {
  return /^[a-z_]\w*$/i.test(name) ? name : JSON.stringify(name)
}

function printCoordinates(coordinates: Coordinates): string {
  if (typeof coordinates === 'number') return Object.is(coordinates, -0) ? '-0' : String(coordinates)
  return `[${coordinates.map(printCoordinates).join(', ')}]`
}

/** SurrealDB repeats the first point of a ring at its end, PostgreSQL does not. */
function openRings(rings: Coordinates): Coordinates {
  if (typeof rings === 'number') return rings
  return rings.map((ring) => {
    if (typeof ring === 'number' || ring.length < 2) return ring
    return String(ring[0]) === String(ring.at(-1)) ? ring.slice(0, -1) : ring
  })
}

/** The lower bound is inclusive unless marked, the upper one exclusive unless marked, as in SurrealQL. */
function printBound(bound: SurrealBound | undefined, mark: '>' | '='): string {
  if (bound === undefined) return ''
  const marked = (mark === '>') === (bound.kind === 'exclusive')
  const text = printValue(bound.value)
  if (!marked) return text
  return mark === '>' ? `${text}>` : `=${text}`
}

function printScalar(kind: SurrealScalar, text: string): string {
  switch (kind) {
    case 'float':
      return `${text}f`
    case 'decimal':
      return `${text}dec`
    case 'string':
      return JSON.stringify(text)
    case 'bytes':
      return `b"${text}"`
    case 'uuid':
      return `u"${text}"`
    case 'datetime':
      return `d"${text}"`
    default:
      return text
  }
}
