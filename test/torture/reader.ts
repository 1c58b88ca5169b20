/** A replica that is killed and restarted all the time, and what it should have looked like whenever it had caught up. */
import { setMaxListeners } from 'node:events'
import type { Alteration } from '../../src/core/alteration.js'
import type { Batch } from '../../src/core/batch.js'
import { SyncError } from '../../src/core/errors.js'
import type { Sink } from '../../src/core/sink.js'
import type { Abortable, Source } from '../../src/core/source.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { MemorySink } from '../../src/testing/index.js'
import type { Probe, ProbedState } from './probed-source.js'
import { type Dice, pause } from './schedule.js'
import {
  accountCount,
  describeDifference,
  startBalance,
  type TableContent,
  type TableName,
  tableNames,
} from './workload-tables.js'

export interface ReaderReport {
  readonly name: string
  starts: number
  fromNumber: number
  fromState: number
  fullSyncs: number
  kills: number
  /** Drained deltas, and how many of them were compared with the source in the same snapshot, table by table. */
  drained: number
  compared: number
  /** Comparisons of a table whose structure had changed in a way that only the next look at it can notice. */
  deferred: number
  /** What was wrong, one text for each wrong table of each comparison. */
  readonly failures: string[]
}

export interface ReaderOptions {
  readonly name: string
  readonly dice: Dice
  /** A new source for each start. */
  source(probe: Probe): Source
  readonly restart: 'number' | 'state'
  /** Begins each life with a full sync and ends it after some comparisons. @defaultValue now and then a full sync */
  readonly alwaysFull?: boolean
  /** Whether its source has a probe. */
  readonly probed: boolean
  /** How many of its snapshots are probed. A probe locks every table before the snapshot, whatever the reader does. */
  readonly probeShare: number
  /** How long a life lasts at most. */
  readonly lifeMsMax: number
  /** Stop at the first failure: what was to be seen was seen. */
  readonly stopAtFailure: boolean
}

const failuresMax = 20
const comparisonsMin = 3
const startsMin = 3
const comparisonsAfterFull = 6

// One signal ends the lives of all.
setMaxListeners(1_000)

export class Reader implements Probe {
  readonly report: ReaderReport
  readonly #options: ReaderOptions
  readonly #sink = new MemorySink()
  /** Structure numbers at which each table was last found equal, and how many operations the sink had seen by then. */
  readonly #settled = new Map<string, { readonly number: number; readonly operations: number }>()
  #copied = false
  #comparisons = 0
  #life = new AbortController()

  constructor(options: ReaderOptions) {
    this.#options = options
    this.report = {
      ...{ name: options.name, starts: 0, fromNumber: 0, fromState: 0, fullSyncs: 0, kills: 0 },
      ...{ drained: 0, compared: 0, deferred: 0, failures: [] },
    }
  }

  /** It was compared often enough to say something. */
  get proved(): boolean {
    const { compared, drained, starts } = this.report
    // Without a probe only sums are looked at before the end.
    const seen = this.#options.probed ? compared : drained
    return this.failed || (seen >= comparisonsMin && starts >= startsMin)
  }

  get failed(): boolean {
    return this.report.failures.length > 0
  }

  wanted(): boolean {
    return this.#options.dice.chance(this.#options.probeShare)
  }

