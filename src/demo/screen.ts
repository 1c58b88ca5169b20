/** The demo's output: one line per step, and on a terminal a line that is repainted while a step goes on. */

export interface ScreenStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean
  readonly columns?: number
}

const nameWidth = 12
const columnsDefault = 80
const repaintMs = 80
const clearLine = '\r\u001b[2K'
const colors = { bold: [1, 22], dim: [2, 22], green: [32, 39], red: [31, 39], cyan: [36, 39] } as const
type Color = keyof typeof colors

export class Screen {
  readonly #out: ScreenStream
  readonly #terminal: boolean
  readonly #colored: boolean
  #repaintedAt = 0
  #dirty = false

  constructor(out: ScreenStream) {
    this.#out = out
    this.#terminal = out.isTTY === true && process.env.TERM !== 'dumb'
    this.#colored = this.#terminal && process.env.NO_COLOR === undefined
  }

  paint(color: Color, text: string): string {
    const [on, off] = colors[color]
    return this.#colored ? `\u001b[${on}m${text}\u001b[${off}m` : text
  }

  line(text = ''): void {
    this.#out.write(`${this.#clear()}${text}\n`)
  }

  /** A line of the step that goes on, for outputs that cannot be repainted. */
  detail(text: string): void {
    if (!this.#terminal) this.line(`  ${''.padEnd(nameWidth)} ${text}`)
  }

  /** What goes on, painted over at the next call. Nothing where that is not possible. */
  progress(name: string, text: string): void {
    const now = performance.now()
    if (!this.#terminal || now - this.#repaintedAt < repaintMs) return
    this.#repaintedAt = now
    const clipped = `${name.padEnd(nameWidth)} ${text}`.slice(0, (this.#out.columns ?? columnsDefault) - 4)
    this.#out.write(`${clearLine}${this.paint('cyan', '·')} ${clipped}`)
    this.#dirty = true
  }

  /** A step is done. */
  done(name: string, text: string, sinceMs?: number): void {
    const time = sinceMs === undefined ? '' : `, ${seconds(performance.now() - sinceMs)}`
    this.line(
      `${this.paint('green', '✔')} ${this.paint('bold', name.padEnd(nameWidth))} ${text}${this.paint('dim', time)}`,
    )
  }

  /** Continues the line of a step. */
  more(text: string): void {
    this.line(`  ${''.padEnd(nameWidth)} ${this.paint('dim', text)}`)
  }

  failed(name: string, text: string): void {
    this.line(`${this.paint('red', '✘')} ${this.paint('bold', name.padEnd(nameWidth))} ${text}`)
  }

  /** Leaves the cursor on a line of its own. */
  end(): void {
    this.#out.write(this.#clear())
  }

  #clear(): string {
    if (!this.#dirty) return ''
    this.#dirty = false
    return clearLine
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}
