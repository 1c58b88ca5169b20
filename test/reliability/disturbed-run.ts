/** A run that follows a source, and what may happen to it on the way. */
import pg from 'pg'
import type { Surreal } from 'surrealdb'
import { PostgresTriggerSource, SurrealSink, type SurrealSinkSettings, SyncEngine, SyncError } from '../../src/index.js'
import { Duplicate, FailAfterWrite, type Fault, faulty, Reject } from '../../src/testing/index.js'

/**
 * `kill`: its sessions at the source are ended. `restart`: it is stopped and started again. `cut`: the next transaction does not
 * arrive. `lose`: it takes effect, and the answer does not arrive. `twice`: it is sent twice.
 */
export type Disturbance = 'kill' | 'restart' | 'cut' | 'lose' | 'twice'

const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost')

export class DisturbedRun implements AsyncDisposable {
  readonly counts = { kills: 0, restarts: 0, cuts: 0, retries: 0 }
  readonly #url: string
  readonly #db: Surreal
  readonly #settings: SurrealSinkSettings
  readonly #admin: pg.Client
  readonly #faults: Fault[] = []
  #stop = new AbortController()
  #run: Promise<void> = Promise.resolve()
  #failure: unknown

  private constructor(url: string, db: Surreal, settings: SurrealSinkSettings, admin: pg.Client) {
    this.#url = url
    this.#db = db
    this.#settings = settings
    this.#admin = admin
  }

  /** Copies, and follows. The target's connection stays the caller's. */
  static async start(url: string, db: Surreal, settings: SurrealSinkSettings = {}): Promise<DisturbedRun> {
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    const run = new DisturbedRun(url, db, settings, admin)
    await run.#begin()
    return run
  }

  /** Why it ended, if it did by itself. */
  get failure(): unknown {
    return this.#failure
  }

  async disturb(what: Disturbance): Promise<void> {
    if (what === 'kill') {
      this.counts.kills += 1
      await this.#admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'surreal-sync%'`)
    } else if (what === 'restart') {
      this.counts.restarts += 1
      await this.#end()
      // It may have to wait for a transaction that ends after this.
      void this.#begin()
    } else {
      this.counts.cuts += 1
      this.#faults.push(
        what === 'cut' ? new Reject(lost) : what === 'lose' ? new FailAfterWrite(lost) : new Duplicate(),
      )
    }
  }

  /** Resolves when it has everything, or has ended. */
  #begin(): Promise<void> {
    const sink = new SurrealSink({
      connect: async () => this.#db,
      disconnect: async () => undefined,
      ...this.#settings,
    })
    const flaky = faulty(sink, (operation) => (operation === 'commit' ? this.#faults.shift() : undefined))
    const engine = new SyncEngine({
      source: new PostgresTriggerSource({ url: `${this.#url}?sslmode=disable` }),
      sink: flaky,
      checkpoints: flaky,
      retry: { attemptsMax: 50, delayMs: 1, delayMsMax: 20 },
    })
    engine.on('retry', () => {
      this.counts.retries += 1
    })
    this.#stop = new AbortController()
    const following = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
    this.#run = engine.run({ follow: true, signal: this.#stop.signal }).then(
      () => undefined,
      (error: unknown) => {
        this.#failure = error
      },
    )
    return Promise.race([following, this.#run])
  }

  async #end(): Promise<void> {
    this.#stop.abort()
    await this.#run
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
    await this.#admin.end()
  }
}
