/** What administrators do while everybody writes: rewrites, truncations, partitions that come and go, lost connections. */
import pg from 'pg'
import { type Dice, pause } from './schedule.js'
import { eventPartitions, eventsPerPartition } from './workload-tables.js'

export interface DisturbanceReport {
  rewrites: number
  truncations: number
  /** Changes of structure that no trigger sees. */
  structure: number
  /** Statements that gave up waiting for a lock. */
  refused: number
  connectionsKilled: number
}

/** A statement, and the table to name in the journal if no trigger sees what it does. */
interface Disturbance {
  readonly kind: 'rewrites' | 'truncations' | 'structure'
  readonly sql: string
  readonly table?: string
}

/** lock timeout, deadlock; column, partition or table that is not (or already) there because of an earlier refusal. */
const expectedStates = new Set([
  '55P03',
  '40P01',
  '42701',
  '42703',
  '42P07',
  '42P01',
  '42P17',
  '55000',
  '42809',
  '23514',
])

export class Administrator {
  readonly report: DisturbanceReport = { rewrites: 0, truncations: 0, structure: 0, refused: 0, connectionsKilled: 0 }
  readonly #client: pg.Client
  readonly #dice: Dice
  readonly #detached = new Set<number>()
  #extraColumn = false

  private constructor(client: pg.Client, dice: Dice) {
    this.#client = client
    this.#dice = dice
  }

  static async connect(url: string, dice: Dice): Promise<Administrator> {
    const client = new pg.Client({ connectionString: url, application_name: 'torture administrator' })
    await client.connect()
    await client.query(`set lock_timeout = '300ms'; set deadlock_timeout = '100ms'`)
    return new Administrator(client, dice)
  }

  /** Rewrites and truncates, now and then changes the structure, until the signal aborts. */
  async run(signal: AbortSignal, everyMs: number): Promise<void> {
    try {
      for (let turn = 1; !signal.aborted; turn++) {
        await this.#disturb(turn % 25 === 0 ? this.#structural() : this.#ordinary())
        if (turn % 30 === 0) await this.#killConnection()
        await pause(this.#dice.between(0, everyMs), signal)
      }
      await this.#attachAll()
    } finally {
      await this.#client.end()
    }
  }

  #ordinary(): Disturbance {
    return this.#dice.pick<() => Disturbance>([
      () => ({ kind: 'rewrites', sql: `alter table accounts alter column balance type bigint using balance + 0` }),
      () => ({ kind: 'rewrites', sql: `alter table items alter column v type text using v || ''` }),
      () => ({ kind: 'rewrites', sql: `alter table slots alter column v type text using v || ''` }),
      () => ({ kind: 'truncations', sql: 'truncate appends' }),
      () => ({ kind: 'truncations', sql: 'truncate items; insert into items values (1, $$first$$, 1)' }),
      () => ({ kind: 'truncations', sql: `truncate events_${this.#dice.pick(this.#attached())}` }),
    ])()
  }

  #structural(): Disturbance {
    return this.#dice.pick([() => this.#partition(), () => this.#column(), () => this.#values()])()
  }

  #partition(): Disturbance {
    const [back] = this.#detached
    if (back !== undefined) {
      this.#detached.delete(back)
      return { kind: 'structure', table: 'events', sql: attachSql(back) }
    }
    const number = this.#dice.pick(eventPartitions)
    this.#detached.add(number)
    const sql = `alter table events detach partition events_${number};
      delete from events_${number} where id % 2 = 0; update events_${number} set v = 'written while detached'`
    return { kind: 'structure', table: 'events', sql }
  }

  #column(): Disturbance {
    this.#extraColumn = !this.#extraColumn
    const value = this.#dice.chance(0.5) ? ` default ${this.#dice.between(1, 9)}` : ''
    const change = this.#extraColumn ? `add column extra int${value}` : 'drop column extra'
    return { kind: 'structure', table: 'shapes', sql: `alter table shapes ${change}` }
  }

  #values(): Disturbance {
    return { kind: 'structure', table: 'shapes', sql: 'alter table shapes alter column n type int using n + 1000' }
  }

  async #disturb({ kind, sql, table }: Disturbance): Promise<void> {
    try {
      const note = table === undefined ? '' : `insert into journal.structure (table_name) values ('${table}')`
      await this.#client.query(`begin; ${sql}; ${note}; commit`)
      this.report[kind] += 1
    } catch (error) {
      await this.#client.query('rollback')
      if (!(error instanceof pg.DatabaseError) || !expectedStates.has(error.code ?? '')) throw error
      this.report.refused += 1
    }
  }

  async #killConnection(): Promise<void> {
    const { rowCount } = await this.#client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'surreal-sync%' order by pid limit 1`,
    )
    this.report.connectionsKilled += rowCount ?? 0
  }

  async #attachAll(): Promise<void> {
    for (const number of eventPartitions) {
      await this.#disturb({ kind: 'structure', table: 'events', sql: attachSql(number) })
    }
  }

  #attached(): readonly number[] {
    return eventPartitions.filter((number) => !this.#detached.has(number))
  }
}

function attachSql(number: number): string {
  const from = number * eventsPerPartition
  return `alter table events attach partition events_${number} for values from (${from}) to (${from + eventsPerPartition})`
}
