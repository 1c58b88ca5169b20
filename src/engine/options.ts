/** Every default of the engine, and the check of what users pass. */
import { availableParallelism } from 'node:os'
import type { CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { Sink } from '../core/sink.js'
import type { BatchLimits, Source } from '../core/source.js'
import { Checkpoints } from './checkpoints.js'
import type { RetryPolicy } from './retry.js'
import type { Transform } from './transform.js'

/** What a {@link SyncEngine} is made of. Only `source` and `sink` are required. */
export interface SyncEngineOptions {
  readonly source: Source
  readonly sink: Sink
  /**
   * Where checkpoints are saved. Without it a run of the full phase alone captures no changes. A sink that commits
   * checkpoints itself, and has `load` and `save`, keeps them in any case: a store apart then follows it, and a run starts
   * where the sink says. With any other sink and no store, a run of both phases cannot be resumed.
   * @defaultValue the sink if it keeps them, else none
   */
  readonly checkpoints?: CheckpointStore
  /** Names this pipeline in stores, in the source and in the sink. @defaultValue `default` */
  readonly id?: string
  /** How many writes may be open at once. @defaultValue what the sink prefers, else 2 */
  readonly inFlight?: number
  /**
   * How many parts of tables a full sync reads at once, each over a connection of its own; never more than `inFlight` and
   * `readersMax` of the source.
   * @defaultValue half the processors of this machine, from 1 to 4
   */
  readonly concurrency?: number
  /** Upper bounds of one batch. @defaultValue what the sink prefers, else 1,000 rows and 1 MiB */
  readonly limits?: Partial<BatchLimits>
  /**
   * How often at most the progress of a full sync is saved, in milliseconds: so much work, and the chunks that are not
   * finished, is done again after a crash. @defaultValue 1,000
   */
  readonly progressIntervalMs?: number
  /** When to give up on errors that pass by themselves. @defaultValue 10 tries, from 200 ms to 30 s apart */
  readonly retry?: Partial<RetryPolicy>
  /** Reshape rows on their way, in this order. They cost the fast path: rows become objects. @defaultValue none */
  readonly transforms?: readonly Transform[]
  /**
   * On how many batches transforms work at once, in the whole run; each transform gets one batch at a time and the order of
   * batches stays. For transforms that wait for others, such as a service that makes embeddings. The batches that are
   * worked on are in memory. @defaultValue that of `concurrency`
   */
  readonly transformConcurrency?: number
}

export interface EngineSettings {
  readonly source: Source
  readonly sink: Sink
  readonly checkpoints: Checkpoints
  readonly id: string
  readonly inFlight: number
  readonly concurrency: number
  readonly limits: BatchLimits
  readonly progressIntervalMs: number
  readonly retry: RetryPolicy
  readonly transforms: readonly Transform[]
  readonly transformConcurrency: number
}

const defaults = {
  id: 'default',
  inFlight: 2,
  limits: { rowsMax: 1_000, bytesMax: 1_048_576 },
  progressIntervalMs: 1_000,
  retry: { attemptsMax: 10, delayMs: 200, delayMsMax: 30_000 },
  transforms: [],
} as const satisfies Partial<EngineSettings>

/** Of the default. */
const concurrencyMax = 4

const idPattern = /^[A-Za-z0-9_-]{1,64}$/

/** @throws SyncError `E_CONFIG` */
export function settle(options: SyncEngineOptions): EngineSettings {
  const { source, sink } = options
  const wanted = options.concurrency ?? Math.max(1, Math.min(concurrencyMax, availableParallelism() >> 1))
  wholeNumber('concurrency', wanted)
  const concurrency = Math.min(wanted, source.readersMax ?? wanted)
  const settings: EngineSettings = {
    source,
    sink,
    checkpoints: new Checkpoints(sink, options.checkpoints),
    id: options.id ?? defaults.id,
    inFlight: options.inFlight ?? sink.inFlight ?? defaults.inFlight,
    concurrency,
    limits: { ...defaults.limits, ...sink.limits, ...options.limits },
    progressIntervalMs: options.progressIntervalMs ?? defaults.progressIntervalMs,
    retry: { ...defaults.retry, ...options.retry },
    transforms: options.transforms ?? defaults.transforms,
    transformConcurrency: options.transformConcurrency ?? concurrency,
  }
  if (!idPattern.test(settings.id)) {
    throw new SyncError('E_CONFIG', 'The pipeline id is not made of 1 to 64 letters, digits, _ and -', {
      hint: 'Choose a shorter or simpler `id`.',
    })
  }
  wholeNumber('inFlight', settings.inFlight)
  wholeNumber('transformConcurrency', settings.transformConcurrency)
  wholeNumber('limits.rowsMax', settings.limits.rowsMax)
  wholeNumber('limits.bytesMax', settings.limits.bytesMax)
  wholeNumber('limits.rowBytesMax', settings.limits.rowBytesMax ?? 1)
  wholeNumber('retry.attemptsMax', settings.retry.attemptsMax)
  delay('progressIntervalMs', settings.progressIntervalMs)
  delay('retry.delayMs', settings.retry.delayMs)
  delay('retry.delayMsMax', settings.retry.delayMsMax)
  return settings
}

function wholeNumber(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return
  throw new SyncError('E_CONFIG', `${name} must be a whole number of at least 1`)
}

/** Timers of Node.js wait for at most 2^31 - 1 ms and turn everything else into 1 ms. */
function delay(name: string, value: number): void {
  if (value >= 0 && value < 2 ** 31) return
  throw new SyncError('E_CONFIG', `${name} must be a number of milliseconds from 0 to 24 days`)
}
