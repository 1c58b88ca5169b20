/** What readers of the target see while changes are applied: money is never missing at a consistent point. */
import type pg from 'pg'
import { createRemoteEngines, RecordId, Surreal } from 'surrealdb'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { PostgresTriggerSource, SurrealSink, SyncEngine } from '../../src/index.js'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { startSurreal } from '../support/surreal-server.js'

const place = { namespace: 'bank', database: 'bank' }
const root = { username: 'root', password: 'root' }
const accountCount = 1_100
const total = accountCount * 100 * 2
const runMs = 6_000
const runMsMax = 90_000

interface Seen {
  readonly state: {
    readonly consistent: boolean
    readonly checkpoint: { readonly described: { readonly PostgreSQL: { readonly sequence: number } } }
  }
  readonly sum: number
}

/** One statement, so one snapshot. */
const audit = `RETURN {
  state: (SELECT * FROM ONLY $state),
  sum: math::sum((SELECT VALUE balance FROM accounts)) + math::sum((SELECT VALUE balance FROM savings))
}`

it('P3: a reader that finds consistent = true never finds a wrong sum', async () => {
  await using postgres = await createDatabase()
  await using server = await startSurreal()
  const bank = await postgres.client()
  await bank.query(`create table accounts (id int primary key, balance int not null);
    create table savings (id int primary key, balance int not null);
    insert into accounts select i, 100 from generate_series(1, ${accountCount}) i;
    insert into savings select i, 100 from generate_series(1, ${accountCount}) i`)
  const source = new PostgresTriggerSource({ url: postgres.url })
  const sink = new SurrealSink({ url: server.ws, ...place, ...root })
  const engine = new SyncEngine({ source, sink, id: 'bank' })
  const stop = new AbortController()
  const run = engine.run({ follow: true, signal: stop.signal })
  await Promise.race([new Promise<void>((resolve) => engine.once('caughtUp', () => resolve())), run])

  const db = new Surreal({ engines: createRemoteEngines(), websocketImpl: WebSocket as never })
  await db.connect(server.ws, { ...place, authentication: root, reconnect: false })
  const seen = { consistent: 0, inconsistent: 0, positions: new Set<number>(), wrongSums: 0 }
  let sequence = 0
  const look = async () => {
    const [found] = await db.query<[Seen]>(audit, { state: new RecordId('surreal_sync_state', ['bank', 0]) })
    sequence = found.state.checkpoint.described.PostgreSQL.sequence
    if (found.state.consistent) expect(found.sum).toBe(total)
    else if (found.sum !== total) seen.wrongSums += 1
    seen[found.state.consistent ? 'consistent' : 'inconsistent'] += 1
    seen.positions.add(sequence)
    return found.state.consistent
  }
  const begunAt = performance.now()
  // On a busy machine it takes longer until something was seen.
  const going = () => {
    const ms = performance.now() - begunAt
    return (
      ms < runMs || (ms < runMsMax && (seen.inconsistent === 0 || seen.consistent <= 20 || seen.positions.size <= 5))
    )
  }
  const working = [transfer(await postgres.client(), 1, going), transfer(await postgres.client(), 2, going)]
  while (going()) await look()
  await Promise.all(working)
  await eventually(look, 'a consistent point after the last transfer')
  console.info(
    `bank: ${seen.consistent} reads at ${seen.positions.size} positions were consistent, ${seen.inconsistent} were not, ` +
      `${seen.wrongSums} of those with a wrong sum`,
  )
  expect(seen.consistent).toBeGreaterThan(20)
  expect(seen.positions.size).toBeGreaterThan(5)
  // The flag is needed: without it some of these sums would have been taken for true.
  expect(seen.inconsistent).toBeGreaterThan(0)

  const { rows } = await bank.query<{ last: string }>('select max(sequence_id) as last from surreal_sync_changes')
  const last = Number(rows[0]?.last)
  await eventually(async () => (await look()) && sequence >= last, 'the last transfer in the target')
  await expectEqualDatabases({ source: postgres.url, target: db })
  stop.abort()
  expect(await run).toMatchObject({ reason: 'aborted' })
  await db.close()
})

/** Moves money between two accounts, across two tables; now and then between all of them, which takes more than one part. */
async function transfer(client: pg.Client, seed: number, going: () => boolean): Promise<void> {
  for (let n = seed; going(); n += 2) {
    const [from, to] = [(n * 7919) % accountCount, (n * 104_729) % accountCount].map((id) => id + 1)
    try {
      await client.query('begin')
      await client.query('update accounts set balance = balance - 5 where id = $1', [from])
      await client.query('update savings set balance = balance + 5 where id = $1', [to])
      if (n % 150 === 0) {
        await client.query('update accounts set balance = balance + 1')
        await client.query('update savings set balance = balance - 1')
      }
      await client.query(n % 9 === 0 ? 'rollback' : 'commit')
    } catch {
      await client.query('rollback') // a deadlock
    }
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}
