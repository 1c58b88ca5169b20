import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/cli/clock.js'
import type { TerminalStream } from '../../src/cli/io.js'
import { clip, padEnd, widthOf } from '../../src/cli/printable.js'
import { Progress } from '../../src/cli/progress.js'
import { progressLines } from '../../src/cli/progress-lines.js'
import { TerminalBlock } from '../../src/cli/terminal-block.js'
import { describeTotals } from '../../src/cli/totals.js'
import type { Table } from '../../src/index.js'

class FakeClock implements Clock {
  #now = 0
  #timers: { at: number; callback: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get pending(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#now = next.at
      next.callback()
    }
    this.#now = end
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor begins with one
const tokens = /\u001b\[\??\d*[A-Za-z]|\r|\n|[^\u001b\r\n]+/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor begins with one
const up = /^\u001b\[\d+A$/

/** A terminal that understands what the block writes. Lines that do not fit wrap. */
class FakeTerminal extends Writable implements TerminalStream {
  readonly isTTY = true
  columns = 80
  rows = 24
  cursorShown = true
  #lines: string[] = ['']
  #row = 0

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    const text = chunk.toString()
    for (const [token] of text.matchAll(tokens)) this.#apply(token)
    done()
  }

  resize(columns: number, rows: number): void {
    this.columns = columns
    this.rows = rows
    const wrapped = this.#lines.flatMap((line) => {
      const parts = line.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? ['']
      return parts
    })
    this.#lines = wrapped
    this.#row = wrapped.length - 1
    this.emit('resize')
  }

  get screen(): string[] {
    return this.#lines.map((line) => line.trimEnd())
  }

  #apply(token: string): void {
    if (token === '\n') {
      this.#row += 1
      if (this.#row === this.#lines.length) this.#lines.push('')
    } else if (token === '\u001b[?25l') this.cursorShown = false
    else if (token === '\u001b[?25h') this.cursorShown = true
    else if (token === '\u001b[K') return
    else if (token === '\u001b[J') this.#lines = [...this.#lines.slice(0, this.#row), '']
    else if (up.test(token)) this.#row = Math.max(0, this.#row - Number.parseInt(token.slice(2), 10))
    else if (!token.startsWith('\u001b') && token !== '\r') this.#lines[this.#row] = token
  }
}

const table = (name: string, rowCountEstimate?: number): Table => ({
  schema: 'public',
  name,
  label: `public.${name}`,
  columns: [],
  key: [],
  rowCountEstimate,
})

const canvas = { columns: 80, rows: 24, color: false, frame: 0 }

/** Three tables: one done, one half way, one waiting. */
function halfWay(): { clock: FakeClock; progress: Progress } {
  const clock = new FakeClock()
  const progress = new Progress(clock)
  const [customers, orders, items] = [table('customers', 50_000), table('orders', 200_000), table('items')]
  progress.begin('full', [customers, orders, items])
  progress.update({ phase: 'full', table: customers, state: 'running', rows: 0 })
  clock.advance(1_000)
  progress.add('public.customers', 50_000)
  progress.sample()
  progress.update({ phase: 'full', table: customers, state: 'done', rows: 50_000 })
  progress.update({ phase: 'full', table: orders, state: 'running', rows: 0 })
  clock.advance(1_000)
  progress.add('public.orders', 100_000)
  progress.sample()
  return { clock, progress }
}

