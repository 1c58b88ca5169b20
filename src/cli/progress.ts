/** How far a run has come, counted from the engine's events. */
import type { Phase, Table, TableProgress } from '../index.js'
import type { Clock } from './clock.js'

/** One table's part in the current phase. */
export interface TableCount {
  readonly label: string
  readonly state: TableProgress['state']
  /** Rows copied, or changes applied. */
  readonly rows: number
  /** An estimate. */
  readonly total: number | undefined
  /** Rows a second: lately while it runs, on average when it is done. */
  readonly rate: number
  readonly durationMs: number
}

interface Counter {
  readonly label: string
  readonly total: number | undefined
  state: TableProgress['state']
  rows: number
  rate: number
  startedAt: number | undefined
  endedAt: number | undefined
  sampledRows: number
}

const smoothingMs = 2_000

export class Progress {
  readonly #clock: Clock
  #phase: Phase | undefined
  #counters = new Map<string, Counter>()
  #startedAt = 0
  #sampledAt = 0
  #lagMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get phase(): Phase | undefined {
    return this.#phase
  }

  /** Behind the source, if that is known. */
  get lagMs(): number | undefined {
    return this.#lagMs
  }

  /** Since the phase began. */
  get durationMs(): number {
    return this.#clock.now() - this.#startedAt
  }

  begin(phase: Phase, tables: readonly Table[]): void {
    this.#phase = phase
    this.#startedAt = this.#clock.now()
    this.#sampledAt = this.#startedAt
    this.#counters = new Map(
      tables.map(({ label, rowCountEstimate }) => [label, counter(label, phase, rowCountEstimate)]),
    )
  }

  update({ table, state, rows }: TableProgress): void {
    const found = this.#counter(table.label)
    const now = this.#clock.now()
    found.state = state
    found.rows = rows
    found.startedAt ??= now
    if (state !== 'done') return
    found.endedAt = now
    found.rate = (rows * 1_000) / Math.max(1, now - found.startedAt)
  }

  add(label: string, rows: number): void {
    const found = this.#counter(label)
    found.rows += rows
    // A barrier has no rows: those of all tables come before the rows of any.
    if (rows > 0) found.startedAt ??= this.#clock.now()
  }

  reached(lagMs: number | undefined): void {
    this.#lagMs = lagMs
  }

  /** Takes what was counted since the last sample into the rates. */
  sample(): void {
    const now = this.#clock.now()
    const elapsedMs = now - this.#sampledAt
    if (elapsedMs <= 0) return
    this.#sampledAt = now
    const weight = 1 - Math.exp(-elapsedMs / smoothingMs)
    for (const found of this.#counters.values()) {
      const latest = (Math.max(0, found.rows - found.sampledRows) * 1_000) / elapsedMs
      found.sampledRows = found.rows
      if (found.state !== 'done') found.rate = found.rate === 0 ? latest : found.rate + (latest - found.rate) * weight
      if (found.rate < 0.05) found.rate = 0
    }
  }

  tables(): readonly TableCount[] {
    const now = this.#clock.now()
    return [...this.#counters.values()].map(({ label, state, rows, total, rate, startedAt = now, endedAt = now }) => ({
      label,
      state,
      rows,
      // A table that outgrew its estimate has none any more.
      total: state === 'done' ? rows : total !== undefined && total >= rows ? total : undefined,
      rate,
      durationMs: endedAt - startedAt,
    }))
  }

  #counter(label: string): Counter {
    const found = this.#counters.get(label) ?? counter(label, this.#phase ?? 'full', undefined)
    this.#counters.set(label, found)
    return found
  }
}

function counter(label: string, phase: Phase, total: number | undefined): Counter {
  const state = phase === 'full' ? 'waiting' : 'running'
  return { label, total, state, rows: 0, rate: 0, startedAt: undefined, endedAt: undefined, sampledRows: 0 }
}
