/// <reference path="./prom-client.d.ts" />
/** The metrics of one engine, in the text format of Prometheus. Labels are tables, phases, codes and kinds: never values. */
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import { type EventSource, listening } from './listening.js'
import type { SourceWatch } from './source-watch.js'
import { runStates, type Tally } from './tally.js'

export interface MetricsOptions {
  readonly engine: EventSource
  readonly tally: Tally
  readonly watch: SourceWatch | undefined
  readonly version: string
}

/** From one poll of the source to what somebody should be woken for. */
const delayBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800]

export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #options: MetricsOptions
  /** Stops counting. */
  readonly close: () => void

  constructor(options: MetricsOptions) {
    this.#options = options
    this.close = this.#count(options.engine)
    this.#run()
    this.#tables()
    this.#source()
    this.#process()
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #count(engine: EventSource): () => void {
    const rows = this.#counter('rows_total', 'Rows copied (phase full) and changes applied (phase incremental)', [
      'table',
      'phase',
    ])
    const bytes = this.#counter('bytes_total', 'Size of those rows as they left the source, where it is known', [
      'table',
      'phase',
    ])
    const batches = this.#counter('batches_total', 'Batches that became durable', ['phase', 'op'])
    const deltas = this.#counter('deltas_total', 'Deltas with changes that took effect', [])
    const checkpoints = this.#counter('checkpoints_total', 'Checkpoints that became durable', ['kind'])
    const retries = this.#counter('retries_total', 'Failures that were tried again, by error code', ['code'])
    const errors = this.#counter('errors_total', 'Runs that ended with an error, by error code', ['code'])
    const warnings = this.#counter('warnings_total', 'Warnings, by code', ['code'])
    const quarantined = this.#counter('quarantined_rows_total', 'Rows put into quarantine', ['table'])
    const histogram = { name: 'surreal_sync_delay_seconds', registers: [this.#registry], buckets: delayBuckets }
    const delay = new Histogram({
      ...histogram,
      help: 'From the commit at the source until the newest change of a delta was durable in the target',
    })
    const { on, end } = listening(engine)
    on('batch', (event) => {
      const labels = { table: event.table.label, phase: event.phase }
      rows.inc(labels, event.rows)
      if (event.bytes !== undefined) bytes.inc(labels, event.bytes)
      batches.inc({ phase: event.phase, op: event.op })
    })
    on('delta', (event) => {
      if (event.batches > 0) deltas.inc()
      if (event.batches > 0 && event.lagMs !== undefined) delay.observe(event.lagMs / 1_000)
    })
    on('checkpoint', ({ kind }) => checkpoints.inc({ kind }))
    on('retry', ({ code }) => retries.inc({ code }))
    on('end', ({ reason, code }) => reason === 'failed' && errors.inc({ code: code ?? 'E_INTERNAL' }))
    on('warning', ({ code, table = '', count = 1 }) => {
      warnings.inc({ code }, count)
      if (code === 'row_quarantined') quarantined.inc({ table }, count)
    })
    return end
  }

  #run(): void {
    const { tally, version } = this.#options
    this.#gauge('build_info', '1, with the version', ['version', 'node']).set(
      { version, node: process.versions.node },
      1,
    )
    this.#gauge('phase', '1 for what the run is in: full, incremental, or how it ended', ['phase'], (gauge) => {
      for (const phase of runStates) gauge.set({ phase }, phase === tally.state ? 1 : 0)
    })
    this.#gauge(
      'lag_seconds',
      '0: all that is visible at the source is applied. Else how old what is missing is',
      [],
      (gauge) => {
        const { ms } = tally.lag
        if (ms !== undefined) gauge.set(ms / 1_000)
      },
    )
    this.#gauge('last_checkpoint_timestamp_seconds', 'When the newest checkpoint became durable', [], (gauge) => {
      const newest = tally.checkpoints.at(-1)
      if (newest !== undefined) gauge.set(newest.at / 1_000)
    })
    this.#gauge('run_start_timestamp_seconds', 'When the run began', [], (gauge) => {
      if (tally.startedAt !== undefined) gauge.set(tally.startedAt / 1_000)
    })
  }

  #tables(): void {
    const { tally } = this.#options
    this.#gauge('tables', 'Tables of the current phase, by state', ['state'], (gauge) => {
      for (const state of ['waiting', 'running', 'done']) gauge.set({ state }, 0)
      for (const { state } of tally.tables) gauge.inc({ state })
    })
    this.#gauge('table_expected_rows', 'Estimate of the rows to copy', ['table'], (gauge) => {
      for (const { table, expected } of tally.tables) if (expected !== undefined) gauge.set({ table }, expected)
    })
    this.#gauge(
      'table_chunks',
      'Parts of a table to copy, by whether they are durable',
      ['table', 'state'],
      (gauge) => {
        for (const { table, chunks } of tally.tables) {
          if (chunks === undefined) continue
          gauge.set({ table, state: 'done' }, chunks.done)
          gauge.set({ table, state: 'open' }, chunks.total - chunks.done)
        }
      },
    )
  }

  #source(): void {
    const { watch } = this.#options
    if (watch === undefined) return
    const asked = (
      name: string,
      help: string,
      value: (facts: NonNullable<SourceWatch['facts']>) => number | undefined,
    ) =>
      this.#gauge(name, help, [], (gauge) => {
        const known = watch.facts && value(watch.facts)
        if (known !== undefined) gauge.set(known)
      })
    asked('audit_rows', 'Changes kept in the audit table, counted up to a million', ({ auditRows }) => auditRows)
    asked('audit_bytes', 'Size of the audit table', ({ auditBytes }) => auditBytes)
    asked('behind_rows', 'Changes after the position that the source has heard of', ({ behindRows }) => behindRows)
    asked('behind_seconds', 'Age of the oldest of these changes', ({ behindMs }) => behindMs && behindMs / 1_000)
    asked(
      'oldest_unseen_transaction_age_seconds',
      'Age of the oldest open transaction that has changes nobody sees yet; 0 if there is none',
      ({ oldestUnseenMs }) => oldestUnseenMs / 1_000,
    )
    asked('source_status_timestamp_seconds', 'When the source last said so', ({ at }) => at / 1_000)
    this.#counter('source_status_failures_total', 'How often it could not be asked', [], (counter) => {
      counter.inc(watch.failures)
    })
  }

  #process(): void {
    this.#gauge('process_resident_memory_bytes', 'Resident memory of the process', [], (gauge) => {
      gauge.set(process.memoryUsage.rss())
    })
    this.#counter('process_cpu_seconds_total', 'Processor time of the process', [], (counter) => {
      const { user, system } = process.cpuUsage()
      counter.inc((user + system) / 1_000_000)
    })
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[], collect?: (gauge: Gauge<L>) => void) {
    return new Gauge({
      name: fullName(name),
      help,
      labelNames,
      registers: [this.#registry],
      ...(collect && {
        collect() {
          // What is unknown or gone is left out rather than zero.
          this.reset()
          if (labelNames.length === 0) this.remove()
          collect(this)
        },
      }),
    })
  }

  #counter<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect?: (counter: Counter<L>) => void,
  ) {
    return new Counter({
      name: fullName(name),
      help,
      labelNames,
      registers: [this.#registry],
      ...(collect && {
        collect() {
          this.reset()
          collect(this)
        },
      }),
    })
  }
}

/** By convention those of a process have no prefix. */
function fullName(name: string): string {
  return name.startsWith('process_') ? name : `surreal_sync_${name}`
}
