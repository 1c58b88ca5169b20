/** Metrics, health and the live page of a run, where `--http` asks for them; spans, where OpenTelemetry is set up. */
import { type ObserveOptions, observe, type SyncEngine, SyncError, traceSpans } from '../index.js'
import type { HttpAddress } from './http-address.js'
import type { CommandLineIo } from './io.js'
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

/** Makes spans where a variable of OpenTelemetry is set: then somebody has loaded an SDK, or wants to. */
export async function traceWhereSetUp(engine: SyncEngine, env: CommandLineIo['env'], log: Log): Promise<void> {
  if (!Object.keys(env).some((name) => name.startsWith('OTEL_'))) return
  try {
    await traceSpans(engine)
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
    // Clusters set such variables for everybody.
    log.event('debug', 'warning', error.message, { code: 'no_spans' })
  }
}
