/** Tells how many values took another form than usual: at once for the first, then now and then. */
import type { SyncWarning } from '../../core/events.js'
import type { TablePlan } from './table-plan.js'
import { type CellSite, type FallbackReason, fallbackReasons } from './types.js'

const intervalMs = 60_000

interface Pending {
  readonly site: CellSite
  readonly reason: FallbackReason
  count: number
  reportedAtMs: number | undefined
}

export class FallbackReporter {
  readonly #pending = new Map<string, Pending>()

  /** Collects what was counted in this table. */
  report({ sites }: TablePlan, warn: (warning: SyncWarning) => void): void {
    for (const site of sites.values()) {
      if (site.fallbacks.size === 0) continue
      for (const [reason, count] of site.fallbacks) this.#add(site, reason, count)
      site.fallbacks.clear()
    }
    this.#emit(warn, performance.now() - intervalMs)
  }

  /** Reports the rest. */
  flush(warn: (warning: SyncWarning) => void): void {
    this.#emit(warn, Number.POSITIVE_INFINITY)
    this.#pending.clear()
  }

  #add(site: CellSite, reason: FallbackReason, count: number): void {
    const id = JSON.stringify([site.table, site.column, reason])
    const pending = this.#pending.get(id)
    if (pending === undefined) this.#pending.set(id, { site, reason, count, reportedAtMs: undefined })
    else pending.count += count
  }

  #emit(warn: (warning: SyncWarning) => void, reportedBeforeMs: number): void {
    for (const pending of this.#pending.values()) {
      const { site, reason, count, reportedAtMs } = pending
      if (count === 0 || (reportedAtMs !== undefined && reportedAtMs > reportedBeforeMs)) continue
      pending.count = 0
      pending.reportedAtMs = performance.now()
      warn({
        code: 'value_fallback',
        message: `${count} ${count === 1 ? 'value' : 'values'} of ${site.table}.${site.column} ${fallbackReasons[reason]}`,
        table: site.table,
        column: site.column,
        count,
      })
    }
  }
}
