/** Every default of the engine, and the check of what users pass. */
import type { CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { Sink } from '../core/sink.js'
import type { BatchLimits, Source } from '../core/source.js'
import type { RetryPolicy } from './retry.js'
import type { Transform } from './transform.js'

export interface SyncEngineOptions {
  readonly source: Source
  readonly sink: Sink
  /**
   * Where checkpoints are saved. Without a store (and without a sink that commits checkpoints itself) a run of the full
   * phase alone captures no changes and a run of both phases cannot be resumed.
   */
  readonly checkpoints?: CheckpointStore
  /** Names this pipeline in stores, in the source and in the sink. @defaultValue `default` */
  readonly id?: string
  /** How many writes may be open at once. @defaultValue what the sink prefers, else 2 */
  readonly inFlight?: number
  /** Upper bounds of one batch. @defaultValue what the sink prefers, else 1,000 rows and 1 MiB */
  readonly limits?: Partial<BatchLimits>
  /** When to give up on errors that pass by themselves. @defaultValue 10 tries, from 200 ms to 30 s apart */
  readonly retry?: Partial<RetryPolicy>
  /** Reshape rows on their way, in this order. They cost the fast path: rows become objects. @defaultValue none */
  readonly transforms?: readonly Transform[]
}

export interface EngineSettings {
  readonly source: Source
  readonly sink: Sink
  readonly checkpoints: CheckpointStore | undefined
  readonly id: string
  readonly inFlight: number
  readonly limits: BatchLimits
  readonly retry: RetryPolicy
  readonly transforms: readonly Transform[]
}

const defaults = {
  id: 'default',
  inFlight: 2,
  limits: { rowsMax: 1_000, bytesMax: 1_048_576 },
  retry: { attemptsMax: 10, delayMs: 200, delayMsMax: 30_000 },
  transforms: [],
} as const satisfies Partial<EngineSettings>

const idPattern = /^[A-Za-z0-9_-]{1,64}$/

/** @throws SyncError `E_CONFIG` */
export function settle(options: SyncEngineOptions): EngineSettings {
  const { source, sink } = options
  const settings: EngineSettings = {
    source,
    sink,
    checkpoints: options.checkpoints,
    id: options.id ?? defaults.id,
    inFlight: options.inFlight ?? sink.inFlight ?? defaults.inFlight,
    limits: { ...defaults.limits, ...sink.limits, ...options.limits },
    retry: { ...defaults.retry, ...options.retry },
    transforms: options.transforms ?? defaults.transforms,
  }
  if (!idPattern.test(settings.id)) {
    throw new SyncError('E_CONFIG', 'The pipeline id is not made of 1 to 64 letters, digits, _ and -', {
      hint: 'Choose a shorter or simpler `id`.',
    })
  }
  wholeNumber('inFlight', settings.inFlight)
  wholeNumber('limits.rowsMax', settings.limits.rowsMax)
  wholeNumber('limits.bytesMax', settings.limits.bytesMax)
  wholeNumber('retry.attemptsMax', settings.retry.attemptsMax)
  return settings
}

function wholeNumber(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return
  throw new SyncError('E_CONFIG', `${name} must be a whole number of at least 1`)
}