describe('progress', () => {
  it('is a line for each table and one for all', () => {
    expect(progressLines(halfWay().progress, canvas)).toEqual([
      '✔ customers ██████████ 100%   50.0k/50.0k  50.0k/s',
      '⠋ orders    █████░░░░░  50% 100.0k/200.0k 100.0k/s 1.0 s left',
      '· items',
      '  150.0k rows in 2.0 s, 75.0k/s',
    ])
  })

  it('counts the time of a table from when its rows are read, not from when its old ones went', () => {
    const clock = new FakeClock()
    const progress = new Progress(clock)
    const late = table('late')
    progress.begin('full', [late])
    progress.add('public.late', 0)
    clock.advance(60_000)
    progress.update({ phase: 'full', table: late, state: 'running', rows: 0 })
    clock.advance(500)
    progress.add('public.late', 10)
    progress.update({ phase: 'full', table: late, state: 'done', rows: 10 })
    expect(progress.tables()).toMatchObject([{ rows: 10, rate: 20, durationMs: 500 }])
  })

  it('has colors where they are wanted', () => {
    const [done, running] = progressLines(halfWay().progress, { ...canvas, color: true })
    expect(done).toContain('\u001b[32m✔ \u001b[0m')
    expect(running).toContain('\u001b[36m━━━━━\u001b[0m\u001b[2m━━━━━\u001b[0m')
  })

  it('tells what is left when every table has an estimate', () => {
    const clock = new FakeClock()
    const progress = new Progress(clock)
    progress.begin('full', [table('a', 100), table('b', 100)])
    progress.add('public.a', 50)
    clock.advance(1_000)
    expect(describeTotals(progress)).toBe('50 of about 200 rows in 1.0 s, 50/s, 3.0 s left')
    progress.add('public.a', 60)
    expect(describeTotals(progress)).toBe('110 rows in 1.0 s, 110/s')
  })

  it('counts changes and lag while it follows', () => {
    const clock = new FakeClock()
    const progress = new Progress(clock)
    progress.begin('incremental', [table('a'), table('b')])
    clock.advance(1_000)
    progress.add('public.a', 12)
    progress.reached(15)
    progress.sample()
    expect(progressLines(progress, canvas)).toEqual([
      '⠋ a       12     12/s',
      '· b        0',
      '  12 changes in 1.0 s, 12/s, lag 15 ms',
    ])
    for (let second = 0; second < 30; second += 1) {
      clock.advance(1_000)
      progress.sample()
    }
    expect(progressLines(progress, canvas)[0]).toBe('· a       12')
  })

  it('starts again with a table whose copy begins again', () => {
    const { progress } = halfWay()
    progress.update({ phase: 'full', table: table('orders', 200_000), state: 'running', rows: 0 })
    progress.sample()
    expect(progress.tables()[1]).toMatchObject({ rows: 0, state: 'running' })
  })

  it('folds more tables than there are lines, and keeps those that run', () => {
    const clock = new FakeClock()
    const progress = new Progress(clock)
    const tables = Array.from({ length: 30 }, (_, index) => table(`t${index}`, 10))
    progress.begin('full', tables)
    for (const done of tables.slice(0, 8)) progress.update({ phase: 'full', table: done, state: 'done', rows: 10 })
    for (const running of tables.slice(8, 10))
      progress.update({ phase: 'full', table: running, state: 'running', rows: 1 })
    const lines = progressLines(progress, { ...canvas, rows: 8 })
    expect(lines).toHaveLength(7)
    expect(lines.slice(-2)).toEqual(['  … and 25 more (8 of 30 done)', expect.stringContaining('rows in')])
    expect(lines.filter((line) => /⠋ t[89] /.test(line))).toHaveLength(2)
  })

  it.each([1, 2, 5, 20, 40, 63, 64, 200])('fits into %i columns', (columns) => {
    const { progress } = halfWay()
    progress.begin('full', [
      table('a_rather_long_table_name_that_is_cut_off', 10),
      table('表'.repeat(30)),
      table('a\nb\u001b[2J'),
    ])
    for (const rows of [1, 2, 3, 24]) {
      const lines = progressLines(progress, { columns, rows, color: false, frame: 3 })
      for (const line of lines) {
        expect(widthOf(line)).toBeLessThan(columns)
        expect(line).not.toMatch(/\p{Cc}/u)
      }
      expect(lines.length).toBeLessThan(Math.max(rows, 3))
    }
  })
})

describe('text on a terminal', () => {
  it('is as wide as it looks', () => {
    expect(['abc', '表a', '🦄', 'e\u0301', ''].map(widthOf)).toEqual([3, 3, 2, 1, 0])
    expect(clip('abcdef', 4)).toBe('abc…')
    expect(clip('表表表', 4)).toBe('表…')
    expect(clip('abc', 0)).toBe('')
    expect(padEnd('表', 4)).toBe('表  ')
  })
})

describe('a block at the bottom of a terminal', () => {
  function started(count = 2) {
    const clock = new FakeClock()
    const stream = new FakeTerminal()
    let frames = 0
    const block = new TerminalBlock({
      stream,
      clock,
      lines: ({ columns }) => {
        frames += 1
        return Array.from({ length: count }, (_, index) => `line ${index} ${'.'.repeat(99)}`.slice(0, columns - 1))
      },
    })
    block.start()
    return { clock, stream, block, frames: () => frames }
  }

  it('is repainted in place, ten times a second', () => {
    const { clock, stream, frames } = started()
    const before = stream.screen
    clock.advance(1_000)
    expect(frames()).toBe(11)
    expect(stream.screen).toEqual(before)
    expect(stream.screen).toHaveLength(3)
  })

  it('lets lines of the log pass above it', () => {
    const { clock, stream, block } = started()
    block.log('INFO one')
    clock.advance(100)
    block.log('INFO two')
    block.stop()
    block.log('INFO three')
    expect(stream.screen.map((line) => line.slice(0, 10))).toEqual([
      ...['INFO one', 'INFO two', 'line 0 ...', 'line 1 ...', 'INFO three', ''],
    ])
  })

  it('hides the cursor and gives it back, and leaves no timer or listener', () => {
    const { clock, stream, block } = started()
    expect(stream.cursorShown).toBe(false)
    block.stop()
    block.stop()
    expect(stream.cursorShown).toBe(true)
    expect(clock.pending).toBe(0)
    expect(EventEmitter.listenerCount(stream, 'resize')).toBe(0)
    expect(stream.screen).toHaveLength(3)
  })

  it('survives a terminal that becomes narrower and wider', () => {
    const { clock, stream, block } = started()
    block.log('INFO one')
    stream.resize(50, 12)
    clock.advance(300)
    expect(stream.screen.map((line) => line.slice(0, 6))).toEqual(['INFO o', 'line 0', 'line 1', ''])
    stream.resize(120, 20)
    clock.advance(300)
    expect(stream.screen.map((line) => line.length)).toEqual([8, 106, 106, 0])
  })
})
