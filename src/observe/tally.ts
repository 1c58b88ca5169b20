/** What an engine has done so far and how it is, kept from its events. Bounded, whatever the run does. */
import type { Phase, SyncEvents, TableProgress } from '../core/events.js'
import { type EventSource, listening } from './listening.js'
import { ReplicationLag } from './replication-lag.js'

/** `idle`: no run has begun. `starting`: one has, and neither phase yet. Then a phase, and how the run ended. */
export type RunState = 'idle' | 'starting' | Phase | 'completed' | 'aborted' | 'failed'

export const runStates = ['idle', 'starting', 'full', 'incremental', 'completed', 'aborted', 'failed'] as const

/** One table in the current phase. */
export interface TableTally {
  readonly table: string
  readonly state: TableProgress['state']
  /** Rows copied, or changes applied. */
  readonly rows: number
  readonly bytes: number
  /** The source's estimate, in the full phase. */
  readonly expected: number | undefined
  readonly chunks: { readonly done: number; readonly total: number } | undefined
}

/** Something that happened, for lists. */
export interface Notice {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly kind: 'checkpoint' | 'warning' | 'retry' | 'error'
  /** A checkpoint's kind, a warning's or an error's code. */
  readonly code: string
  readonly text: string
}

const noticesMax = 30

type Event<E extends keyof SyncEvents> = SyncEvents[E][0]
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export class Tally {
  readonly lag = new ReplicationLag()
  #id = ''
  #state: RunState = 'idle'
  #failure: string | undefined
  #startedAt: number | undefined
  #phase: Phase | undefined
  readonly #tables = new Map<string, Mutable<TableTally>>()
  readonly #changed = new Set<string>()
  readonly #checkpoints: Notice[] = []
  readonly #problems: Notice[] = []
  #noted = 0
  #rows = 0
  #retries = 0
  #warnings = 0
  #quarantined = 0

  /** Listens until the result is called. */
  listen(engine: EventSource): () => void {
    const { on, end } = listening(engine)
    on('start', (event) => this.#start(event))
    on('end', (event) => this.#end(event))
    on('phase', (event) => this.#entered(event))
    on('table', (event) => this.#table(event))
    on('batch', (event) => this.#batch(event))
    on('applying', () => this.lag.began())
    on('delta', ({ drained, lagMs }) => this.lag.applied(drained, lagMs))
    on('checkpoint', ({ kind, text }) => this.#note(this.#checkpoints, 'checkpoint', kind, text))
    on('retry', (event) => this.#retry(event))
    on('warning', (event) => this.#warning(event))
    return end
  }

  /** Of the pipeline. Empty until a run begins. */
  get id(): string {
    return this.#id
  }

  get state(): RunState {
    return this.#state
  }

  /** The code of the error that ended the last run. `E_INTERNAL` for a bug. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** The last one entered. */
  get phase(): Phase | undefined {
    return this.#phase
  }

  /** When the run began, in milliseconds since 1970. */
  get startedAt(): number | undefined {
    return this.#startedAt
  }

  get tables(): Iterable<TableTally> {
    return this.#tables.values()
  }

  /** Over all phases and runs. */
  get totals(): { readonly [name in 'rows' | 'retries' | 'warnings' | 'quarantined']: number } {
    return { rows: this.#rows, retries: this.#retries, warnings: this.#warnings, quarantined: this.#quarantined }
  }

  /** The last ones, oldest first. */
  get checkpoints(): readonly Notice[] {
    return this.#checkpoints
  }

  /** The last warnings, retries and errors, oldest first. */
  get problems(): readonly Notice[] {
    return this.#problems
  }

  /** Grows whenever one of these lists changes. */
  get noted(): number {
    return this.#noted
  }

  /** The tables of which something changed since the last call. */
  takeChanged(): readonly TableTally[] {
    const changed = [...this.#changed].flatMap((label) => this.#tables.get(label) ?? [])
    this.#changed.clear()
    return changed
  }

  #start({ id }: Event<'start'>): void {
    this.#id = id
    this.#state = 'starting'
    this.#failure = undefined
    this.#startedAt = Date.now()
    this.#phase = undefined
    this.lag.unknown()
  }

  #end({ reason, code }: Event<'end'>): void {
    this.#state = reason
    this.lag.unknown()
    if (reason !== 'failed') return
    this.#failure = code ?? 'E_INTERNAL'
    this.#note(this.#problems, 'error', this.#failure, 'The run ended with this error; the log says more')
  }

  #entered({ phase, tables }: Event<'phase'>): void {
    this.#state = phase
    this.#phase = phase
    this.#tables.clear()
    this.#changed.clear()
    const state = phase === 'full' ? 'waiting' : 'running'
    for (const { label, rowCountEstimate } of tables) {
      const expected = phase === 'full' ? rowCountEstimate : undefined
      this.#tables.set(label, { table: label, state, rows: 0, bytes: 0, expected, chunks: undefined })
      this.#changed.add(label)
    }
    this.lag.unknown()
  }

  #table({ table, state, rows, chunks }: Event<'table'>): void {
    Object.assign(this.#of(table.label), { state, rows, chunks })
  }

  #batch({ table, rows, bytes = 0 }: Event<'batch'>): void {
    const found = this.#of(table.label)
    found.rows += rows
    found.bytes += bytes
    this.#rows += rows
  }

  #retry({ code, message, attempt }: Event<'retry'>): void {
    this.#retries += 1
    if (this.#state === 'incremental') this.lag.began()
    this.#note(this.#problems, 'retry', code, `Attempt ${attempt} failed: ${message}`)
  }

  #warning({ code, message, table, count = 1 }: Event<'warning'>): void {
    this.#warnings += count
    const quarantined = code === 'row_quarantined'
    if (quarantined) this.#quarantined += count
    // That message names the record, which is made of values.
    const text = quarantined ? `A row of ${table} was put into quarantine; the log says which` : message
    this.#note(this.#problems, 'warning', code, text)
  }

  #of(label: string): Mutable<TableTally> {
    this.#changed.add(label)
    const found = this.#tables.get(label)
    if (found !== undefined) return found
    const made = { table: label, state: 'running', rows: 0, bytes: 0, expected: undefined, chunks: undefined } as const
    const added: Mutable<TableTally> = { ...made }
    this.#tables.set(label, added)
    return added
  }

  #note(list: Notice[], kind: Notice['kind'], code: string, text: string): void {
    this.#noted += 1
    list.push({ at: Date.now(), kind, code, text })
    if (list.length > noticesMax) list.shift()
  }
}
