/** Time as the command line sees it. */
export interface Clock {
  /** Milliseconds on a clock that never goes back. */
  now(): number
  /** Calls back once. The result cancels it. */
  after(delayMs: number, callback: () => void): () => void
}

/** The longest delay that a timer of Node.js keeps. */
const timerMsMax = 2_147_483_647

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const first = Math.min(delayMs, timerMsMax)
    let cancel = () => {}
    const timer = setTimeout(() => {
      if (first === delayMs) callback()
      else cancel = systemClock.after(delayMs - first, callback)
    }, first)
    cancel = () => clearTimeout(timer)
    return () => cancel()
  },
}
