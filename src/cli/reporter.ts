/** The engine's events → log lines and progress. */
import type { RunResult, SyncEngine, SyncEvents } from '../index.js'
import type { Clock } from './clock.js'
import { formatDuration, formatExactly, formatRate, plural } from './figures.js'
import { inFlags } from './flag-names.js'
import type { Log } from './log.js'
import type { Progress } from './progress.js'
import type { CommandName, Settings } from './settings.js'
import type { StopReason } from './stop.js'
import { describeTotals, totalsOf } from './totals.js'
import { version } from './version.js'
import { logWarning } from './warnings.js'

type Event<E extends keyof SyncEvents> = SyncEvents[E][0]

const titles: { readonly [name in CommandName]: string } = {
  full: 'Full sync',
  incremental: 'Incremental sync',
  sync: 'Sync',
}

export class Reporter {
  readonly #log: Log
  readonly #progress: Progress
  #caughtUp = false
  #reported = 0
  #warnings = 0
  #retries = 0
  #id = ''

  constructor(log: Log, progress: Progress) {
    this.#log = log
    this.#progress = progress
  }

  listen(engine: SyncEngine): void {
    engine.on('phase', (event) => this.#phase(event))
    engine.on('resumed', (event) => this.#resumed(event))
    engine.on('table', (event) => this.#table(event))
    engine.on('batch', ({ table, rows }) => this.#progress.add(table.label, rows))
    engine.on('checkpoint', (event) => this.#checkpoint(event))
    engine.on('caughtUp', ({ text }) => this.#caughtUpAt(text))
    engine.on('retry', (event) => this.#retry(event))
    engine.on('warning', (event) => this.#warning(event))
  }

  /** The first line: what runs, from where to where. */
  start({ command, id, sink: { namespace, database } }: Settings, from: { source: string; sink: string }): void {
    const { source, sink } = from
    this.#id = id
    const message = `${titles[command]} from ${source} to ${sink}, namespace ${namespace}, database ${database}`
    this.#log.event('info', 'start', `${message} (pipeline ${id})`, { id, command, source, sink, namespace, database })
  }

  /** One line per interval, for logs. Silent while nothing changes. The result ends it. */
  everyInterval(clock: Clock, intervalMs: number): () => void {
    let cancel = () => {}
    const next = () => {
      cancel = clock.after(intervalMs, () => {
        this.#interval()
        next()
      })
    }
    next()
    return () => cancel()
  }

  /** The last line: what was done, where it ended and what was in the way, by which version. For tickets. */
  summary(result: RunResult, stopped: StopReason | undefined): void {
    const { reason, phase, tables, position, durationMs } = result
    const counts = [...tables.values()]
    const rows = counts.reduce((sum, table) => sum + table.rows, 0)
    const changes = counts.reduce((sum, table) => sum + table.changes, 0)
    const rate = ((rows + changes) * 1_000) / Math.max(1, durationMs)
    const how = reason === 'completed' ? 'Finished' : stopped === 'timeout' ? 'Stopped at the timeout' : 'Stopped'
    const where = position === undefined ? '' : `, position ${position}`
    const amounts = [plural(Math.max(tables.size, this.#progress.tables().length), 'table')]
    if (rows > 0 || phase === 'full') amounts.push(plural(rows, 'row'))
    if (phase === 'incremental') amounts.push(plural(changes, 'change'))
    const trouble = [
      ...(this.#warnings > 0 ? [plural(this.#warnings, 'warning')] : []),
      ...(this.#retries > 0 ? [`${formatExactly(this.#retries)} ${this.#retries === 1 ? 'retry' : 'retries'}`] : []),
    ]
    const work = `${amounts.join(', ')} in ${formatDuration(durationMs)} (${formatRate(rate)})${where}`
    const message = `${how}: ${[work, ...trouble].join(', ')} [pipeline ${this.#id}, surreal-sync ${version}]`
    this.#log.event('info', 'summary', message, {
      reason: reason === 'completed' ? reason : (stopped ?? reason),
      phase,
      tables: Object.fromEntries(tables),
      rows,
      changes,
      duration_ms: durationMs,
      rows_per_second: Math.round(rate),
      position,
      warnings: this.#warnings,
      retries: this.#retries,
      id: this.#id,
      version,
    })
  }

  #phase({ phase, tables }: Event<'phase'>): void {
    this.#progress.begin(phase, tables)
    this.#reported = 0
    const what = phase === 'full' ? 'Copying' : 'Applying changes of'
    this.#log.event('info', 'phase', `${what} ${plural(tables.length, 'table')}`, {
      phase,
      tables: tables.map(({ label }) => label),
    })
  }

  #resumed({ text, chunks: { done, total } }: Event<'resumed'>): void {
    const message = `Resuming full sync from ${text}: ${done} of ${plural(total, 'chunk')} done`
    this.#log.event('info', 'resumed', message, { position: text, chunks_done: done, chunks: total })
  }

  #table(event: Event<'table'>): void {
    this.#progress.update(event)
    const { table, state, rows, phase, chunks } = event
    const fields = { phase, table: table.label, state, rows, chunks_done: chunks?.done, chunks: chunks?.total }
    if (state !== 'done') {
      const part =
        chunks === undefined || chunks.done === 0 ? '' : `, ${chunks.done} of ${plural(chunks.total, 'chunk')}`
      this.#log.event('debug', 'table', `Copying ${table.label}${part}`, fields)
      return
    }
    const durationMs = this.#progress.tables().find(({ label }) => label === table.label)?.durationMs ?? 0
    const message = `Copied ${table.label}: ${plural(rows, 'row')} in ${formatDuration(durationMs)}`
    this.#log.event('info', 'table', message, { ...fields, duration_ms: Math.round(durationMs) })
  }

  #checkpoint({ kind, text, lagMs }: Event<'checkpoint'>): void {
    const fields = { kind, position: text, lag_ms: lagMs }
    if (kind === 'full_sync_start') {
      this.#log.event('info', 'checkpoint', `Emitted full sync start checkpoint (t1): ${text}`, fields)
    } else if (kind === 'full_sync_end') {
      this.#log.event('info', 'checkpoint', `Emitted full sync end checkpoint (t2): ${text}`, fields)
    } else {
      this.#progress.reached(lagMs)
      const lag = lagMs === undefined ? '' : ` (lag ${formatDuration(lagMs)})`
      this.#log.event('debug', 'checkpoint', `Saved ${kind} checkpoint: ${text}${lag}`, fields)
    }
  }

  #caughtUpAt(text: string): void {
    this.#log.event(this.#caughtUp ? 'debug' : 'info', 'caught_up', `Caught up with the source at ${text}`, {
      position: text,
    })
    this.#caughtUp = true
  }

  #retry({ code, message, attempt, delayMs }: Event<'retry'>): void {
    this.#retries += 1
    const text = `Attempt ${attempt} failed, next one in ${formatDuration(delayMs)}: ${inFlags(message)} [${code}]`
    this.#log.event('warn', 'retry', text, { code, attempt, delay_ms: delayMs })
  }

  #warning(warning: Event<'warning'>): void {
    this.#warnings += warning.count ?? 1
    logWarning(this.#log, warning)
  }

  #interval(): void {
    const totals = totalsOf(this.#progress)
    if (this.#progress.phase === undefined || totals.rows === this.#reported) return
    this.#reported = totals.rows
    const { phase, lagMs } = this.#progress
    const done = phase === 'full' ? `, ${totals.tablesDone} of ${plural(totals.tables, 'table')} done` : ''
    this.#log.event('info', 'progress', `${describeTotals(this.#progress)}${done}`, {
      phase,
      rows: totals.rows,
      rows_expected: totals.rowsExpected,
      rows_per_second: Math.round(totals.rate),
      remaining_ms: totals.remainingMs === undefined ? undefined : Math.round(totals.remainingMs),
      lag_ms: lagMs,
      tables: totals.tables,
      tables_done: totals.tablesDone,
    })
  }
}
