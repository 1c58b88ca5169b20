/** Progress → the lines of a terminal. */
import { formatCount, formatDuration, formatRate } from './figures.js'
import { clip, padEnd, printable, widthOf } from './printable.js'
import type { Progress, TableCount } from './progress.js'
import { describeTotals, totalsOf } from './totals.js'

export interface Canvas {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  /** Counts the repaints, for what moves. */
  readonly frame: number
}

type Color = 'green' | 'cyan' | 'dim' | 'none'

const codes: { readonly [color in Color]: number } = { green: 32, cyan: 36, dim: 2, none: 0 }
const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const barColumns = 10
const nameColumnsMax = 26
/** Below this, bars are left out. */
const columnsWithBar = 64

/** Never wider than the terminal and never higher than it, less one line for the cursor. */
export function progressLines(progress: Progress, canvas: Canvas): readonly string[] {
  const tables = progress.tables()
  if (tables.length === 0 || progress.phase === undefined) return []
  const room = Math.max(1, canvas.rows - 2)
  const shown = tables.length <= room ? tables : mostActive(tables, room - 1)
  const names = shortNames(tables)
  const nameColumns = Math.min(
    nameColumnsMax,
    Math.max(...shown.map(({ label }) => widthOf(names.get(label) ?? label))),
  )
  const lines = shown.map((table) => {
    const name = padEnd(clip(names.get(table.label) ?? table.label, nameColumns), nameColumns)
    return progress.phase === 'full' ? copyLine(table, name, canvas) : changeLine(table, name, canvas)
  })
  if (shown.length < tables.length) lines.push([['dim', `  … and ${hidden(progress, tables.length - shown.length)}`]])
  lines.push([['none', `  ${describeTotals(progress)}`]])
  return lines.map((parts) => paint(parts, canvas))
}

type Line = readonly (readonly [color: Color, text: string])[]

/** `⠹ orders   ━━━━━━━━━━  57% 114.7k/200.0k  54.9k/s 1.6 s left` */
function copyLine(table: TableCount, name: string, canvas: Canvas): Line {
  const { state, rows, total, rate } = table
  const share = state === 'done' ? 1 : total === undefined ? undefined : total === 0 ? 0 : rows / total
  const percent = share === undefined ? '' : `${Math.floor(share * 100)}%`
  const count =
    state === 'waiting' ? '' : total === undefined ? formatCount(rows) : `${formatCount(rows)}/${formatCount(total)}`
  const speed = state === 'waiting' ? '' : formatRate(rate)
  const left =
    state === 'running' && total !== undefined && rate > 0
      ? `${formatDuration(((total - rows) * 1_000) / rate)} left`
      : ''
  const bar: Line =
    canvas.columns < columnsWithBar ? [] : [...barOf(share, state === 'done' ? 'green' : 'cyan', canvas), ['none', ' ']]
  return [
    iconOf(state, canvas),
    [state === 'waiting' ? 'dim' : 'none', `${name} `],
    ...bar,
    ['none', `${percent.padStart(4)} ${count.padStart(13)} ${speed.padStart(8)} ${left}`],
  ]
}

/** `⠹ orders   1,200     95/s` */
function changeLine({ rows, rate }: TableCount, name: string, canvas: Canvas): Line {
  const active = rate > 0
  return [
    iconOf(active ? 'running' : 'waiting', canvas),
    [
      active ? 'none' : 'dim',
      `${name} ${formatCount(rows).padStart(8)} ${(active ? formatRate(rate) : '').padStart(8)}`,
    ],
  ]
}

function iconOf(state: TableCount['state'], { frame }: Canvas): Line[number] {
  if (state === 'done') return ['green', '✔ ']
  if (state === 'waiting') return ['dim', '· ']
  return ['cyan', `${spinner[frame % spinner.length] ?? '-'} `]
}

/** With colors both halves are the same sign. */
function barOf(share: number | undefined, color: Color, canvas: Canvas): Line {
  if (share === undefined) return [['none', ' '.repeat(barColumns)]]
  const full = Math.round(Math.min(1, share) * barColumns)
  const [done, open] = canvas.color ? ['━', '━'] : ['█', '░']
  return [
    [color, done.repeat(full)],
    ['dim', open.repeat(barColumns - full)],
  ]
}

/** Those that run, then those that changed, then the others; in the order of the tables. */
function mostActive(tables: readonly TableCount[], count: number): readonly TableCount[] {
  const rank = ({ state, rate, rows }: TableCount) => (state !== 'running' ? 3 : rate > 0 ? 0 : rows > 0 ? 1 : 2)
  const chosen = new Set([...tables].sort((a, b) => rank(a) - rank(b)).slice(0, Math.max(0, count)))
  return tables.filter((table) => chosen.has(table))
}

function hidden(progress: Progress, count: number): string {
  const { tables, tablesDone } = totalsOf(progress)
  return progress.phase === 'full' ? `${count} more (${tablesDone} of ${tables} done)` : `${count} more`
}

/** Without `public.` where all tables are in it. */
function shortNames(tables: readonly TableCount[]): ReadonlyMap<string, string> {
  const prefix = 'public.'
  const all = tables.every(({ label }) => label.startsWith(prefix))
  return new Map(tables.map(({ label }) => [label, printable(all ? label.slice(prefix.length) : label)]))
}

/** A line that fills the last column would wrap on some terminals. */
function paint(line: Line, { columns, color }: Canvas): string {
  let left = columns - 1
  let painted = ''
  for (const [name, text] of line) {
    const clipped = clip(text, left)
    left -= widthOf(clipped)
    painted += color && name !== 'none' && clipped !== '' ? `\u001b[${codes[name]}m${clipped}\u001b[0m` : clipped
  }
  return painted.trimEnd()
}
