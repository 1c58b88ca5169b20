/** Saves how far a full sync has come: now and then while it goes on, and once more when it breaks off. */
import type { Position } from '../core/checkpoint.js'
import type { CopiedChunks } from './copied-chunks.js'
import type { Run } from './run.js'

/** Where chunks are many, a checkpoint is long: saving takes at most this part of the time, up to so many intervals. */
const limits = { timeShareMax: 0.05, intervalsMax: 60 }

export class CopyProgress {
  readonly #run: Run
  readonly #copied: CopiedChunks
  #start: Position | undefined
  #changed = false
  #saving = false
  #notBefore = 0

  constructor(run: Run, copied: CopiedChunks) {
    this.#run = run
    this.#copied = copied
  }

  /** From here on there is something to save: changes will be replayed from this position. */
  begin(start: Position): void {
    this.#start = start
    this.#wait(0)
  }

  /** Nothing is saved until it begins again. */
  end(): void {
    this.#start = undefined
  }

  /** Something more is durable. Saves that if it is time to. */
  async advanced(): Promise<void> {
    this.#changed = true
    if (performance.now() >= this.#notBefore) await this.save()
  }

  /** Saves what has changed since the last time. */
  async save(): Promise<void> {
    if (this.#start === undefined || !this.#changed || this.#saving) return
    const startedAt = performance.now()
    this.#saving = true
    this.#changed = false
    try {
      await this.#run.saveProgress(this.#start, this.#copied.entries)
    } catch (error) {
      this.#changed = true
      throw error
    } finally {
      this.#saving = false
    }
    this.#wait(performance.now() - startedAt)
  }

  #wait(tookMs: number): void {
    const { progressIntervalMs } = this.#run.settings
    const delayMs = Math.min(tookMs / limits.timeShareMax, progressIntervalMs * limits.intervalsMax)
    this.#notBefore = performance.now() + Math.max(progressIntervalMs, delayMs)
  }
}
