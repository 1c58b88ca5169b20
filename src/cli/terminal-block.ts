/** Lines at the bottom of a terminal that are painted again and again. */
import type { Clock } from './clock.js'
import type { TerminalStream } from './io.js'
import { widthOf } from './printable.js'

export interface TerminalBlockOptions {
  readonly stream: TerminalStream
  readonly clock: Clock
  /** The lines as they are now, at most `rows - 1` of less than `columns`. */
  readonly lines: (size: {
    readonly columns: number
    readonly rows: number
    readonly frame: number
  }) => readonly string[]
}

const frameMs = 100
const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'
const eraseToEndOfLine = '\u001b[K'
const eraseBelow = '\u001b[J'
// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences that set colors begin with one
const colors = /\u001b\[\d+m/g

/** The cursor is hidden from `start` to `stop`. */
export class TerminalBlock {
  readonly #options: TerminalBlockOptions
  readonly #resized = () => this.#paint()
  #cancel: (() => void) | undefined
  #painted: readonly string[] = []
  #frame = 0

  constructor(options: TerminalBlockOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#cancel !== undefined) return
    const { stream } = this.#options
    stream.on('resize', this.#resized)
    stream.write(hideCursor)
    this.#repaint()
  }

  /** Prints a line above the block. */
  log(line: string): void {
    if (this.#cancel === undefined) this.#options.stream.write(`${line}\n`)
    else this.#paint(`${line}\n`)
  }

  /** Leaves the lines where they are and gives the cursor back. May be called again. */
  stop(): void {
    if (this.#cancel === undefined) return
    const { stream } = this.#options
    this.#cancel()
    this.#cancel = undefined
    stream.off('resize', this.#resized)
    this.#paint()
    stream.write(showCursor)
    this.#painted = []
  }

  #repaint(): void {
    this.#frame += 1
    this.#cancel = this.#options.clock.after(frameMs, () => this.#repaint())
    this.#paint()
  }

  #paint(above = ''): void {
    const { stream, lines } = this.#options
    // Some terminals say that they have no columns and rows.
    const columns = stream.columns || 80
    const rows = stream.rows || 24
    const up = this.#painted.reduce((sum, line) => sum + rowsOf(line, columns), 0)
    const painted = lines({ columns, rows, frame: this.#frame })
    const text = painted.map((line) => `${line}${eraseToEndOfLine}\n`).join('')
    const back = up === 0 ? '' : `\u001b[${Math.min(up, rows - 1)}A\r`
    this.#painted = painted
    stream.write(`${back}${above === '' ? '' : eraseBelow}${above}${text}${eraseBelow}`)
  }
}

/** A terminal that became narrower has wrapped what was painted. */
function rowsOf(line: string, columns: number): number {
  return Math.max(1, Math.ceil(widthOf(line.replace(colors, '')) / Math.max(1, columns)))
}
