/** The demo command. */
import type { CommandLineIo } from './io.js'
import { Stop } from './stop.js'

/** Loads the demonstration only when it is asked for: it needs packages that nothing else needs. */
export async function runDemonstration(io: CommandLineIo): Promise<void> {
  const stop = new Stop(io, { asked: () => undefined, forced: () => undefined })
  try {
    const { runDemo } = await import('../demo/main.js')
    await runDemo({ signal: stop.signal, out: io.stdout })
  } catch (error) {
    if (!stop.explains(error)) throw error
  } finally {
    stop.dispose()
  }
}
