/** Plays histories against a real PostgreSQL and a real SurrealDB, one after the other in the same tables. */
import { isDeepStrictEqual } from 'node:util'
import pg from 'pg'
import type { Surreal } from 'surrealdb'
import { EmbeddedSurreal } from '../../src/demo/embedded-surreal.js'
import { PostgresTriggerSource, SurrealSink, SyncEngine, SyncError } from '../../src/index.js'
import { Duplicate, FailAfterWrite, type Fault, faulty, Reject } from '../../src/testing/index.js'
import { eventually } from '../support/eventually.js'
import { type Step, writerCount } from './history.js'

export interface PlayCounts {
  statements: number
  lockWaits: number
  refused: number
  kills: number
  restarts: number
  cuts: number
  retries: number
}

const lost = new SyncError('E_CONNECTION_LOST', 'The connection was lost')
/** A statement that has not ended by then is waiting for a lock. */
const waitMsMax = 4

export class HistoryPlayer implements AsyncDisposable {
  readonly counts: PlayCounts = { statements: 0, lockWaits: 0, refused: 0, kills: 0, restarts: 0, cuts: 0, retries: 0 }
  readonly #url: string
  readonly #admin: pg.Client
  readonly #target: EmbeddedSurreal
  readonly #writers: Writer[] = []
  readonly #faults: Fault[] = []
  #stop = new AbortController()
  #run: Promise<unknown> = Promise.resolve()
  #failure: unknown
  #ends = 0
  readonly #seen = new Map<string, number>()

  private constructor(url: string, admin: pg.Client, target: EmbeddedSurreal) {
    this.#url = url
    this.#admin = admin
    this.#target = target
  }

  static async open(url: string): Promise<HistoryPlayer> {
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    await admin.query(`create sequence versions;
      create table items (id int primary key, version bigint not null);
      create table lines (item int, place int, version bigint not null, primary key (item, place));
      create table ends (id int primary key, number int not null); insert into ends values (1, 0)`)
    const player = new HistoryPlayer(url, admin, await EmbeddedSurreal.start('histories', 'histories'))
    for (let index = 0; index < writerCount; index += 1) player.#writers.push(await Writer.connect(url, player.counts))
    await player.#begin()
    return player
  }

  get versions(): { readonly surrealdb: string } {
    return { surrealdb: this.#target.version }
  }

  /** Plays the steps, heals everything, waits for the reader, and compares. Returns what is wrong. */
  async play(steps: readonly Step[]): Promise<string | undefined> {
    for (const step of steps) {
      if ('sql' in step) await this.#writers[step.writer]?.say(step.sql)
      else await this.#disturb(step.reader)
      if (!('reader' in step)) continue
      const wrong = await this.#backwards()
      if (wrong !== undefined) return wrong
    }
    await this.#heal()
    this.#ends += 1
    await this.#admin.query('update ends set number = $1', [this.#ends])
    await this.#arrival()
    return this.#failure === undefined ? this.#difference() : `The run ended: ${String(this.#failure)}`
  }

  /** Every session ends its transaction: those that wait for others after them. */
  async #heal(): Promise<void> {
    const open = new Set(this.#writers)
    while (open.size > 0) {
      for (const writer of open) {
        await writer.settle()
        if (writer.waiting) continue
        await writer.say('commit')
        open.delete(writer)
      }
    }
    await Promise.all(this.#writers.map((writer) => writer.idle()))
  }

  async #disturb(what: (Step & { reader: string })['reader']): Promise<void> {
    if (what === 'wait') return void (await new Promise((resolve) => setTimeout(resolve, waitMsMax)))
    if (what === 'kill') {
      this.counts.kills += 1
      await this.#admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'surreal-sync%'`)
    } else if (what === 'restart') {
      this.counts.restarts += 1
      await this.#end()
      await this.#begin()
    } else {
      this.counts.cuts += 1
      this.#faults.push(
        what === 'cut' ? new Reject(lost) : what === 'lose' ? new FailAfterWrite(lost) : new Duplicate(),
      )
    }
  }

