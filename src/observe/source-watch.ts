/** Asks the source now and then what it keeps for its pipelines. A failure is counted and harms nothing. */

/** What is asked for; `PostgresTriggerSource` has it. */
export interface WatchedSource {
  /** On a connection of its own, whether or not a run is going on. */
  status(): Promise<WatchedStatus>
}

/** What a source keeps for the pipelines that read it. */
export interface WatchedStatus {
  /** Changes that are kept. */
  readonly changes: number
  readonly bytes: number
  readonly pipelines: readonly {
    readonly id: string
    readonly behind: number
    readonly lagMs?: number | undefined
  }[]
  /** The transaction that has been holding unseen changes for longest. */
  readonly oldestWriter?: { readonly ageMs: number } | undefined
}

/** What is known of it. */
export interface SourceFacts {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly auditRows: number
  readonly auditBytes: number
  /** Changes after the position that the source has heard of. */
  readonly behindRows: number | undefined
  /** The age of the oldest of them; 0 if there is none. */
  readonly behindMs: number | undefined
  /** 0: there is none. */
  readonly oldestUnseenMs: number
}

/** Counting changes takes time: asking may take this part of it. */
const timeShareMax = 0.05

export class SourceWatch {
  readonly #source: WatchedSource
  readonly #id: () => string
  readonly #intervalMs: number
  #facts: SourceFacts | undefined
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  /** @param id the pipeline, which may become known later */
  constructor(source: WatchedSource, id: () => string, intervalMs: number) {
    this.#source = source
    this.#id = id
    this.#intervalMs = intervalMs
  }

  /** The last that it said. */
  get facts(): SourceFacts | undefined {
    return this.#facts
  }

  /** How often asking failed. */
  get failures(): number {
    return this.#failures
  }

  /** Asks, and again after each interval until `stop`. */
  start(): void {
    void this.#ask()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #ask(): Promise<void> {
    const startedAt = performance.now()
    try {
      const { changes, bytes, pipelines, oldestWriter } = await this.#source.status()
      const own = pipelines.find(({ id }) => id === this.#id())
      this.#facts = {
        at: Date.now(),
        auditRows: changes,
        auditBytes: bytes,
        behindRows: own?.behind,
        behindMs: own && (own.lagMs ?? 0),
        oldestUnseenMs: oldestWriter?.ageMs ?? 0,
      }
    } catch {
      this.#failures += 1
    }
    if (this.#stopped) return
    const delayMs = Math.max(this.#intervalMs, (performance.now() - startedAt) / timeShareMax)
    this.#timer = setTimeout(() => void this.#ask(), delayMs)
    this.#timer.unref()
  }
}
