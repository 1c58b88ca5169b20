/** Work of which there is no half result. */
import { ExitStatus } from './exit-status.js'
import type { CommandLineIo } from './io.js'
import { Stop } from './stop.js'

/** Of a process that a signal ended, by convention. */
const interruptedCodes = { SIGINT: 130, SIGTERM: 143 } as const

/** Runs work that a signal ends. What is interrupted has no result, so it does not end as if it had one. */
export async function interruptible(io: CommandLineIo, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new Stop(io, { asked: () => undefined, forced: () => undefined })
  try {
    await work(stop.signal)
  } catch (error) {
    if (!stop.explains(error)) throw error
    throw new ExitStatus(interruptedCodes[stop.reason === 'SIGTERM' ? 'SIGTERM' : 'SIGINT'])
  } finally {
    stop.dispose()
  }
}
