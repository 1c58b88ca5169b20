/** Settings of commands that can do without a target. */
import type { SyncConfig } from '../index.js'
import { layered } from './config-settings.js'
import { concurrencyOf, type Flags, type Settings, settle, settleSource } from './settings.js'

export interface Sides {
  readonly source: Settings['source']
  /** Undefined: no namespace and no database was named. */
  readonly target: Pick<Settings, 'sink' | 'id'> | undefined
  /** The forms of values, also where the target is open. */
  readonly values: Settings['sink']['values']
  /** Undefined: what suits the machine. */
  readonly concurrency: number | undefined
}

/** @throws SyncError `E_CONFIG`, also if only one of namespace and database is named */
export function settleSides(given: Flags, environment: NodeJS.ProcessEnv, config?: SyncConfig): Sides {
  const { flags, values } = layered(given, environment, config)
  if (flags.toNamespace || flags.toDatabase) {
    const { source, sink, id, concurrency } = settle('sync', given, environment, config)
    return { source, target: { sink, id }, values, concurrency }
  }
  const concurrency = concurrencyOf(flags)
  return { source: settleSource(given, environment, config, true), target: undefined, values, concurrency }
}
