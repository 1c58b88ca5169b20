/** A drawing of figures that grow, on logarithmic axes, for light and for dark pages. */

export interface Panel {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  /** From left to right; all above zero. */
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

const size = { width: 420, height: 280, left: 62, right: 18, top: 34, bottom: 48 }
const perRow = 2

const style = `
  .paper { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif } .title { font-weight: 600; font-size: 13px }
  .grid { stroke: #d1d9e0 } .line { stroke: #0969da; fill: none; stroke-width: 2 } .dot { fill: #0969da } .ideal { stroke: #818b98; stroke-dasharray: 4 4 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .line { stroke: #4493f8 } .dot { fill: #4493f8 } .ideal { stroke: #7d8590 }
  }`

/** @param panels Two in a row. A dashed line shows growth by the same factor as the axis. */
export function growthSvg(panels: readonly Panel[], title: string): string {
  const [width, height] = [size.width * perRow, size.height * Math.ceil(panels.length / perRow)]
  const drawn = panels.map(
    (panel, index) =>
      `<g transform="translate(${(index % perRow) * size.width} ${Math.floor(index / perRow) * size.height})">${draw(panel)}</g>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${title}</title>
<style>${style}
</style>
<rect class="paper" width="${width}" height="${height}"/>
${drawn.join('\n')}
</svg>
`
}

function draw({ title, xLabel, yLabel, points }: Panel): string {
  const xs = new Axis(
    points.map(({ x }) => x),
    size.left,
    size.width - size.right,
  )
  const ys = new Axis(
    points.map(({ y }) => y),
    size.height - size.bottom,
    size.top,
  )
  const [first] = points
  const [from, to] = [points[0]?.x ?? 1, points.at(-1)?.x ?? 1]
  const ideal = first === undefined ? '' : idealLine(xs, ys, { x: from, y: first.y }, to)
  const grid = [
    ...xs.ticks.map(
      (tick) =>
        `<line class="grid" x1="${xs.at(tick)}" y1="${size.top}" x2="${xs.at(tick)}" y2="${size.height - size.bottom}"/><text x="${xs.at(tick)}" y="${size.height - size.bottom + 18}" text-anchor="middle">${shown(tick)}</text>`,
    ),
    ...ys.ticks.map(
      (tick) =>
        `<line class="grid" x1="${size.left}" y1="${ys.at(tick)}" x2="${size.width - size.right}" y2="${ys.at(tick)}"/><text x="${size.left - 8}" y="${ys.at(tick) + 4}" text-anchor="end">${shown(tick)}</text>`,
    ),
  ]
  const middle = (size.top + size.height - size.bottom) / 2
  return [
    `<text class="title" x="${size.left}" y="20">${title}</text>`,
    ...grid,
    `<text x="${(size.left + size.width - size.right) / 2}" y="${size.height - 10}" text-anchor="middle">${xLabel}</text>`,
    `<text transform="translate(16 ${middle}) rotate(-90)" text-anchor="middle">${yLabel}</text>`,
    ideal,
    `<polyline class="line" points="${points.map(({ x, y }) => `${xs.at(x)},${ys.at(y)}`).join(' ')}"/>`,
    ...points.map(
      ({ x, y }) =>
        `<circle class="dot" cx="${xs.at(x)}" cy="${ys.at(y)}" r="4"><title>${shown(x)}: ${y.toPrecision(3)}</title></circle>`,
    ),
  ].join('\n')
}

/** As far as the panel reaches. */
function idealLine(xs: Axis, ys: Axis, start: { readonly x: number; readonly y: number }, to: number): string {
  const factor = Math.min(to / start.x, (ys.ticks.at(-1) ?? start.y) / start.y)
  if (factor <= 1) return ''
  return `<line class="ideal" x1="${xs.at(start.x)}" y1="${ys.at(start.y)}" x2="${xs.at(start.x * factor)}" y2="${ys.at(start.y * factor)}"/>`
}

/** Powers of ten around the values. */
class Axis {
  readonly ticks: readonly number[]
  readonly #from: number
  readonly #to: number
  readonly #low: number
  readonly #high: number

  constructor(values: readonly number[], from: number, to: number) {
    this.#from = from
    this.#to = to
    this.#low = Math.floor(Math.log10(Math.min(...values)))
    this.#high = Math.max(this.#low + 1, Math.ceil(Math.log10(Math.max(...values))))
    this.ticks = Array.from({ length: this.#high - this.#low + 1 }, (_, index) => 10 ** (this.#low + index))
  }

  at(value: number): number {
    const share = (Math.log10(value) - this.#low) / (this.#high - this.#low)
    return Math.round((this.#from + share * (this.#to - this.#from)) * 10) / 10
  }
}

function shown(value: number): string {
  if (value >= 1_000_000) return `${value / 1_000_000}M`
  return value >= 1_000 ? `${value / 1_000}k` : String(Number(value.toPrecision(3)))
}
