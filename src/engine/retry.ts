/** Tries again after errors that pass by themselves. The only reader of `SyncError.retryable`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../core/errors.js'

/** Exponential backoff with jitter: each wait is between half and all of its ceiling. */
export interface RetryPolicy {
  /** Tries in a row without progress, the first one included, before `E_RETRY_EXHAUSTED`. */
  readonly attemptsMax: number
  /** The ceiling of the wait before the second try; doubles with each further one. */
  readonly delayMs: number
  /** What the ceiling never exceeds. */
  readonly delayMsMax: number
}

export interface RetryNotice {
  readonly error: SyncError
  /** The number of the try that failed, from 1. */
  readonly attempt: number
  readonly delayMs: number
}

/** Keeps the power finite, so that a `delayMs` of 0 stays 0. */
const doublingsMax = 30

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
   * @throws the error itself if it is not retryable; the signal's reason if it has aborted; `E_RETRY_EXHAUSTED` after the
   * last try.
   */
  async after(error: unknown): Promise<void> {
    if (!(error instanceof SyncError) || !error.retryable) throw error
    this.#signal?.throwIfAborted()
    this.#attempt += 1
    if (this.#attempt >= this.#policy.attemptsMax) {
      const { hint = 'Run again when that has passed.', ...about } = error.details
      throw new SyncError('E_RETRY_EXHAUSTED', `Gave up after ${this.#attempt} tries: ${error.message}`, {
        ...about,
        hint,
        cause: error,
      })
    }
    const doublings = Math.min(this.#attempt - 1, doublingsMax)
    const ceiling = Math.min(this.#policy.delayMsMax, this.#policy.delayMs * 2 ** doublings)
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
