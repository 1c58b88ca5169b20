/** Compares every row of a source with every record of a target, by code of its own. */
import { SyncError } from '../core/errors.js'
import type { Abortable } from '../core/source.js'
import { Comparison, type TableTotals } from './comparison.js'
import { differingFields, type Verdict } from './judgement.js'
import type { VerifiableSource, VerifiableTarget } from './sides.js'
import { printValue } from './surreal-value.js'
import type { Reading } from './table-comparison.js'

/** What is compared, and what is told of it. */
export interface VerifyOptions extends Abortable {
  /** For example a `PostgresTriggerSource`: its selection of tables is what is compared. */
  readonly source: VerifiableSource
  /** For example a `SurrealSink`, with the options that the target was written with. Needs SurrealDB 3.0 or newer. */
  readonly target: VerifiableTarget
  /** The pipeline, as it was named to the engine. @defaultValue `default` */
  readonly id?: string
  /** Labels (`shop.orders`) of the only tables to compare. @defaultValue all that the source selects */
  readonly tables?: readonly string[]
  /**
   * Each row is looked at once. For when neither side changes. Otherwise what does not look the same is looked at again,
   * once the pipeline has passed what the source had. @defaultValue false
   */
  readonly atRest?: boolean
  /** The target must hold nothing else: records of all other tables count as extra. @defaultValue false */
  readonly exclusive?: boolean
  /** How long to wait for the pipeline to pass a point, in milliseconds. @defaultValue 60,000 */
  readonly waitMsMax?: number
  /** How many differences the result lists. All are counted, and given to `onDifference`. @defaultValue 1,000 */
  readonly listMax?: number
  readonly onDifference?: (difference: Difference) => void
  /** Called after every some hundred rows. */
  readonly onProgress?: (progress: VerifyProgress) => void
}

/** How far a comparison is. */
export interface VerifyProgress extends Reading {
  readonly table: string
}

/** One row that is not the same on both sides. Never contains a value, except those of the key. */
export interface Difference {
  /** The source table's label; with `exclusive` also the name of a table that only the target has. */
  readonly table: string
  /** `missing`: only in the source. `extra`: only in the target. `moving`: it changed each time it was looked at. */
  readonly kind: 'missing' | 'extra' | 'different' | 'moving'
  /** The key in SurrealQL's notation, as after the colon of a record id. */
  readonly key: string
  /** The names of the fields that differ, in a row that is `different` or `moving`. */
  readonly fields: readonly string[]
}

/** What a comparison found. */
export interface VerifyResult {
  /** Every row of every table compared is the same on both sides, and nothing was left out. */
  readonly equal: boolean
  /** Rows of the source. */
  readonly rows: number
  readonly differences: number
  readonly tables: readonly TableTotals[]
  /** Target tables that belong to none of the tables compared, and were not looked at. */
  readonly others: readonly string[]
  /** The first {@link VerifyOptions.listMax} differences. */
  readonly listed: readonly Difference[]
  readonly durationMs: number
}

const defaults = { id: 'default', waitMsMax: 60_000, listMax: 1_000 } as const

/**
 * Reads every row of both sides and decodes it by code that shares nothing with what wrote it. Neither locks nor writes
 * anything. Memory does not grow with the tables. Tables without a key are not compared; `skipped` says so.
 *
 * @throws SyncError `E_UNKNOWN_TABLE`, `E_STATE_MISSING` if the target has no finished full sync of this pipeline, `E_BUSY` if
 * the pipeline does not move on, and what either side throws; the signal's reason
 */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  const startedAt = performance.now()
  const { signal, tables: only, atRest = false, exclusive = false, onProgress, onDifference } = options
  const { id = defaults.id, waitMsMax = defaults.waitMsMax, listMax = defaults.listMax } = options
  await using source = await options.source.inspect({ signal })
  await using target = await options.target.inspect(id, { signal })
  const listed: Difference[] = []
  const comparison = new Comparison(source, target, {
    ...{ id, atRest, exclusive, waitMsMax, only, signal },
    onReading: (table, reading) => onProgress?.({ table, ...reading }),
    onVerdict: (table, verdict) => {
      const difference = describeVerdict(table, verdict)
      if (listed.length < listMax) listed.push(difference)
      onDifference?.(difference)
    },
  })
  const { tables, others } = await comparison.run()
  const unknown = only?.find((label) => !tables.some(({ table }) => table === label))
  if (unknown !== undefined) {
    throw new SyncError('E_UNKNOWN_TABLE', `The source does not replicate a table ${unknown}`, { table: unknown })
  }
  const sum = (count: (table: TableTotals) => number) => tables.reduce((total, table) => total + count(table), 0)
  const differences = sum(({ missing, extra, different, moving }) => missing + extra + different + moving)
  return {
    equal: differences === 0 && tables.every(({ skipped }) => skipped === undefined),
    rows: sum(({ rows }) => rows),
    ...{ differences, tables, others, listed },
    durationMs: Math.round(performance.now() - startedAt),
  }
}

/** What may be shown of a verdict. */
export function describeVerdict(table: string, { kind, key, expected, found }: Verdict): Difference {
  const fields = expected === undefined || found === undefined ? [] : differingFields(expected, found)
  return { table, kind, key: printValue(key), fields }
}