  async #begin(): Promise<void> {
    const sink = new SurrealSink({
      connect: async () => this.#target.connection,
      disconnect: async () => undefined,
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
    const run = engine.run({ follow: true, signal: this.#stop.signal }).catch((error: unknown) => {
      this.#failure = error
    })
    this.#run = run
    await Promise.race([following, run])
  }

  async #end(): Promise<void> {
    this.#stop.abort()
    await this.#run
  }

  async #arrival(): Promise<void> {
    const { connection } = this.#target
    await eventually(async () => {
      if (this.#failure !== undefined) return true
      const [number] = await connection.query<[number | undefined]>('RETURN ends:1.number')
      return number === this.#ends
    }, `the reader arrives at the end of history ${this.#ends}`)
  }

  async #difference(): Promise<string | undefined> {
    for (const [table, id, order] of [
      ['items', 'record::id(id)', 'id'],
      ['lines', 'record::id(id)', 'item, place'],
    ] as const) {
      const key = table === 'items' ? 'id' : 'json_build_array(item, place)'
      const { rows } = await this.#admin.query<{ key: unknown; version: string }>(
        `select ${key} as key, version from ${table} order by ${order}`,
      )
      const expected = rows.map((row) => [row.key, Number(row.version)])
      const found = await recordsOf(this.#target.connection, table, id)
      const sorted = [...found].sort((a, b) => (JSON.stringify(a[0]) < JSON.stringify(b[0]) ? -1 : 1))
      if (!isDeepStrictEqual(sorted, expected)) {
        return `${table}: the source has ${JSON.stringify(expected)}, the target ${JSON.stringify(sorted)}`
      }
    }
    return undefined
  }

  /** No record may show an older version than it showed before. */
  async #backwards(): Promise<string | undefined> {
    for (const [id, version] of await recordsOf(this.#target.connection, 'items', 'record::id(id)')) {
      const name = String(id)
      const before = this.#seen.get(name) ?? 0
      if (version < before) return `items:${name} went back from version ${before} to ${version}`
      this.#seen.set(name, version)
    }
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
    for (const writer of this.#writers) await writer.end()
    await this.#admin.end()
    await this.#target[Symbol.asyncDispose]()
  }
}

async function recordsOf(db: Surreal, table: string, id: string): Promise<readonly (readonly [unknown, number])[]> {
  const [rows] = await db.query<[{ key: unknown; version: number | bigint }[]]>(
    `SELECT ${id} AS key, version FROM type::table($table)`,
    { table },
  )
  return rows.map(({ key, version }) => [key, Number(version)] as const)
}

/** A session that writes. What it cannot do now it waits for, without stopping the others. */
class Writer {
  readonly #client: pg.Client
  readonly #counts: PlayCounts
  #pending: Promise<void> = Promise.resolve()
  waiting = false

  private constructor(client: pg.Client, counts: PlayCounts) {
    this.#client = client
    this.#counts = counts
  }

  static async connect(url: string, counts: PlayCounts): Promise<Writer> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    return new Writer(client, counts)
  }

  /** Says nothing while it waits. */
  async say(sql: string): Promise<void> {
    await this.settle(0)
    if (this.waiting) return
    this.#counts.statements += 1
    this.waiting = true
    this.#pending = this.#client.query(sql).then(
      () => undefined,
      () => {
        this.#counts.refused += 1
      },
    )
    this.#pending = this.#pending.then(() => {
      this.waiting = false
    })
    await this.settle()
    if (this.waiting) this.#counts.lockWaits += 1
  }

  async settle(ms = waitMsMax): Promise<void> {
    await Promise.race([this.#pending, new Promise((resolve) => setTimeout(resolve, ms))])
  }

  /** Ends a transaction that failed, too. */
  async idle(): Promise<void> {
    await this.#pending
    await this.#client.query('rollback')
  }

  async end(): Promise<void> {
    await this.#client.end()
  }
}
