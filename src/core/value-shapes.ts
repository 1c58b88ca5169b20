/** Recognizes the objects that stand for ranges and shapes. */
import type { RangeBound, Shape, Value } from './value.js'

/**
 * A range as a value: an unbounded end is null. A range that contains nothing is the text `empty`.
 */
export interface RangeValue {
  readonly lower: Value
  readonly lowerBound: RangeBound
  readonly upper: Value
  readonly upperBound: RangeBound
}

/** The value as a range; `undefined`: it is none. */
export function rangeOf(value: Value): RangeValue | undefined {
  if (!isObject(value)) return undefined
  const { lowerBound, upperBound } = value
  if (!isBound(lowerBound) || !isBound(upperBound)) return undefined
  return { lower: value.lower ?? null, lowerBound, upper: value.upper ?? null, upperBound }
}

export function isShape(value: Value): value is Shape {
  if (!isObject(value)) return false
  const { kind, coordinates } = value
  if (kind === 'other' || kind === 'geojson') return isObject(value.value ?? null)
  if (kind !== 'point' && kind !== 'line' && kind !== 'polygon') return false
  return Array.isArray(coordinates) && coordinates.length % 2 === 0 && coordinates.every((it) => typeof it === 'number')
}

function isBound(value: Value | undefined): value is RangeBound {
  return value === 'inclusive' || value === 'exclusive' || value === 'unbounded'
}

function isObject(value: Value): value is { readonly [name: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
