/** Plays histories against a real PostgreSQL and a real SurrealDB, one after the other in the same tables. */
import { isDeepStrictEqual } from 'node:util'
import pg from 'pg'
import type { Surreal } from 'surrealdb'
import { EmbeddedSurreal } from '../../src/demo/embedded-surreal.js'
import { eventually } from '../support/eventually.js'
import { type Disturbance, DisturbedRun } from './disturbed-run.js'
import { type Step, writerCount } from './history.js'

interface WriterCounts {
  statements: number
  lockWaits: number
  refused: number
}

/** A statement that has not ended by then is waiting for a lock. */
const waitMsMax = 4

export class HistoryPlayer implements AsyncDisposable {
  readonly #admin: pg.Client
  readonly #target: EmbeddedSurreal
  readonly #written: WriterCounts = { statements: 0, lockWaits: 0, refused: 0 }
  readonly #writers: Writer[] = []
  #run: DisturbedRun | undefined
  #ends = 0
  readonly #seen = new Map<string, number>()

  private constructor(admin: pg.Client, target: EmbeddedSurreal) {
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
    const player = new HistoryPlayer(admin, await EmbeddedSurreal.start('histories', 'histories'))
    for (let index = 0; index < writerCount; index += 1)
      player.#writers.push(await Writer.connect(url, player.#written))
    player.#run = await DisturbedRun.start(url, player.#target.connection)
    return player
  }

  get counts(): Readonly<Record<string, number>> {
    return { ...this.#written, ...this.#run?.counts }
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
    const failure = this.#run?.failure
    return failure === undefined ? this.#difference() : `The run ended: ${String(failure)}`
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

  async #disturb(what: Disturbance | 'wait'): Promise<void> {
    if (what === 'wait') await new Promise((resolve) => setTimeout(resolve, waitMsMax))
    else await this.#run?.disturb(what)
  }

  async #arrival(): Promise<void> {
    const { connection } = this.#target
    await eventually(async () => {
      if (this.#run?.failure !== undefined) return true
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
    await this.#run?.[Symbol.asyncDispose]()
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
  readonly #counts: WriterCounts
  #pending: Promise<void> = Promise.resolve()
  waiting = false

  private constructor(client: pg.Client, counts: WriterCounts) {
    this.#client = client
    this.#counts = counts
  }

  static async connect(url: string, counts: WriterCounts): Promise<Writer> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`set deadlock_timeout = '20ms'`)
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
