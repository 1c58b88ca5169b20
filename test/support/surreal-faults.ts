/** The disturbances a test has ordered from the SurrealDB stand-in. */
import type { SurrealFault } from './surreal-control.js'

interface Armed {
  readonly fault: SurrealFault
  readonly onTriggered: () => void
  remaining: number
}

/** A fault that has hit a request; `triggered` is to be called when it has happened. */
export interface StruckFault extends SurrealFault {
  readonly triggered: () => void
}

/** Counts requests against the ordered faults, and holds everything back while paused. */
export class SurrealFaults {
  readonly #armed = new Set<Armed>()
  #paused: { readonly resumed: Promise<void>; readonly resume: () => void } | undefined

  arm(fault: SurrealFault, onTriggered: () => void): void {
    this.#armed.add({ fault, onTriggered, remaining: fault.nth ?? 1 })
  }

  /** Counts a query that has arrived; returns the fault whose turn it is. */
  strike(queryText: string): StruckFault | undefined {
    let struck: Armed | undefined
    for (const armed of this.#armed) {
      if (!queryText.includes(armed.fault.matching ?? '')) continue
      armed.remaining -= 1
      if (armed.remaining === 0) struck ??= armed
    }
    if (struck === undefined) return undefined
    this.#armed.delete(struck)
    return { ...struck.fault, triggered: struck.onTriggered }
  }

  pause(): void {
    if (this.#paused !== undefined) return
    let resume = () => {}
    const resumed = new Promise<void>((resolve) => {
      resume = resolve
    })
    this.#paused = { resumed, resume }
  }

  resume(): void {
    this.#paused?.resume()
    this.#paused = undefined
  }

  get paused(): boolean {
    return this.#paused !== undefined
  }

  /** Settles when the stand-in is not paused. */
  async clear(): Promise<void> {
    while (this.#paused !== undefined) await this.#paused.resumed
  }
}
