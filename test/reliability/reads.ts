/** Readers of the target who look as often as they can while a disturbed run applies transfers of money. */
import pg from 'pg'
import { RecordId, type Surreal } from 'surrealdb'
import { EmbeddedSurreal } from '../../src/demo/embedded-surreal.js'
import { createDatabase } from '../../src/demo/postgres-database.js'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { Dice, pause } from '../torture/schedule.js'
import { type Disturbance, DisturbedRun } from './disturbed-run.js'
import type { Section } from './section.js'

const [accountCount, money] = [12, 100]
const total = 2 * accountCount * money
const [writerCount, readerCount] = [3, 4]
/** Larger deltas go in parts, in between which the target is not consistent. */
const batchSize = 6
const disturbances: readonly Disturbance[] = ['kill', 'cut', 'cut', 'lose', 'lose', 'twice', 'twice', 'restart']

/** One statement, so one snapshot; many of them in a request, for it is not the network that is on trial. */
const statement = `RETURN [
  (SELECT VALUE consistent FROM ONLY $state),
  array::concat((SELECT VALUE [record::id(id), balance, version] FROM accounts), (SELECT VALUE [-record::id(id), balance, version] FROM savings))
]`
const statementsPerRequest = 20
const query = Array.from({ length: statementsPerRequest }, () => statement).join(';')

type Found = readonly [consistent: boolean, rows: readonly (readonly [id: number, balance: number, version: number])[]]

interface Tally {
  consistent: number
  inconsistent: number
  /** Among those that were not consistent: they are why there is a flag. */
  otherSums: number
  readonly wrong: string[]
}

export const reads: Section = async ({ seed, amount, log }) => {
  const wanted = amount('reads', { long: 1_000_000, short: 5_000 })
  await using server = await startPostgres({ settings: { deadlock_timeout: '20ms' } })
  const url = await createDatabase(server.url(), 'bank')
  const setup = new pg.Client({ connectionString: url })
  await setup.connect()
  await setup.query(`create sequence versions;
    create table accounts (id int primary key, balance int not null, version bigint not null);
    create table savings (id int primary key, balance int not null, version bigint not null);
    insert into accounts select i, ${money}, nextval('versions') from generate_series(1, ${accountCount}) i;
    insert into savings select i, ${money}, nextval('versions') from generate_series(1, ${accountCount}) i`)
  await setup.end()
  await using target = await EmbeddedSurreal.start('bank', 'bank')
  await using run = await DisturbedRun.start(url, target.connection, { batchSize })
  const tally: Tally = { consistent: 0, inconsistent: 0, otherSums: 0, wrong: [] }
  const stop = new AbortController()
  const dice = new Dice(seed)
  const transfers = Array.from({ length: writerCount }, (_, index) =>
    transfer(url, new Dice(seed + index), stop.signal),
  )
  const isOver = () => tally.consistent >= wanted || tally.wrong.length > 0 || run.failure !== undefined
  const reading = Array.from({ length: readerCount }, () => read(target.connection, tally, isOver))
  const disturbing = (async () => {
    for (; !isOver(); await pause(dice.between(50, 500), stop.signal)) await run.disturb(dice.pick(disturbances))
  })()
  const telling = setInterval(() => log(`${tally.consistent} reads, ${tally.inconsistent} not consistent`), 10_000)
  try {
    await Promise.all(reading)
  } finally {
    clearInterval(telling)
    stop.abort()
  }
  const [committed] = [await Promise.all(transfers), await disturbing]
  const { consistent, inconsistent, otherSums, wrong } = tally
  const failures = [...wrong, ...(run.failure === undefined ? [] : [`The run ended: ${String(run.failure)}`])]
  return {
    what: 'Readers of the target, while transfers of money are applied by a run that is killed, cut off and started again: whoever finds consistent = true finds the right sum, and no row ever shows an older version.',
    figures: {
      reads: consistent + inconsistent,
      consistent,
      inconsistentShare: Math.round((inconsistent / (consistent + inconsistent)) * 10_000) / 10_000,
      otherSumsWhileInconsistent: otherSums,
      impossibleStates: wrong.length,
      transfers: committed.reduce((sum, count) => sum + count, 0),
      ...run.counts,
    },
    failures,
    versions: { postgresql: server.version, surrealdb: target.version },
  }
}

/** Looks again and again, and remembers the newest version of each row that it saw. */
async function read(db: Surreal, tally: Tally, isOver: () => boolean): Promise<void> {
  const seen = new Map<number, number>()
  const state = new RecordId('surreal_sync_state', ['default', 0])
  while (!isOver()) {
    for (const found of await db.query<Found[]>(query, { state })) judge(found, seen, tally)
  }
}

function judge([consistent, rows]: Found, seen: Map<number, number>, tally: Tally): void {
  const sum = rows.reduce((all, [, balance]) => all + balance, 0)
  if (consistent) {
    tally.consistent += 1
    if (sum !== total) tally.wrong.push(`It is said to be consistent, and the sum is ${sum} instead of ${total}`)
  } else {
    tally.inconsistent += 1
    if (sum !== total) tally.otherSums += 1
  }
  for (const [id, , version] of rows) {
    const before = seen.get(id) ?? 0
    if (version < before) tally.wrong.push(`Row ${id} went back from version ${before} to ${version}`)
    seen.set(id, version)
  }
}

/** Moves money between two rows of the two tables; now and then between all of them. Returns how often. */
async function transfer(url: string, dice: Dice, signal: AbortSignal): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const move = (table: string, amount: number, where: string) =>
    client.query(`update ${table} set balance = balance + ${amount}, version = nextval('versions')${where}`)
  let committed = 0
  for (; !signal.aborted; await pause(dice.between(0, 6), signal)) {
    const [from, to] = [dice.between(1, accountCount), dice.between(1, accountCount)]
    try {
      await client.query('begin')
      await move('accounts', -5, ` where id = ${from}`)
      await move('savings', 5, ` where id = ${to}`)
      if (dice.chance(0.1)) {
        await move('accounts', 1, '')
        await move('savings', -1, '')
      }
      const done = !dice.chance(0.1)
      await client.query(done ? 'commit' : 'rollback')
      if (done) committed += 1
    } catch {
      await client.query('rollback') // a deadlock
    }
  }
  await client.end()
  return committed
}
