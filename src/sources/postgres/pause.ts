/** Waits between two looks. */
import { setTimeout as sleep } from 'node:timers/promises'

/** @throws the signal's reason, where the timer's own error would be thrown (L1) */
export async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}
