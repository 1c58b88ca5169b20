/** Signals and the timeout → one abort signal. */
import type { Clock } from './clock.js'
import type { CommandLineIo, StopSignal } from './io.js'

export type StopReason = StopSignal | 'timeout'

export interface StopOptions {
  /** The first signal came. */
  readonly asked: (signal: StopSignal) => void
  /** The process is about to end without waiting any longer. */
  readonly forced: () => void
}

/** How long open writes may take after the first signal. Process managers kill after 30 s. */
const graceMsMax = 25_000
const exitCodes: { readonly [signal in StopSignal]: number } = { SIGINT: 130, SIGTERM: 143 }
const signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM']

/** The first signal asks to stop, the second ends the process. */
export class Stop {
  readonly #io: CommandLineIo
  readonly #clock: Clock
  readonly #options: StopOptions
  readonly #controller = new AbortController()
  readonly #undo: (() => void)[] = []
  #reason: StopReason | undefined

  constructor(io: CommandLineIo, options: StopOptions) {
    this.#io = io
    this.#clock = io.clock
    this.#options = options
    for (const signal of signals) {
      const listener = () => this.#received(signal)
      io.signals.on(signal, listener)
      this.#undo.push(() => io.signals.off(signal, listener))
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Why the signal aborted, if it did. */
  get reason(): StopReason | undefined {
    return this.#reason
  }

  /** Stops after this time. */
  after(delayMs: number): void {
    this.#undo.push(this.#clock.after(delayMs, () => this.#stop('timeout')))
  }

  /** Whether the error only shows that the run was stopped. */
  explains(error: unknown): boolean {
    if (!this.signal.aborted) return false
    return error === this.signal.reason || (error instanceof Error && error.name === 'AbortError')
  }

  /** Gives the signals back. */
  dispose(): void {
    for (const undo of this.#undo.splice(0)) undo()
  }

  #received(signal: StopSignal): void {
    if (this.#reason === 'SIGINT' || this.#reason === 'SIGTERM') {
      this.#force(signal)
      return
    }
    this.#stop(signal)
    this.#options.asked(signal)
    this.#undo.push(this.#clock.after(graceMsMax, () => this.#force(signal)))
  }

  #stop(reason: StopReason): void {
    this.#reason = reason
    this.#controller.abort()
  }

  #force(signal: StopSignal): void {
    this.#options.forced()
    this.#io.exit(exitCodes[signal])
  }
}
