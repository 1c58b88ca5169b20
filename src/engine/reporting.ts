/** Keeps the source's record of how this run stands, for people who look there. Never harms the run. */
import type { EventEmitter } from 'eventemitter3'
import { SyncError, type SyncErrorCode } from '../core/errors.js'
import type { Phase, SyncEvents, TableProgress } from '../core/events.js'
import type { Source, TableReport } from '../core/source.js'

const limits = {
  /** How often counts are written while they move. */
  intervalMs: 5_000,
  /** How long the end of a run waits for its last report. */
  lastMs: 2_000,
  tablesMax: 1_000,
}

export class Reporting {
  readonly #source: Source
  #phase: Phase | undefined
  readonly #tables = new Map<string, TableReport>()
  #writing: Promise<void> | undefined
  #writtenAt = Number.NEGATIVE_INFINITY

  constructor(source: Source) {
    this.#source = source
  }

  /** Takes in what the engine is about to emit. */
  take<E extends keyof SyncEvents>(event: E, [payload]: EventEmitter.EventArgs<SyncEvents, E>): void {
    if (event === 'phase') this.#begin(payload as SyncEvents['phase'][0])
    else if (event === 'table') this.#progress(payload as TableProgress)
    else if (event === 'batch') this.#batch(payload as SyncEvents['batch'][0])
    else if (event === 'checkpoint') this.#checkpoint(payload as SyncEvents['checkpoint'][0])
  }

  /** Has the source know how work ends, unless another run has its place. */
  async over<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      await this.#end(undefined)
      return result
    } catch (error) {
      const code = error instanceof SyncError ? error.code : undefined
      if (code !== 'E_LEASE_LOST') await this.#end(code)
      throw error
    }
  }

  async #end(error: SyncErrorCode | undefined): Promise<void> {
    if (this.#source.report === undefined) return
    const last = (this.#writing ?? Promise.resolve()).then(() => this.#report(error))
    let timer: ReturnType<typeof setTimeout> | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limits.lastMs)
    })
    await Promise.race([last, timeout])
    clearTimeout(timer)
  }

  #begin({ phase, tables }: SyncEvents['phase'][0]): void {
    this.#phase = phase
    this.#tables.clear()
    const state = phase === 'full' ? 'waiting' : 'running'
    for (const { label } of tables) this.#tables.set(label, { label, state, rows: 0 })
    this.#write()
  }

  #progress({ table: { label }, state, rows }: TableProgress): void {
    this.#tables.set(label, { label, state, rows })
    this.#writeSometimes()
  }

  #batch({ phase, table: { label }, rows }: SyncEvents['batch'][0]): void {
    if (phase === 'full') return
    this.#tables.set(label, { label, state: 'running', rows: rows + (this.#tables.get(label)?.rows ?? 0) })
    this.#writeSometimes()
  }

  /** With its first checkpoint a pipeline is known to the source. */
  #checkpoint({ kind }: SyncEvents['checkpoint'][0]): void {
    if (kind === 'full_sync_start') this.#write()
  }

  #writeSometimes(): void {
    if (performance.now() - this.#writtenAt >= limits.intervalMs) this.#write()
  }

  /** Two at once would be out of order: what one of them leaves out comes with the next. */
  #write(): void {
    if (this.#source.report === undefined) return
    this.#writtenAt = performance.now()
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#report())
  }

  async #report(error?: SyncErrorCode): Promise<void> {
    const tables = [...this.#tables.values()].slice(0, limits.tablesMax)
    try {
      await this.#source.report?.({ phase: this.#phase, tables, error })
    } catch {
      // Nobody depends on it.
    }
  }
}
