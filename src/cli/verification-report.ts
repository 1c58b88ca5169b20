/** What `verify` prints: keys, never other values. */
import type { Difference, VerifyResult } from '../index.js'
import { formatDuration, formatExactly, plural } from './figures.js'
import type { TerminalStream } from './io.js'
import { padEnd, printable, widthOf } from './printable.js'

/** How many keys of a table are printed for people. */
const shownMax = 20
const columns = ['PostgreSQL', 'SurrealDB', 'missing', 'extra', 'different'] as const
const verdicts = { missing: 'missing', extra: 'extra', different: 'different in', moving: 'kept changing in' } as const

export class VerificationReport {
  readonly #json: boolean
  readonly #out: TerminalStream
  readonly #shown = new Map<string, string[]>()

  constructor(json: boolean, out: TerminalStream) {
    this.#json = json
    this.#out = out
  }

  /** Printed at once as JSON, and with the result for people. */
  difference(difference: Difference): void {
    const { table, kind, key, fields } = difference
    if (this.#json) {
      this.#out.write(`${JSON.stringify({ event: 'difference', table, kind, key, fields })}\n`)
      return
    }
    const shown = this.#shown.get(table) ?? []
    if (shown.length < shownMax) shown.push(`  ${key}  ${verdicts[kind]} ${fields.join(', ')}`.trimEnd())
    this.#shown.set(table, shown)
  }

  result(result: VerifyResult): void {
    if (this.#json) this.#out.write(`${JSON.stringify(resultAsJson(result))}\n`)
    else this.#out.write(`${this.#text(result).map(printable).join('\n')}\n`)
  }

  #text({ equal, rows, differences, tables, others, durationMs }: VerifyResult): readonly string[] {
    const names = Math.max(5, ...tables.map(({ table }) => widthOf(printable(table))))
    const line = (name: string, cells: readonly string[]) =>
      `${padEnd(printable(name), names)}${cells.map((cell) => cell.padStart(12)).join('')}`
    const lines = [line('table', columns)]
    for (const { table, skipped, ...counts } of tables) {
      const { missing, extra, different, moving } = counts
      if (skipped !== undefined) lines.push(`${padEnd(printable(table), names)}  not compared: ${skipped}`)
      else {
        const figures = [counts.rows, counts.records, missing, extra, different + moving]
        lines.push(line(table, figures.map(formatExactly)))
      }
    }
    for (const [table, shown] of this.#shown) {
      const total = tables.find((each) => each.table === table)
      const count = total === undefined ? 0 : total.missing + total.extra + total.different + total.moving
      lines.push('', `${table}: ${plural(count, 'difference')}`, ...shown)
      if (count > shown.length) lines.push(`  and ${formatExactly(count - shown.length)} more: see --json`)
    }
    const left = tables.filter(({ skipped }) => skipped !== undefined).length
    const verdict = `${equal ? 'Equal' : 'Not equal'}: ${plural(differences, 'difference')} in ${plural(rows, 'row')}`
    const parts = [`of ${plural(tables.length, 'table')}`, ...(left > 0 ? [`${left} of them not compared`] : [])]
    lines.push('', `${verdict} ${parts.join(', ')}, ${formatDuration(durationMs)}`)
    if (others.length > 0) lines.push(`Not looked at: ${plural(others.length, 'other table')} of the target`)
    return lines
  }
}

function resultAsJson({ equal, rows, differences, tables, others, durationMs }: VerifyResult) {
  return {
    event: 'result',
    equal,
    rows,
    differences,
    tables: tables.map(({ skipped, ...counts }) => ({ ...counts, ...(skipped !== undefined && { skipped }) })),
    others,
    duration_ms: durationMs,
  }
}
