/** Puts faults between an engine and what it works with. */
import type { CheckpointStore } from '../core/checkpoint.js'
import { type Delta, withBatches } from '../core/delta.js'
import type { Sink } from '../core/sink.js'
import type { Snapshot, Source } from '../core/source.js'
import type { Fault } from './faults.js'

/**
 * What a call does. `changes`, `batches` and `read` are one call for each delta or batch that is pulled, the one that
 * finds the end included. `close` never fails.
 */
export type FaultyOperation =
  | 'open'
  | 'lease'
  | 'prepare'
  | 'write'
  | 'alter'
  | 'commit'
  | 'confirm'
  | 'load'
  | 'probe'
  | 'save'
  | 'tables'
  | 'check'
  | 'position'
  | 'openSnapshot'
  | 'chunks'
  | 'read'
  | 'absent'
  | 'dispose'
  | 'changes'
  | 'batches'
  | 'acknowledge'

/**
 * Which faults happen, either one by one for the calls of an operation (`undefined`: none; so are all later calls), or
 * decided at each call. A function may be shared by several wrappers, to count calls across them.
 */
export type FaultScript =
  | { readonly [operation in FaultyOperation]?: readonly (Fault | undefined)[] }
  | ((operation: FaultyOperation) => Fault | undefined)

type Around = <T>(operation: FaultyOperation, call: () => Promise<T>) => Promise<T>

/**
 * Wraps a sink, a source or a checkpoint store. A sink that is its own store stays one.
 *
 * @example
 * ```ts
 * const lost = new SyncError('E_CONNECTION_LOST', 'The answer did not come')
 * const sink = faulty(new MemorySink(), { write: [undefined, new FailAfterWrite(lost)] })
 * ```
 */
export function faulty(target: Source, script: FaultScript): Source
// Generic, because overloads are first tried as subtypes, which a sink without the optional methods is not.
export function faulty<Both extends Sink & CheckpointStore>(target: Both, script: FaultScript): Sink & CheckpointStore
export function faulty(target: Sink, script: FaultScript): Sink
export function faulty(target: CheckpointStore, script: FaultScript): CheckpointStore
export function faulty(target: Source | Sink | CheckpointStore, script: FaultScript): Source | Sink | CheckpointStore {
  const next = typeof script === 'function' ? script : queues(script)
  const around: Around = (operation, call) => next(operation)?.around(call) ?? call()
  if ('changes' in target) return faultySource(target, around)
  if (!('write' in target)) return faultyStore(target, around)
  const sink = faultySink(target, around)
  return isStore(target) ? { ...sink, ...faultyStore(target, around) } : sink
}

/** Hands out the scripted faults of each operation in turn. */
function queues(
  script: Exclude<FaultScript, (operation: FaultyOperation) => unknown>,
): (operation: FaultyOperation) => Fault | undefined {
  const counts = new Map<FaultyOperation, number>()
  return (operation) => {
    const count = counts.get(operation) ?? 0
    counts.set(operation, count + 1)
    return script[operation]?.[count]
  }
}

function isStore(target: Sink | CheckpointStore): target is CheckpointStore {
  return 'load' in target && 'save' in target
}

function faultyStore(store: CheckpointStore, around: Around): CheckpointStore {
  return {
    load: (syncId) => around('load', () => store.load(syncId)),
    probe: (syncId) => around('probe', async () => store.probe?.(syncId)),
    save: (syncId, checkpoint) => around('save', () => store.save(syncId, checkpoint)),
    close: async () => store.close?.(),
  }
}

function faultySink(sink: Sink, around: Around): Sink {
  const { name, address, limits, inFlight, commit, alter, alterable, obeysDeletes } = sink
  return {
    name,
    address,
    limits,
    inFlight,
    isEmpty: sink.isEmpty && ((table) => sink.isEmpty?.(table) ?? false),
    shape: sink.shape && ((table) => sink.shape?.(table) ?? ''),
    open: (context) => around('open', async () => sink.open?.(context)),
    check: (tables, options) => around('check', async () => sink.check?.(tables, options)),
    prepare: (tables, options) => around('prepare', async () => sink.prepare?.(tables, options)),
    write: (batch, options) => around('write', () => sink.write(batch, options)),
    commit:
      commit && ((delta, checkpoint, options) => around('commit', () => commit.call(sink, delta, checkpoint, options))),
    obeysDeletes,
    alterable: alterable && ((alteration) => alterable.call(sink, alteration)),
    alter: alter && ((alteration, options) => around('alter', () => alter.call(sink, alteration, options))),
    confirm: (options) => around('confirm', async () => sink.confirm?.(options)),
    close: async () => sink.close?.(),
  }
}

function faultySource(source: Source, around: Around): Source {
  const { reread } = source
  return {
    reread: reread && ((table, keys, options) => reread.call(source, table, keys, options)),
    name: source.name,
    address: source.address,
    open: (context) => around('open', async () => source.open?.(context)),
    tables: (options) => around('tables', () => source.tables(options)),
    check: (tables, options) => around('check', async () => source.check?.(tables, options)),
    prepare: (tables, options) => around('prepare', async () => source.prepare?.(tables, options)),
    position: (options) => around('position', () => source.position(options)),
    parse: (text) => source.parse(text),
    describe: (position) => source.describe(position),
    compare: (a, b) => source.compare(a, b),
    shape: source.shape && ((table) => source.shape?.(table) ?? ''),
    lease: source.lease && ((options) => around('lease', async () => (await source.lease?.(options)) ?? noLease)),
    openSnapshot: (options) =>
      around('openSnapshot', async () => faultySnapshot(await source.openSnapshot(options), around)),
    changes: (options) => faultyDeltas(source.changes(options), around),
    acknowledge: (position) => around('acknowledge', async () => source.acknowledge?.(position)),
    report: async (report) => source.report?.(report),
    close: async () => source.close?.(),
  }
}

const noLease: AsyncDisposable = { [Symbol.asyncDispose]: async () => undefined }

function faultySnapshot(snapshot: Snapshot, around: Around): Snapshot {
  const { position, absent } = snapshot
  return {
    position,
    chunks: (table, options) => around('chunks', () => snapshot.chunks(table, options)),
    read: (chunk, options) => faultyPulls('read', snapshot.read(chunk, options), around),
    absent: absent && ((table, keys, options) => around('absent', () => absent.call(snapshot, table, keys, options))),
    [Symbol.asyncDispose]: () => around('dispose', async () => snapshot[Symbol.asyncDispose]()),
  }
}

async function* faultyDeltas(deltas: AsyncIterable<Delta>, around: Around): AsyncGenerator<Delta> {
  for await (const delta of faultyPulls('changes', deltas, around)) {
    yield withBatches(delta, faultyPulls('batches', delta.batches, around))
  }
}

async function* faultyPulls<T>(
  operation: FaultyOperation,
  values: AsyncIterable<T>,
  around: Around,
): AsyncGenerator<T> {
  const iterator = values[Symbol.asyncIterator]()
  try {
    for (;;) {
      // One pull, however often the fault makes the call: a value pulled twice would be lost.
      let pull: Promise<IteratorResult<T>> | undefined
      const step = await around(operation, () => {
        pull ??= iterator.next()
        return pull
      })
      if (step.done === true) return
      yield step.value
    }
  } finally {
    await iterator.return?.()
  }
}
