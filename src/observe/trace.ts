/** The door to tracing: nothing of it is loaded before. */
import { SyncError } from '../core/errors.js'
import type { EventSource } from './listening.js'

/**
 * Makes OpenTelemetry spans of what an engine does from now on: of each run, its phases, the copy of each table and each
 * delta with changes. They go to the tracer provider that the program has registered; without one nothing happens. Contains
 * names of tables, counts and codes, never values of rows.
 *
 * @returns what ends it
 * @throws SyncError `E_MISSING_PACKAGE` if `@opentelemetry/api` is not installed
 *
 * @example
 * ```ts
 * const end = await traceSpans(engine)
 * await engine.run()
 * end()
 * ```
 */
export async function traceSpans(engine: EventSource): Promise<() => void> {
  const [api, { Tracing }, { embedded }] = await Promise.all([load(), import('./tracing.js'), import('./embedded.js')])
  return new Tracing(engine, api, embedded.version).close
}

async function load() {
  try {
    return await import('@opentelemetry/api')
  } catch (error) {
    throw new SyncError('E_MISSING_PACKAGE', 'Spans need the package @opentelemetry/api, which is not installed', {
      hint: 'Run npm install @opentelemetry/api.',
      cause: error,
    })
  }
}
