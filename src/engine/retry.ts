/** Tries again after errors that pass by themselves. The only reader of `SyncError.retryable`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../core/errors.js'

/** Exponential backoff with full jitter. */
export interface RetryPolicy {
  /** Tries in a row without progress, the first one included, before `E_RETRY_EXHAUSTED`. */
  readonly attemptsMax: number
  /** The longest wait before the second try; doubles with each further one. */
  readonly delayMs: number
  readonly delayMsMax: number
}

export interface RetryNotice {
  readonly error: SyncError
  /** The number of the try that failed, from 1. */
  readonly attempt: number
  readonly delayMs: number
}

/** Counts the tries of one piece of work and waits between them. */
export class Retries {
  readonly #policy: RetryPolicy
  readonly #notice: (notice: RetryNotice) => void
  readonly #signal: AbortSignal | undefined
  #attempt = 0

  constructor(policy: RetryPolicy, notice: (notice: RetryNotice) => void, signal?: AbortSignal) {
    this.#policy = policy
    this.#notice = notice
    this.#signal = signal
  }

  /** There was progress: the next failure counts as the first. */
  reset(): void {
    this.#attempt = 0
  }

  /**
   * Resolves when it is time to try again.
   * @throws the error itself if it is not retryable or the signal has aborted; `E_RETRY_EXHAUSTED` after the last try.
   */
  async after(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted()
    if (!(error instanceof SyncError) || !error.retryable) throw error
    this.#attempt += 1
    if (this.#attempt >= this.#policy.attemptsMax) {
      throw new SyncError('E_RETRY_EXHAUSTED', `Gave up after ${this.#attempt} tries: ${error.message}`, {
        ...error.details,
        cause: error,
      })
    }
    const ceiling = Math.min(this.#policy.delayMsMax, this.#policy.delayMs * 2 ** (this.#attempt - 1))
    const delayMs = Math.round(ceiling * (0.5 + Math.random() / 2))
    this.#notice({ error, attempt: this.#attempt, delayMs })
    await sleep(delayMs, undefined, { signal: this.#signal }).catch(() => this.#signal?.throwIfAborted())
  }
}

/** Runs the work until it succeeds, fails for good, or the policy is exhausted. */
export async function retrying<T>(retries: Retries, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      const result = await work()
      retries.reset()
      return result
    } catch (error) {
      await retries.after(error)
    }
  }
}
