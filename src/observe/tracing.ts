/** Spans of OpenTelemetry for what an engine does, made from its events. */
import type * as Api from '@opentelemetry/api'
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import type { SyncEvents } from '../core/events.js'
import { type EventSource, listening } from './listening.js'

type Event<E extends keyof SyncEvents> = SyncEvents[E][0]

/**
 * `surreal_sync.run`, below it `surreal_sync.full` and `surreal_sync.incremental`, below these `surreal_sync.copy` for each
 * table and `surreal_sync.delta` for each delta with changes. Attributes are names of tables, counts and codes.
 */
export class Tracing {
  /** Ends what is open. */
  readonly close: () => void
  readonly #api: typeof Api
  readonly #tracer: Tracer
  #run: Span | undefined
  #phase: Span | undefined
  readonly #copies = new Map<string, Span>()

  constructor(engine: EventSource, api: typeof Api, version: string) {
    this.#api = api
    this.#tracer = api.trace.getTracer('surreal-sync', version)
    const { on, end } = listening(engine)
    on('start', ({ id }) => {
      this.#run = this.#open('run', undefined, { 'surreal_sync.pipeline': id })
    })
    on('phase', (event) => this.#entered(event))
    on('table', (event) => this.#table(event))
    on('delta', (event) => this.#delta(event))
    on('retry', ({ code, attempt }) => this.#note('retry', { 'error.type': code, 'surreal_sync.attempt': attempt }))
    on('warning', ({ code, table }) =>
      this.#note('warning', { 'surreal_sync.code': code, 'surreal_sync.table': table }),
    )
    on('checkpoint', ({ kind, text }) => {
      if (kind !== 'incremental' && kind !== 'full_progress') {
        this.#note('checkpoint', { 'surreal_sync.kind': kind, 'surreal_sync.position': text })
      }
    })
    on('end', (event) => this.#end(event))
    this.close = () => {
      end()
      this.#endAll()
    }
  }

  #entered({ phase, tables }: Event<'phase'>): void {
    this.#endPhase()
    this.#phase = this.#open(phase, this.#run, { 'surreal_sync.tables': tables.length })
  }

  #table({ table: { label }, state, rows }: Event<'table'>): void {
    const open = this.#copies.get(label)
    if (state === 'running' && open === undefined) {
      this.#copies.set(label, this.#open('copy', this.#phase, { 'surreal_sync.table': label }))
    }
    if (state !== 'done' || open === undefined) return
    open.setAttribute('surreal_sync.rows', rows).end()
    this.#copies.delete(label)
  }

  #delta({ batches, rows, drained, durationMs, lagMs }: Event<'delta'>): void {
    if (batches === 0) return
    const now = Date.now()
    const attributes = {
      'surreal_sync.rows': rows,
      'surreal_sync.batches': batches,
      'surreal_sync.drained': drained,
      'surreal_sync.lag_ms': lagMs,
    }
    this.#open('delta', this.#phase, attributes, now - durationMs).end(now)
  }

  #end({ reason, code }: Event<'end'>): void {
    const error = code ?? 'E_INTERNAL'
    this.#run?.setAttribute('surreal_sync.reason', reason)
    if (reason === 'failed') {
      for (const span of [this.#run, this.#phase]) {
        span?.setAttribute('error.type', error).setStatus({ code: this.#api.SpanStatusCode.ERROR, message: error })
      }
    }
    this.#endAll()
  }

  #endAll(): void {
    this.#endPhase()
    this.#run?.end()
    this.#run = undefined
  }

  #endPhase(): void {
    for (const span of this.#copies.values()) span.end()
    this.#copies.clear()
    this.#phase?.end()
    this.#phase = undefined
  }

  #note(name: string, attributes: Attributes): void {
    const span = this.#phase ?? this.#run
    span?.addEvent(name, attributes)
  }

  #open(name: string, parent: Span | undefined, attributes: Attributes, startTime?: number): Span {
    const { context, trace } = this.#api
    const within: Context = parent === undefined ? context.active() : trace.setSpan(context.active(), parent)
    return this.#tracer.startSpan(`surreal_sync.${name}`, { attributes, startTime }, within)
  }
}
