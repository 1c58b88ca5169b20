/** Metrics, health and the live page of a run, where `--http` asks for them. */
import { type ObserveOptions, observe, type SyncEngine } from '../index.js'
import type { HttpAddress } from './http-address.js'
import type { Log } from './log.js'

/** Serves until the result is called. @throws SyncError `E_CONFIG` */
export async function serveObservation(
  engine: SyncEngine,
  address: HttpAddress,
  options: ObserveOptions,
  log: Log,
): Promise<() => Promise<void>> {
  const observation = await observe(engine, options)
  try {
    const url = await observation.listen(address)
    log.event('info', 'http', `Metrics, health and a live page at ${url}`, { url })
    if (!/^(?:127\.|localhost$|::1$)/.test(address.host)) {
      const message = `Whoever reaches ${url} sees names of tables and figures; it asks for no password`
      log.event('warn', 'warning', message, { code: 'http_open' })
    }
  } catch (error) {
    await observation.close()
    throw error
  }
  return () => observation.close()
}
