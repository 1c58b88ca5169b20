/** The shop's application: several clients that go on writing while the shop is synchronised, and know nothing of it. */
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type Actor, randomTransaction } from './application-transactions.js'
import { seededRandom } from './seeded-random.js'

export interface ApplicationOptions {
  /** The shop's database, as the application's own role. */
  readonly url: string
  /** @defaultValue 4 */
  readonly clients?: number
  /** @defaultValue 1 */
  readonly seed?: number
}

/** What the application did. */
export interface ApplicationResult {
  readonly committed: number
  /** On purpose, or because two clients got into each other's way. */
  readonly rolledBack: number
}

const defaults = { clients: 4, seed: 1 }
/** Between two transactions of one client: the application is busy, but leaves some of the processor to the others. */
const pauseMs = 8
/** What concurrent clients must expect: deadlock, serialization failure, key taken, row referenced or gone. */
const expectedStates: ReadonlySet<unknown> = new Set(['40P01', '40001', '23505', '23503'])

export class Application implements AsyncDisposable {
  readonly #options: ApplicationOptions
  readonly #stop = new AbortController()
  readonly #count = { committed: 0, rolledBack: 0 }
  readonly #running: Promise<PromiseSettledResult<void>[]>

  private constructor(options: ApplicationOptions) {
    this.#options = options
    const clients = Array.from({ length: options.clients ?? defaults.clients }, (_, index) => this.#client(index))
    this.#running = Promise.allSettled(clients)
  }

  /** Starts to write at once. */
  static start(options: ApplicationOptions): Application {
    return new Application(options)
  }

  get committed(): number {
    return this.#count.committed
  }

  /** Ends after the transactions that are open. @throws what a client failed with */
  async stop(): Promise<ApplicationResult> {
    this.#stop.abort()
    for (const client of await this.#running) if (client.status === 'rejected') throw client.reason
    return this.#count
  }

  /** Ends in any case, and silently. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #client(index: number): Promise<void> {
    const client = new pg.Client({ connectionString: this.#options.url, application_name: 'shop' })
    client.on('error', () => {}) // the query under way rejects too
    await client.connect()
    try {
      const random = seededRandom((this.#options.seed ?? defaults.seed) * 1_000 + index)
      while (!this.#stop.signal.aborted) {
        await this.#transaction({ client, random })
        await delay(pauseMs)
      }
    } finally {
      await client.end()
    }
  }

  async #transaction(actor: Actor): Promise<void> {
    const { client } = actor
    await client.query('begin')
    try {
      const outcome = await randomTransaction(actor)
      await client.query(outcome)
      this.#count[outcome === 'commit' ? 'committed' : 'rolledBack'] += 1
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || !expectedStates.has(error.code)) throw error
      await client.query('rollback')
      this.#count.rolledBack += 1
    }
  }
}
