/** Sessions that write all the time, each transaction in one of many ways. */
import pg from 'pg'
import { type Dice, pause } from './schedule.js'
import { accountCount, eventPartitions, eventsPerPartition } from './workload-tables.js'

/** What the writers did. */
export interface WriterReport {
  committed: number
  rolledBack: number
  /** Conflicts that are part of the game: deadlocks, lock timeouts, duplicate keys, missing partitions. */
  refused: number
}

/** deadlock, serialization, lock timeout, unique, no partition for the row, prepared transactions used up. */
const expectedStates = new Set(['40P01', '40001', '55P03', '23505', '23514', '53200'])

type Transaction = (client: pg.Client, dice: Dice, signal: AbortSignal) => Promise<void>

const eventIdMax = eventPartitions.length * eventsPerPartition - 1

/** Money moves; the sum stays. */
const transfer: Transaction = async (client, dice) => {
  const ids = [dice.between(1, accountCount), dice.between(1, accountCount)]
  const amount = dice.between(1, 50)
  await client.query('update accounts set balance = balance - $2, version = version + 1 where id = $1', [
    ids[0],
    amount,
  ])
  if (dice.chance(0.3)) await client.query('select pg_sleep(0.005)')
  await client.query('update accounts set balance = balance + $2, version = version + 1 where id = $1', [
    ids[1],
    amount,
  ])
}

const upsertMany: Transaction = async (client, dice) => {
  const from = dice.between(1, 400)
  await client.query(
    `insert into items select i, 'upsert ' || $2::int, $2::int from generate_series($1::int, $1::int + $3::int) i
     on conflict (id) do update set v = excluded.v, n = excluded.n`,
    [from, dice.between(0, 1_000_000), dice.between(0, 40)],
  )
}

const changeKey: Transaction = async (client, dice) => {
  await client.query('update items set id = $2 where id = $1', [dice.between(1, 440), dice.between(1, 440)])
}

const swapKeys: Transaction = async (client, dice) => {
  const low = dice.between(1, 99)
  await client.query('update slots set id = $1::int + $2::int - id where id in ($1, $2)', [
    low,
    dice.between(low + 1, 100),
  ])
}

const removeAndRestore: Transaction = async (client, dice) => {
  const id = dice.between(1, 440)
  await client.query('delete from items where id = $1', [id])
  if (dice.chance(0.5))
    await client.query('insert into items values ($1::int, $2, $1::int)', [id, `again ${dice.between(0, 999)}`])
}

const undoSavepoint: Transaction = async (client, dice) => {
  const id = dice.between(1, 100)
  await client.query('update slots set v = $2 where id = $1', [id, `kept ${dice.between(0, 999)}`])
  await client.query('savepoint s')
  await client.query('update slots set v = $2 where id = $1', [id, 'undone'])
  await client.query('insert into items values ($1, $2, 0) on conflict (id) do nothing', [
    dice.between(1, 440),
    'undone',
  ])
  await client.query('rollback to savepoint s')
  await client.query('update items set n = n + 1 where id = $1', [dice.between(1, 440)])
}

const moveRow: Transaction = async (client, dice) => {
  await client.query('delete from events where id = $1', [dice.between(0, eventIdMax)])
  await client.query('update events set id = $2 where id = $1', [
    dice.between(0, eventIdMax),
    dice.between(0, eventIdMax),
  ])
  await client.query(`insert into events values ($1, 'new') on conflict (id) do update set v = events.v || '.'`, [
    dice.between(0, eventIdMax),
  ])
}

const touchShape: Transaction = async (client, dice) => {
  await client.query('update shapes set n = n + 1 where id = $1', [dice.between(1, 50)])
}

/** Gets its number early, commits late, and nobody touches its rows again. */
const slow: Transaction = async (client, dice, signal) => {
  await client.query(`insert into appends select $1::bigint + i, 'slow' from generate_series(0, 2) i`, [noteId(dice)])
  await pause(dice.between(100, 1_500), signal)
  await client.query(`insert into appends values ($1, 'slow too')`, [noteId(dice)])
}

const transactions: readonly Transaction[] = [
  ...[transfer, transfer, transfer, upsertMany, changeKey, swapKeys, swapKeys],
  ...[removeAndRestore, undoSavepoint, moveRow, moveRow, touchShape],
]

function noteId(dice: Dice): number {
  return dice.between(1, 2_000_000_000) * 10
}

/** One session that writes until the signal aborts. Leaves no transaction open, prepared or not. */
export class Writer {
  readonly report: WriterReport = { committed: 0, rolledBack: 0, refused: 0 }
  readonly #client: pg.Client
  readonly #dice: Dice
  readonly #number: number
  #prepared = 0

  private constructor(client: pg.Client, dice: Dice, number: number) {
    this.#client = client
    this.#dice = dice
    this.#number = number
  }

  static async connect(url: string, dice: Dice, number: number): Promise<Writer> {
    const client = new pg.Client({ connectionString: url, application_name: 'torture writer' })
    await client.connect()
    await client.query(`set lock_timeout = '5s'; set deadlock_timeout = '100ms'`)
    return new Writer(client, dice, number)
  }

  /** @param thinkMs The longest wait between two transactions. */
  async run(signal: AbortSignal, thinkMs: number): Promise<void> {
    // Every fifth writer is slow, so that there always is a low number that is not yet visible.
    const choices = this.#number % 5 === 0 ? [slow] : transactions
    try {
      while (!signal.aborted) {
        await this.#once(this.#dice.pick(choices), signal)
        await pause(this.#dice.between(0, thinkMs), signal)
      }
    } finally {
      await this.#client.end()
    }
  }

  async #once(transaction: Transaction, signal: AbortSignal): Promise<void> {
    try {
      await this.#client.query('begin')
      await transaction(this.#client, this.#dice, signal)
      await this.#end()
    } catch (error) {
      await this.#client.query('rollback')
      if (!(error instanceof pg.DatabaseError) || !expectedStates.has(error.code ?? '')) throw error
      this.report.refused += 1
    }
  }

  async #end(): Promise<void> {
    const fate = this.#dice.between(1, 100)
    if (fate <= 12) {
      await this.#client.query('rollback')
      this.report.rolledBack += 1
    } else if (fate <= 18) {
      await this.#prepare()
    } else {
      await this.#client.query('commit')
      this.report.committed += 1
    }
  }

  async #prepare(): Promise<void> {
    this.#prepared += 1
    const id = pg.escapeLiteral(`torture ${this.#number} ${this.#prepared}`)
    await this.#client.query(`prepare transaction ${id}`)
    const commits = this.#dice.chance(0.7)
    await this.#client.query(`${commits ? 'commit' : 'rollback'} prepared ${id}`)
    if (commits) this.report.committed += 1
    else this.report.rolledBack += 1
  }
}
