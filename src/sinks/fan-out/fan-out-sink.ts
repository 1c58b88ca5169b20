/** Writes to several sinks at once. */
import type { Alteration } from '../../core/alteration.js'
import type { Batch, Key, ReplaceBatch } from '../../core/batch.js'
import type { Checkpoint, CheckpointStore } from '../../core/checkpoint.js'
import { type Delta, withBatches } from '../../core/delta.js'
import { SyncError } from '../../core/errors.js'
import type { Table } from '../../core/schema.js'
import type { PrepareOptions, Sink } from '../../core/sink.js'
import type { Abortable, BatchLimits, RunContext } from '../../core/source.js'

/**
 * Gives every batch to each of several sinks. A write resolves when all of them have it, and fails when one fails, after all
 * have settled; the engine then sends it to all again, which changes nothing for those that have it (I4).
 *
 * **Which checkpoint counts.** The first sink leads. If it keeps checkpoints beside its rows (it has `commit`, `load` and `save`,
 * as `SurrealSink` does), so does this one, in that sink: a delta is given to all others first, and the first commits it, with its
 * checkpoint, when they have it. The others are never behind that checkpoint; after a failure they may be ahead by one delta,
 * which then comes again. If the first sink does not commit, give the engine a checkpoint store: a checkpoint is saved when
 * all have everything before it. A sink in another place than the first is only written to, so a `SurrealSink` there
 * marks no consistent points.
 *
 * **What nobody notices.** A target other than the first that is emptied or restored from a backup. Run a full sync then.
 *
 * @example
 * ```ts
 * const sink = new FanOutSink([new SurrealSink({ url, namespace, database }), new NdjsonSink({ file: 'changes.ndjson' })])
 * ```
 */
export class FanOutSink implements Sink {
  readonly name = 'fan-out'
  readonly address: string
  /** The smallest that any of them likes best. */
  readonly limits: Partial<BatchLimits>
  /** The smallest that any of them asks for. */
  readonly inFlight: number | undefined
  /** Whether all of them do. */
  readonly obeysDeletes: boolean
  /** There if the first sink has it. */
  declare readonly commit?: NonNullable<Sink['commit']>
  /** There if the first sink is its own checkpoint store. */
  declare readonly load?: CheckpointStore['load']
  declare readonly probe?: NonNullable<CheckpointStore['probe']>
  declare readonly save?: CheckpointStore['save']
  readonly #sinks: readonly Sink[]

  /**
   * @param sinks in order of rank; this sink opens and closes them
   * @throws SyncError `E_CONFIG` for an empty list, or one that names a sink twice
   */
  constructor(sinks: readonly [Sink, ...Sink[]]) {
    const [first] = sinks
    if (first === undefined || new Set<Sink>(sinks).size < sinks.length) {
      throw new SyncError('E_CONFIG', 'A fan-out needs at least one sink, and each only once')
    }
    this.#sinks = sinks
    this.address = sinks.map(({ address, name }) => address ?? name).join(', ')
    this.limits = smallestLimits(sinks)
    this.inFlight = smallest(sinks.map(({ inFlight }) => inFlight))
    this.obeysDeletes = sinks.every(({ obeysDeletes }) => obeysDeletes === true)
    const { commit } = first
    if (commit !== undefined) {
      this.commit = (delta, checkpoint, options) =>
        commit.call(first, this.#followedFirst(delta, options), checkpoint, options)
    }
    if (commit === undefined || !isStore(first)) return
    this.load = (syncId) => first.load(syncId)
    this.probe = async (syncId) => first.probe?.(syncId)
    this.save = (syncId: string, checkpoint: Checkpoint) => first.save(syncId, checkpoint)
  }

  async open(context: RunContext): Promise<void> {
    await all(this.#sinks, (sink) => sink.open?.(context))
  }

  async check(tables: readonly Table[], options: PrepareOptions): Promise<void> {
    await all(this.#sinks, (sink) => sink.check?.(tables, options))
  }

  async prepare(tables: readonly Table[], options: PrepareOptions): Promise<void> {
    await all(this.#sinks, (sink) => sink.prepare?.(tables, options))
  }

  async write(batch: Batch, options: Abortable): Promise<void> {
    await write(this.#sinks, batch, options)
  }

  /** What any of them makes of a row. */
  shape(table: Table): string {
    return JSON.stringify(this.#sinks.map((sink) => sink.shape?.(table) ?? ''))
  }

  isEmpty(table: Table): boolean {
    return this.#sinks.some((sink) => sink.isEmpty?.(table) === true)
  }

  alterable(alteration: Alteration): boolean {
    return this.#sinks.every((sink) => sink.alter !== undefined && (sink.alterable?.(alteration) ?? true))
  }

  async alter(alteration: Alteration, options: Abortable): Promise<void> {
    await all(this.#sinks, (sink) => sink.alter?.(alteration, options))
  }

  async confirm(options: Abortable): Promise<void> {
    await all(this.#sinks, (sink) => sink.confirm?.(options))
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#sinks.map(async (sink) => sink.close?.()))
  }

  /** The delta for the first sink, each of whose batches the others have before it comes. */
  #followedFirst(delta: Delta, options: Abortable): Delta {
    const others = this.#sinks.slice(1)
    async function* batches(): AsyncGenerator<Batch> {
      for await (const batch of delta.batches) {
        await write(others, batch, options)
        yield batch
      }
    }
    return withBatches(delta, batches())
  }
}

async function write(sinks: readonly Sink[], batch: Batch, options: Abortable): Promise<void> {
  const shared = batch.op === 'replace' ? askedInTurn(batch) : batch
  await all(sinks, (sink) => sink.write(shared, options))
}

/** The source is asked one question at a time, as it may expect. */
function askedInTurn({ op, table, absent }: ReplaceBatch): ReplaceBatch {
  let last: Promise<unknown> = Promise.resolve()
  return {
    op,
    table,
    absent: (keys: readonly Key[]) => {
      const answer = last.then(() => absent(keys))
      last = answer.catch(() => undefined)
      return answer
    },
  }
}

/** Waits for all to settle, so that nobody still reads a batch that was taken back. @throws the first failure */
async function all(sinks: readonly Sink[], work: (sink: Sink) => Promise<void> | undefined): Promise<void> {
  const settled = await Promise.allSettled(sinks.map(async (sink) => work(sink)))
  for (const result of settled) if (result.status === 'rejected') throw result.reason
}

function smallestLimits(sinks: readonly Sink[]): Partial<BatchLimits> {
  const limits = {
    rowsMax: smallest(sinks.map((sink) => sink.limits?.rowsMax)),
    bytesMax: smallest(sinks.map((sink) => sink.limits?.bytesMax)),
    rowBytesMax: smallest(sinks.map((sink) => sink.limits?.rowBytesMax)),
  }
  // A limit that nobody has must not replace the engine's own.
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined))
}

function smallest(values: readonly (number | undefined)[]): number | undefined {
  const given = values.filter((value) => value !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}

function isStore(sink: object): sink is CheckpointStore {
  return 'load' in sink && typeof sink.load === 'function' && 'save' in sink && typeof sink.save === 'function'
}
