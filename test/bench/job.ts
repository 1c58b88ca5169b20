/** What one process of the benchmark does, and what it tells. */
export interface Job {
  readonly kind: JobKind
  readonly postgres: { readonly url: string; readonly dataDir: string }
  /** The table to read, or a pattern of tables for `sync`. */
  readonly table: string
  readonly target: Target
  /** Rows of the table, for the jobs that count on it. */
  readonly rows: number
}

/**
 * `sync`: a full sync. `objects`: the same with a transform for every row. `pure`: what the sync sends, encoded before the
 * clock starts. `naive`: a cursor, objects, and the SDK's insert. `encode`, `encodeNaive`: the same two without a target.
 * `drain`: an incremental sync of a change of every row. `apply`: what it sends, encoded before. `latency`: one row a second.
 */
export type JobKind = 'sync' | 'objects' | 'pure' | 'naive' | 'encode' | 'encodeNaive' | 'drain' | 'apply' | 'latency'

/** `ws` is a server in another process, which keeps its data in memory; `wskv` is one that keeps it in files. */
export type Target = 'mem' | 'surrealkv' | 'rocksdb' | 'ws' | 'wskv'

export interface Sample {
  readonly rows: number
  readonly seconds: number
  /** Of this process, an embedded engine included. */
  readonly cpuSeconds: number
  readonly serverCpuSeconds: number
  /** How much larger this process became, at most, in bytes. */
  readonly rssAdded: number
  /** The 99th percentile, in milliseconds. */
  readonly eventLoopDelayMs: number
  /** From each commit until the row was seen in the target, in milliseconds. Only of `latency`. */
  readonly latenciesMs?: readonly number[]
}
