/** Watches an engine, for metrics, health checks and the live page. */
import type { ServerResponse } from 'node:http'
import { embedded } from './embedded.js'
import { EventStream } from './event-stream.js'
import { type Health, healthOf } from './health.js'
import { History } from './history.js'
import { type Listening, type ListenOptions, listen } from './http-server.js'
import type { EventSource } from './listening.js'
import { Metrics } from './metrics.js'
import { type RequestHandler, requestHandler } from './request-handler.js'
import { SourceWatch, type WatchedSource } from './source-watch.js'
import { Tally } from './tally.js'

/** What is asked and shown besides what an engine tells. */
export interface ObserveOptions {
  /**
   * Asked at an interval what it keeps: the size of the audit table, the oldest unseen transaction. A
   * `PostgresTriggerSource` uses a connection of its own for that. @defaultValue nothing is asked
   */
  readonly source?: WatchedSource
  /** The least time between two such questions. @defaultValue 15,000 */
  readonly statusIntervalMs?: number
  /** The lag up to which the target counts as ready. @defaultValue 60,000 */
  readonly readyLagMsMax?: number
  /** What the page calls both sides: addresses, without passwords. @defaultValue nothing */
  readonly from?: string
  readonly to?: string
}

const defaults = { statusIntervalMs: 15_000, readyLagMsMax: 60_000 }
const tickMs = 1_000

/**
 * What is known of an engine from its events on. Costs a few counters for each batch, and one sample a second; keeps no
 * process alive. Contains names of tables, codes and numbers, never values of rows or secrets.
 */
export class Observation implements AsyncDisposable {
  /**
   * Answers `/` (the live page), `/events`, `/metrics`, `/healthz` and `/readyz` for a server of one's own, which decides who
   * may ask. Below another path it needs that path taken off `request.url`, and the page a slash at its end.
   */
  readonly handler: RequestHandler
  readonly #tally: Tally
  readonly #metrics: Metrics
  readonly #watch: SourceWatch | undefined
  readonly #history = new History()
  readonly #stream = new EventStream()
  readonly #options: ObserveOptions
  readonly #servers = new Set<Listening>()
  readonly #end: () => void
  #timer: NodeJS.Timeout | undefined
  #sampled: { readonly at: number; readonly rows: number }
  #noted = -1

  private constructor(options: ObserveOptions, parts: Parts) {
    this.#options = options
    this.#tally = parts.tally
    this.#metrics = parts.metrics
    this.#watch = parts.watch
    this.#end = parts.end
    this.#sampled = { at: performance.now(), rows: 0 }
    this.handler = this.#handler(false)
    this.#watch?.start()
    this.#wait()
  }

  /** @internal */
  static of(engine: EventSource, options: ObserveOptions): Observation {
    const { source, statusIntervalMs = defaults.statusIntervalMs } = options
    const tally = new Tally()
    const end = tally.listen(engine)
    const watch = source && new SourceWatch(source, () => tally.id, statusIntervalMs)
    const metrics = new Metrics({ engine, tally, watch, version: embedded.version })
    return new Observation(options, { tally, metrics, watch, end })
  }

  /** All metrics, in the text format of Prometheus. */
  metrics(): Promise<string> {
    return this.#metrics.text()
  }

  health(): Health {
    return healthOf(this.#tally, this.#options.readyLagMsMax ?? defaults.readyLagMsMax)
  }

  /**
   * Serves the same over HTTP, by default to this machine only.
   * @returns the address: `http://127.0.0.1:9400/`
   * @throws SyncError `E_CONFIG` if the address is taken or not to be had
   */
  async listen(options: ListenOptions = {}): Promise<string> {
    const server = await listen(options, (loopback) => this.#handler(loopback))
    this.#servers.add(server)
    return server.url
  }

  /** Stops listening to the engine and to requests. May be called again. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#end()
    this.#metrics.close()
    this.#watch?.stop()
    this.#stream.close()
    const servers = [...this.#servers]
    this.#servers.clear()
    await Promise.all(servers.map((server) => server.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #handler(loopback: boolean): RequestHandler {
    const observed = {
      health: () => this.health(),
      metrics: () => this.metrics(),
      metricsType: this.#metrics.contentType,
      follow: (response: ServerResponse) => this.#stream.join(response, 'all', this.#all()),
    }
    return requestHandler(observed, loopback)
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.#tick(), tickMs)
    this.#timer.unref()
  }

  #tick(): void {
    this.#wait()
    const now = performance.now()
    const { rows } = this.#tally.totals
    const rowsPerSecond = ((rows - this.#sampled.rows) * 1_000) / Math.max(1, now - this.#sampled.at)
    this.#sampled = { at: now, rows }
    const joined = this.#history.add({ at: Date.now(), rowsPerSecond, lagMs: this.#tally.lag.ms })
    const tables = this.#tally.takeChanged()
    const { noted } = this.#tally
    const news = noted === this.#noted ? undefined : this.#notices()
    this.#noted = noted
    if (this.#stream.size === 0) return
    if (joined) this.#stream.send('all', this.#all())
    else
      this.#stream.send('tick', { ...this.#now(rowsPerSecond), ...news, tables, sample: this.#history.samples.at(-1) })
  }

  /** What a page begins with. */
  #all(): object {
    const { from, to } = this.#options
    return {
      ...this.#now(this.#history.samples.at(-1)?.rowsPerSecond ?? 0),
      ...this.#notices(),
      ...{ from, to, version: embedded.version },
      tables: [...this.#tally.tables],
      samples: this.#history.samples,
    }
  }

  #notices(): object {
    const { checkpoints, problems } = this.#tally
    return { checkpoints, problems }
  }

  #now(rowsPerSecond: number): object {
    const { id, phase, startedAt, totals } = this.#tally
    const { state, lagMs, error, ready } = this.health()
    const source = this.#watch?.facts
    return { at: Date.now(), id, state, phase, ready, error, startedAt, totals, lagMs, rowsPerSecond, source }
  }
}

interface Parts {
  readonly tally: Tally
  readonly metrics: Metrics
  readonly watch: SourceWatch | undefined
  readonly end: () => void
}
