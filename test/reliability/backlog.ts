/** The memory of the command while it works off a backlog of changes, and while it copies a large table. */
import { setTimeout as pause } from 'node:timers/promises'
import { RecordId } from 'surrealdb'
import type { Command } from '../e2e/command.js'
import { execute, lastChange, withClient } from '../e2e/shop.js'
import { openTarget } from '../e2e/target.js'
import { Place } from './place.js'
import { processMemory } from './process-memory.js'
import type { Section, SectionOptions } from './section.js'

const limits = { addedMegabytesMax: 200, runMsMax: 6 * 3_600_000, pollMs: 100, logMs: 30_000 }
const rowBytes = 8_192
const id = 'backlog'

interface Memory {
  /** When its first line came. */
  readonly startMegabytes: number
  readonly peakMegabytes: number
  readonly addedMegabytes: number
  readonly seconds: number
}

export const backlog: Section = async (options) => {
  const changes = options.amount('changes', { long: 5_000_000, short: 100_000 })
  const gigabytes = options.amount('gigabytes', { long: 5, short: 0.2 })
  await using place = await Place.open({ settings: { max_wal_size: '8GB', shared_buffers: '256MB' } })
  const copied = await copyLarge(place, gigabytes, options)
  const applied = await applyBacklog(place, changes, options)
  const failures = [...judge('the copy', copied), ...judge('the backlog', applied)]
  return {
    what: `The resident set of the command line, SurrealDB being another process: the most while it copies a table of so many gigabytes, and while it applies a backlog of so many changed rows, stays less than ${limits.addedMegabytesMax} MB above what it was when its first line came; all rows arrive.`,
    figures: {
      table: { gigabytes, ...copied },
      backlog: { changes, ...applied },
    },
    failures,
    versions: place.versions,
  }
}

interface Measured extends Memory {
  readonly rowsExpected: number
  readonly rowsFound: number
}

async function copyLarge(place: Place, gigabytes: number, { log }: SectionOptions): Promise<Measured> {
  const rows = Math.round((gigabytes * 1e9) / rowBytes)
  await execute(
    place.source,
    `create table large (id int primary key, body text not null); alter table large alter body set storage external;
     insert into large select i, repeat(md5(i::text), ${rowBytes / 32}) from generate_series(1, ${rows}) i; analyze large`,
  )
  log(`a table of ${rows} rows of ${rowBytes} bytes`)
  await using command = place.start('full', ['--id', 'large', '--tables', 'large'], limits.runMsMax)
  const memory = await watch(command, log, async () => false)
  return { ...memory, rowsExpected: rows, rowsFound: await count(place, 'large') }
}

async function applyBacklog(place: Place, changes: number, { log }: SectionOptions): Promise<Measured> {
  await execute(place.source, 'create table changing (id int primary key, n bigint not null, name text not null)')
  const flags = ['--id', id, '--tables', 'changing']
  await using prepared = place.start('full', [...flags, '--emit-checkpoints'], limits.runMsMax)
  const { code, stderr } = await prepared.ended
  if (code !== 0) throw new Error(`The full sync before the backlog ended with ${code}: ${stderr}`)
  await withClient(place.source, (client) =>
    client.query(`insert into changing select i, i, 'row ' || i from generate_series(1, $1::int) i`, [changes]),
  )
  const last = Number((await lastChange(place.source)).split(':').at(-1))
  log(`a backlog of ${changes} changes`)
  await using command = place.start('sync', flags, limits.runMsMax)
  const memory = await watch(command, log, async () => (await sequenceOf(place)) >= last)
  return { ...memory, rowsExpected: changes, rowsFound: await count(place, 'changing') }
}

/** Until it ends, or is done and told to. @throws if it fails */
async function watch(command: Command, log: (line: string) => void, isDone: () => Promise<boolean>): Promise<Memory> {
  const startedAt = performance.now()
  await command.saw(/\n/)
  const start = await processMemory(command.pid)
  if (start === undefined) throw new Error('The process ended at once.')
  let ended = false
  const end = command.ended.then((result) => {
    ended = true
    return result
  })
  let [peak, loggedAt] = [start.peakMegabytes, performance.now()]
  while (!ended) {
    const memory = await processMemory(command.pid)
    peak = memory?.peakMegabytes ?? peak
    if (performance.now() - loggedAt > limits.logMs) {
      log(`at most ${peak} MB so far, ${start.megabytes} MB at its start`)
      loggedAt = performance.now()
    }
    if (await isDone()) command.kill('SIGTERM')
    await Promise.race([end, pause(limits.pollMs)])
  }
  const { code, stderr } = await end
  if (code !== 0) throw new Error(`It ended with ${code}: ${stderr.slice(-500)}`)
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10
  const added = Math.round((peak - start.megabytes) * 10) / 10
  log(`${start.megabytes} MB at its start, at most ${peak} MB, in ${seconds} s`)
  return { startMegabytes: start.megabytes, peakMegabytes: peak, addedMegabytes: added, seconds }
}

function judge(what: string, { addedMegabytes, rowsExpected, rowsFound }: Measured): readonly string[] {
  return [
    ...(addedMegabytes < limits.addedMegabytesMax ? [] : [`In ${what} it grew by ${addedMegabytes} MB.`]),
    ...(rowsFound === rowsExpected ? [] : [`After ${what} there are ${rowsFound} rows, not ${rowsExpected}.`]),
  ]
}

async function count(place: Place, table: string): Promise<number> {
  await using target = await openTarget(place.target)
  const [[found]] = await target.db.query<[readonly { readonly count: number }[]]>(
    `SELECT count() AS count FROM type::table($table) GROUP ALL`,
    { table },
  )
  return found?.count ?? 0
}

async function sequenceOf(place: Place): Promise<number> {
  await using target = await openTarget(place.target)
  const [sequence] = await target.db.query<[number | undefined]>(
    'RETURN (SELECT VALUE checkpoint.described.PostgreSQL.sequence FROM ONLY $record)',
    { record: new RecordId('surreal_sync_state', [id, 0]) },
  )
  return sequence ?? 0
}
