/** Waiting with a way out: a deadline, a lost connection, a stop that was asked for. */
import { SyncError } from '../../core/errors.js'

export interface WaitOptions {
  readonly timeoutMs: number
  /** What the timeout error says: `SurrealDB did not answer`. */
  readonly what: string
  readonly signal?: AbortSignal
  /** How long after an abort the work may still finish. */
  readonly graceMs?: number
  /** Calls back when there is nothing left to wait for. Returns how to unsubscribe. */
  readonly onLost?: (listener: (error: SyncError) => void) => () => void
}

/** Settles like the work, or rejects when waiting ends first. The work goes on alone and its outcome is ignored. */
export function settle<Result>(work: Promise<Result>, options: WaitOptions): Promise<Result> {
  const { timeoutMs, what, signal, graceMs = 0, onLost } = options
  return new Promise<Result>((resolve, reject) => {
    const late = () => {
      finish(() => reject(new SyncError('E_CONNECTION_LOST', `${what} within ${timeoutMs} ms`)))
    }
    const aborted = () => {
      clearTimeout(timer)
      timer = setTimeout(() => finish(() => reject(signal?.reason)), graceMs)
    }
    let timer = setTimeout(late, timeoutMs)
    const forget = onLost?.((error) => finish(() => reject(error)))
    const finish = (settled: () => void) => {
      clearTimeout(timer)
      forget?.()
      signal?.removeEventListener('abort', aborted)
      settled()
    }
    if (signal?.aborted === true) aborted()
    else signal?.addEventListener('abort', aborted, { once: true })
    work.then(
      (result) => finish(() => resolve(result)),
      (error: unknown) => finish(() => reject(error)),
    )
  })
}

/** Waits, and rejects with the signal's reason when it aborts. */
export function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', aborted)
      resolve()
    }, delayMs)
    if (signal?.aborted === true) aborted()
    else signal?.addEventListener('abort', aborted, { once: true })
  })
}