  applied(state: ProbedState | undefined): void {
    if (state === undefined) return
    this.compare(state)
    this.#comparisons += 1
    // What a full sync missed shows once the transactions that were open during it have ended.
    if (this.#options.alwaysFull && this.#comparisons === comparisonsAfterFull) this.#life.abort()
  }

  /** Copies everything for the first time, before anybody writes. */
  async begin(): Promise<void> {
    await this.#engine(this.#sink).run({ phase: 'full' })
    this.#copied = true
  }

  /** Lives and dies until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { dice, stopAtFailure } = this.#options
    while (!signal.aborted && !(stopAtFailure && this.failed)) {
      const life = new AbortController()
      this.#life = life
      this.#comparisons = 0
      const end = AbortSignal.any([signal, life.signal])
      const sink = new MortalSink(this.#sink, dice.chance(0.5) ? dice.between(1, 200) : Number.POSITIVE_INFINITY)
      try {
        await this.#live(sink, end)
      } catch (error) {
        // A run that has just begun gives up when it loses its connection: whoever started it starts it again.
        if (error instanceof Killed || (error instanceof SyncError && error.retryable)) this.report.kills += 1
        else if (error instanceof SyncError) this.#refused(error)
        else throw error
      } finally {
        life.abort()
      }
    }
  }

  /** Catches up with a source at rest and compares everything. */
  async finish(contents: ReadonlyMap<TableName, TableContent>): Promise<void> {
    if (!(await this.#isCopied())) await this.begin()
    try {
      await this.#engine(this.#sink).run({ ...(await this.#from()), follow: false })
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      return this.#refused(error)
    }
    const numbers = new Map<string, number>()
    this.checkSum()
    this.compare({ contents, structure: numbers })
  }

  /** No transfer may be half there. */
  checkSum(): void {
    const rows = this.#sink.rows('public.accounts')
    const sum = rows.reduce((total, { balance }) => total + BigInt(balance as number | bigint), 0n)
    const right = BigInt(accountCount * startBalance)
    if (rows.length !== accountCount || sum !== right)
      this.#fail(`${rows.length} accounts hold ${sum} and not ${right}`)
  }

  compare({ contents, structure }: ProbedState): void {
    this.report.compared += 1
    for (const table of tableNames) {
      const difference = describeDifference(contents.get(table) ?? new Map(), this.#content(table))
      const number = structure.get(table) ?? 0
      if (difference === undefined) this.#settled.set(table, { number, operations: this.#sink.operations.length })
      else if (this.#mayBeLate(table, number)) this.report.deferred += 1
      else this.#fail(`${table}: ${difference}`)
    }
  }

  /** The structure changed after the table was last found equal, and the reader has neither replaced nor altered the table since. */
  #mayBeLate(table: TableName, number: number): boolean {
    const settled = this.#settled.get(table) ?? { number: 0, operations: 0 }
    if (number <= settled.number) return false
    const since = this.#sink.operations.slice(settled.operations)
    return !since.some(({ op, table: label }) => (op === 'replace' || op === 'alter') && label === `public.${table}`)
  }

  async #live(sink: Sink, signal: AbortSignal): Promise<void> {
    const { dice, alwaysFull } = this.#options
    // Most full syncs are let live: otherwise a busy machine would see nothing else.
    const soon = dice.chance(0.2)
    if (soon) this.#dieLater(signal)
    this.report.starts += 1
    if (!this.#copied || alwaysFull || dice.chance(0.15)) {
      this.report.fullSyncs += 1
      this.#copied = false
      await this.#engine(sink).run({ phase: 'full', signal })
      this.#copied = await this.#isCopied()
    }
    if (!this.#copied) return
    if (!soon) this.#dieLater(signal)
    const engine = this.#engine(sink)
    engine.on('caughtUp', () => {
      this.report.drained += 1
      this.checkSum()
    })
    await engine.run({ ...(await this.#from()), follow: true, signal })
  }

  /** Ends this life after a while, at whatever moment that is. */
  #dieLater(signal: AbortSignal): void {
    const { dice, lifeMsMax } = this.#options
    const life = this.#life
    void pause(dice.between(lifeMsMax / 8, lifeMsMax), signal).then(() => life.abort())
  }

  async #isCopied(): Promise<boolean> {
    const kind = (await this.#sink.load(this.#id))?.kind
    return kind === 'full_sync_end' || kind === 'incremental'
  }

  async #from(): Promise<{ readonly phase: 'incremental'; readonly from?: string; readonly replay?: boolean }> {
    const checkpoint = await this.#sink.load(this.#id)
    if (this.#options.restart === 'state' || checkpoint === undefined) {
      this.report.fromState += 1
      return { phase: 'incremental' }
    }
    this.report.fromNumber += 1
    const { sequence } = JSON.parse(checkpoint.resumeAfter) as { readonly sequence: number }
    return { phase: 'incremental', from: `postgresql:sequence:${sequence}`, replay: true }
  }

  #engine(sink: Sink): SyncEngine {
    const engine = new SyncEngine({
      source: this.#options.source(this),
      sink,
      checkpoints: this.#sink,
      id: this.#id,
      limits: { rowsMax: 200 },
      retry: { delayMs: 20, delayMsMax: 500, attemptsMax: 50 },
    })
    return engine
  }

  get #id(): string {
    return this.report.name.replaceAll(/[^A-Za-z0-9]+/g, '_')
  }

  #content(table: TableName): TableContent {
    const rows = this.#sink.rows(`public.${table}`)
    return new Map(
      rows.map((row) => {
        const cells = Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])
        return [String(row.id), Object.fromEntries(cells)]
      }),
    )
  }

  /** The run gave up, which it never has to. It is copied again, so that the rest of the test still says something. */
  #refused(error: SyncError): void {
    this.#copied = false
    this.#fail(`${error.code}: ${error.message}`)
  }

  #fail(text: string): void {
    if (this.report.failures.length < failuresMax)
      this.report.failures.push(`drained delta ${this.report.drained}: ${text}`)
  }
}

/** What a process that was killed would have thrown, if it could. */
class Killed extends Error {
  override readonly name = 'Killed'
}

/** Passes writes on to another sink until it dies in the middle of something. */
class MortalSink implements Sink {
  readonly name = 'mortal'
  readonly #inner: MemorySink
  #writesLeft: number

  constructor(inner: MemorySink, writesMax: number) {
    this.#inner = inner
    this.#writesLeft = writesMax
  }

  open(...args: Parameters<MemorySink['open']>): Promise<void> {
    return this.#inner.open(...args)
  }

  check(...args: Parameters<MemorySink['check']>): Promise<void> {
    return this.#inner.check(...args)
  }

  prepare(...args: Parameters<MemorySink['prepare']>): Promise<void> {
    return this.#inner.prepare(...args)
  }

  async write(batch: Batch, options: Parameters<MemorySink['write']>[1]): Promise<void> {
    this.#writesLeft -= 1
    if (this.#writesLeft < 0) throw new Killed()
    await this.#inner.write(batch, options)
  }

  async alter(alteration: Alteration, options: Abortable): Promise<void> {
    this.#writesLeft -= 1
    if (this.#writesLeft < 0) throw new Killed()
    await this.#inner.alter(alteration, options)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}
