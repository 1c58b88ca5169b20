/** A straight line through points. */

export interface Slope {
  readonly slope: number
  /** How far off it may be: one standard error. */
  readonly error: number
}

/** @throws RangeError for fewer than three points */
export function leastSquares(points: readonly { readonly x: number; readonly y: number }[]): Slope {
  const count = points.length
  if (count < 3) throw new RangeError(`There is no line through ${count} points`)
  const mean = (value: (point: { readonly x: number; readonly y: number }) => number) =>
    points.reduce((sum, point) => sum + value(point), 0) / count
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0)
  const slope = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread
  const residue = points.reduce((sum, point) => sum + (point.y - y - slope * (point.x - x)) ** 2, 0)
  return { slope, error: Math.sqrt(residue / (count - 2) / spread) }
}
