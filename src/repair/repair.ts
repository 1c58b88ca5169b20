/** Makes rows equal that `verify` found to differ, by reading them again on the way that changes take. */
import type { Key } from '../core/batch.js'
import type { CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { SyncWarning } from '../core/events.js'
import type { Table } from '../core/schema.js'
import type { Sink } from '../core/sink.js'
import type { Abortable, Source } from '../core/source.js'
import { SyncEngine } from '../engine/sync-engine.js'
import { encodeValue } from '../verify/cbor-bytes.js'
import { Comparison } from '../verify/comparison.js'
import type { Verdict } from '../verify/judgement.js'
import type { SourceAccess, TargetAccess, VerifiableSource, VerifiableTarget } from '../verify/sides.js'
import { type Difference, describeVerdict } from '../verify/verify.js'

/** What is repaired, and what is told of it. */
export interface RepairOptions extends Abortable {
  /** For example a `PostgresTriggerSource`: its selection of tables is what is repaired. */
  readonly source: Source & VerifiableSource
  /** For example a `SurrealSink`, with the options that the target was written with. */
  readonly sink: Sink & VerifiableTarget
  /** The pipeline. It must have finished a full sync with checkpoints, and must not run meanwhile. @defaultValue `default` */
  readonly id?: string
  /** A store that follows the checkpoint in the target. @defaultValue none */
  readonly checkpoints?: CheckpointStore
  /** Labels (`shop.orders`) of the only tables to repair. @defaultValue all that the source selects */
  readonly tables?: readonly string[]
  /** How long the repair may take to apply what the source had at one point, in milliseconds. @defaultValue 60,000 */
  readonly waitMsMax?: number
  readonly onDifference?: (difference: Difference) => void
  readonly onWarning?: (warning: SyncWarning) => void
}

/** What a repair found and did. */
export interface RepairResult {
  /** Rows that differed. */
  readonly found: number
  /** Those of them that are equal now. */
  readonly repaired: number
  /** Those that still differ, or could not be read again. */
  readonly left: readonly Difference[]
}

const defaults = { id: 'default', waitMsMax: 60_000 } as const
/** More rows than that are not repaired one by one. */
const rowsMax = 100_000

/**
 * Compares both sides, and reads the rows that differ again at the source: those that are there are written, others are
 * removed, in a delta of the pipeline, fenced as every delta. The source may be written to meanwhile. The position stays
 * where it is, then the changes since then are applied, so that nothing older than the target comes back and the target
 * ends at a consistent point. At the end those rows are compared again.
 *
 * @throws SyncError `E_STATE_MISSING` if no finished full sync can be gone on from, `E_TARGET` if more than 100,000 rows
 * differ, and what either side throws
 */
export async function repair(options: RepairOptions): Promise<RepairResult> {
  const { signal } = options
  const id = options.id ?? defaults.id
  await using source = await options.source.inspect({ signal })
  await using target = await options.sink.inspect(id, { signal })
  return await new Repair(options, id, source, target).run()
}

/** Rows of one table that differ. */
interface Damage {
  readonly table: Table
  readonly verdicts: Verdict[]
}

class Repair {
  readonly #options: RepairOptions
  readonly #id: string
  readonly #source: SourceAccess
  readonly #target: TargetAccess
  readonly #damages = new Map<string, Damage>()
  #found = 0

  constructor(options: RepairOptions, id: string, source: SourceAccess, target: TargetAccess) {
    this.#options = options
    this.#id = id
    this.#source = source
    this.#target = target
  }

  async run(): Promise<RepairResult> {
    // What is merely late is no damage.
    await this.#following(new Map(), async () => undefined)
    const comparison = await this.#compare()
    if (this.#found === 0) return { found: 0, repaired: 0, left: [] }
    const reread = new Map([...this.#damages].map(([label, damage]) => [label, this.#keys(damage)]))
    const left: Difference[] = []
    await this.#following(reread, async () => {
      for (const [label, { verdicts }] of this.#damages) {
        const keys = verdicts.map(({ key }) => key)
        for await (const verdict of comparison.again(label, keys)) left.push(describeVerdict(label, verdict))
      }
    })
    return { found: this.#found, repaired: this.#found - left.length, left }
  }

  /** What is not equal now. Nobody follows the source, so one look tells. */
  async #compare(): Promise<Comparison> {
    const { onDifference, signal, tables: only, waitMsMax = defaults.waitMsMax } = this.#options
    const all = new Map(this.#source.tables?.map((table) => [table.label, table]))
    const comparison = new Comparison(this.#source, this.#target, {
      ...{ id: this.#id, atRest: true, exclusive: false, waitMsMax, only, signal },
      onVerdict: (label, verdict) => {
        const table = all.get(label)
        if (table === undefined) return
        this.#found += 1
        if (this.#found > rowsMax) throw tooMany()
        onDifference?.(describeVerdict(label, verdict))
        const damage = this.#damages.get(label) ?? { table, verdicts: [] }
        damage.verdicts.push(verdict)
        this.#damages.set(label, damage)
      },
    })
    await comparison.run()
    return comparison
  }

  /** Those of the keys that the source can be asked for. */
  #keys({ table, verdicts }: Damage): readonly Key[] {
    return verdicts.flatMap(({ key }) => {
      const found = this.#target.keyOf(table, encodeValue(key))
      return found === undefined ? [] : [found]
    })
  }

  /** Reads the keys again, applies what has changed, and goes on with that while work is done. */
  async #following(reread: ReadonlyMap<string, readonly Key[]>, work: () => Promise<void>): Promise<void> {
    const { source, sink, checkpoints, onWarning, signal } = this.#options
    const engine = new SyncEngine({ source, sink, checkpoints, id: this.#id })
    if (onWarning !== undefined) engine.on('warning', onWarning)
    const stop = new AbortController()
    const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
    const caughtUp = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
    const run = engine.run({ phase: 'incremental', follow: true, reread, signal: both })
    run.catch(() => undefined)
    try {
      await Promise.race([caughtUp, run])
      signal?.throwIfAborted()
      await Promise.race([work(), run.then(() => signal?.throwIfAborted())])
    } finally {
      stop.abort()
      await run
    }
  }
}

function tooMany(): SyncError {
  return new SyncError('E_TARGET', `More than ${rowsMax} rows differ`, {
    hint: 'Run a full sync again: it replaces the tables as a whole.',
  })
}
