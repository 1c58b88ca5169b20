/** Waiting for another process, which gives no event to await. */
import { setTimeout as sleep } from 'node:timers/promises'

const limits = { pollMs: 20, waitMsMax: 30_000 }

/** Resolves when the condition holds. @throws Error with what was awaited if that takes too long */
export async function eventually(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + limits.waitMsMax
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`It did not happen in ${limits.waitMsMax} ms: ${what}`)
    await sleep(limits.pollMs)
  }
}
