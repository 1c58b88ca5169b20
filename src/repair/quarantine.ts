/** Rows that the target refused and that were kept aside: what there is, and another try. */
import type { Key } from '../core/batch.js'
import type { CheckpointStore } from '../core/checkpoint.js'
import type { SyncWarning } from '../core/events.js'
import type { Table } from '../core/schema.js'
import type { Transform } from '../core/shaping.js'
import type { Sink } from '../core/sink.js'
import type { Abortable, Source } from '../core/source.js'
import { SyncEngine } from '../engine/sync-engine.js'
import type { SourceAccess, VerifiableSource } from '../verify/sides.js'
import { SourceReader } from '../verify/source-reader.js'

/** A row that is kept aside. */
export interface QuarantinedRow {
  /** The source table's label. */
  readonly table: string
  /** The record that would have been written or deleted: `users:5`. */
  readonly record: string
  /** `E_POISON_ROW`, `E_ROW_TOO_LARGE` or `E_VALUE`. */
  readonly code: string
  /** Why, without any value. */
  readonly reason: string
}

/** A sink that keeps rows aside. */
export interface QuarantiningSink {
  inspect(id: string, options: Abortable): Promise<QuarantineAccess>
}

interface QuarantineAccess extends AsyncDisposable {
  quarantined(): Promise<readonly (QuarantinedRow & { readonly key: Uint8Array })[]>
  releaseQuarantined(records: readonly string[]): Promise<void>
  keyOf(table: Table, id: Uint8Array): Key | undefined
}

/** Whose rows are asked for. */
export interface QuarantineOptions extends Abortable {
  readonly sink: QuarantiningSink
  /** The pipeline. @defaultValue `default` */
  readonly id?: string
}

/** What another try needs. */
export interface RetryOptions extends QuarantineOptions {
  readonly source: Source & VerifiableSource
  /** With the option `quarantine`; otherwise a row that is refused again is an error. */
  readonly sink: Sink & QuarantiningSink
  /** A store that follows the checkpoint in the target. @defaultValue none */
  readonly checkpoints?: CheckpointStore
  /** Those of the pipeline. @defaultValue none */
  readonly transforms?: readonly Transform[]
  readonly onWarning?: (warning: SyncWarning) => void
}

/** What came of another try. */
export interface RetryResult {
  readonly tried: number
  /** Rows of tables that do not exist any more, or have other names now: nothing is left to try. */
  readonly forgotten: number
  /** Rows that are still kept aside. */
  readonly left: readonly QuarantinedRow[]
}

const defaultId = 'default'

/** The rows that a pipeline keeps aside. @throws SyncError */
export async function listQuarantine({
  sink,
  id = defaultId,
  signal,
}: QuarantineOptions): Promise<readonly QuarantinedRow[]> {
  await using access = await sink.inspect(id, { signal })
  return (await access.quarantined()).map(({ table, record, code, reason }) => ({ table, record, code, reason }))
}

/**
 * Reads the rows that are kept aside again at the source, and writes them as they are now, in a delta of the pipeline, which
 * must not run meanwhile. Then applies what has changed since. Entries of tables that are gone go.
 *
 * @throws SyncError `E_STATE_MISSING` if no finished full sync can be gone on from, and what either side throws
 */
export async function retryQuarantine(options: RetryOptions): Promise<RetryResult> {
  const { source, sink, id = defaultId, checkpoints, transforms, onWarning, signal } = options
  const reread = new Map<string, readonly Key[]>()
  let [tried, forgotten] = [0, 0]
  {
    await using from = await source.inspect({ signal })
    await using access = await sink.inspect(id, { signal })
    const all = await access.quarantined()
    const gone = await goneTables(from, new Set(all.map(({ table }) => table)))
    const entries = all.filter(({ table }) => !gone.has(table))
    const obsolete = all.filter(({ table }) => gone.has(table)).map(({ record }) => record)
    if (obsolete.length > 0) await access.releaseQuarantined(obsolete)
    tried = entries.length
    forgotten = obsolete.length
    for (const table of from.tables ?? []) {
      const mine = entries.filter((entry) => entry.table === table.label)
      const keys = mine.map(({ key }) => access.keyOf(table, key)).filter((key) => key !== undefined)
      if (keys.length > 0) reread.set(table.label, keys)
    }
  }
  if (tried + forgotten === 0) return { tried, forgotten, left: [] }
  const engine = new SyncEngine({ source, sink, checkpoints, id, transforms })
  if (onWarning !== undefined) engine.on('warning', onWarning)
  await engine.run({ phase: 'incremental', reread, signal })
  signal?.throwIfAborted()
  return { tried, forgotten, left: await listQuarantine({ sink, id, signal }) }
}

/** Those of the labels that are no table's. A table that merely is not selected is still there. */
async function goneTables({ run, tables = [] }: SourceAccess, labels: Set<string>): Promise<ReadonlySet<string>> {
  for (const { label } of tables) labels.delete(label)
  if (labels.size === 0) return labels
  const reader = new SourceReader(run)
  await reader.begin()
  for (const { label } of await reader.tables()) labels.delete(label)
  await reader.end()
  return labels
}
