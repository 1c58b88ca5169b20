/** Both sides of a pipeline examined, before or between its runs. */
import type { Finding } from '../core/finding.js'
import type { Table } from '../core/schema.js'
import type { Abortable } from '../core/source.js'

/** A source that can be examined, as `PostgresTriggerSource` can. */
export interface ExaminableSource {
  examine(options: {
    readonly concurrency?: number
  }): Promise<{ readonly findings: readonly Finding[]; readonly tables: readonly Table[] }>
}

/** A sink that can be examined, as `SurrealSink` can. */
export interface ExaminableSink {
  examine(
    options: Abortable & { readonly id?: string; readonly tables?: readonly Table[] },
  ): Promise<readonly Finding[]>
}

/** What {@link examine} looks at. */
export interface ExamineOptions extends Abortable {
  readonly source: ExaminableSource
  /** @defaultValue only the source is examined */
  readonly sink?: ExaminableSink
  /** The pipeline's id. @defaultValue `default` */
  readonly id?: string
  /** How many parts of tables a run would read at once. */
  readonly concurrency?: number
}

/**
 * Looks at everything that a run depends on: connections, versions, rights, TLS, settings, what is installed, clocks, the size of
 * the audit table, and in the target a probe record that is written, read back and removed. Otherwise it changes nothing, may
 * run beside a pipeline, and does not throw for what it finds.
 * @returns the source's findings, then the sink's; a run is fine if none of them is a `problem`
 */
export async function examine({ source, sink, id, concurrency, signal }: ExamineOptions): Promise<readonly Finding[]> {
  const { findings, tables } = await source.examine({ concurrency })
  signal?.throwIfAborted()
  return sink === undefined ? findings : [...findings, ...(await sink.examine({ id, tables, signal }))]
}
