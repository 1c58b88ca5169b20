/** The door to everything that watches: nothing of it is loaded before. */
import type { EventSource } from './listening.js'
import type { Observation, ObserveOptions } from './observation.js'

/**
 * Begins to watch an engine; call it before `run`, since it counts from now on.
 *
 * @example
 * ```ts
 * await using observation = await observe(engine, { source })
 * await observation.listen({ port: 9400 })
 * await engine.run({ follow: true })
 * ```
 */
export async function observe(engine: EventSource, options: ObserveOptions = {}): Promise<Observation> {
  const { Observation } = await import('./observation.js')
  return Observation.of(engine, options)
}
