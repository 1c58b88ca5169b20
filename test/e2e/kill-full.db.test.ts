/** The command line is killed in the middle of a full sync, under load: what was finished is not copied again. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { RecordId } from 'surrealdb'
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/demo/seeded-random.js'
import { expectEqualDatabases } from '../support/compare.js'
import { createDatabase } from '../support/database.js'
import { startSurreal } from '../support/surreal-server.js'
import { start, temporaryDirectory } from './command.js'
import { connectionFlags } from './flags.js'
import { execute, lastChange, withClient } from './shop.js'
import { openTarget, type Target } from './target.js'

const id = 'pages'
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)
const kills = 2
/** One row on a page: four chunks of 8,192 pages. */
const [rowCount, chunkRows, chunkCount] = [26_000, 8_192, 4]

test(`kill -9, ${kills} times while it copies (KILL_SEED=${seed})`, { timeout: 240_000 }, async () => {
  await using source = await createDatabase()
  await using directory = await temporaryDirectory()
  await using server = await startSurreal({ storage: `surrealkv://${join(directory.path, 'target')}` })
  await execute(
    source.url,
    `create table pages (id int primary key, n int not null, filler text not null) with (fillfactor = 10);
     alter table pages alter filler set storage plain;
     insert into pages select i, 0, repeat('x', 840) from generate_series(1, ${rowCount}) i; analyze`,
  )
  const copy = () => {
    const flags = ['--id', id, '--log-level', 'debug', '--concurrency', '1', '--emit-checkpoints']
    const args = ['full', 'postgresql', ...connectionFlags(source.url, server.ws), ...flags]
    return start(args, { cwd: directory.path })
  }
  await using load = new Load(source.url, seed)
  await using target = await openTarget(server.ws)
  let finished = 0
  for (let kill = 0; kill < kills; kill += 1) {
    await using command = copy()
    const done = `${finished + 1} of ${chunkCount} chunks`
    await command.saw(new RegExp(`: Copying public\\.pages, ${done}\n[^]*: Saved full_progress checkpoint`))
    command.kill('SIGKILL')
    expect(await command.ended).toMatchObject({ signal: 'SIGKILL' })
    if (kill > 0)
      expect(command.stderr).toMatch(
        new RegExp(`: Resuming full sync from .+: ${finished} of ${chunkCount} chunks done\n`),
      )
    const now = await finishedChunks(target)
    expect(now).toBeGreaterThan(finished)
    finished = now
  }
  await using last = copy()
  expect(await last.ended).toMatchObject({ code: 0 })
  expect(last.stderr).toMatch(new RegExp(`: Resuming full sync from .+: ${finished} of ${chunkCount} chunks done\n`))
  const [, copied = ''] = /: Copied public\.pages: ([\d,]+) rows? /.exec(last.stderr) ?? []
  const rows = Number(copied.replaceAll(',', ''))
  // Rows that were updated moved to the end, which comes last.
  expect(rows).toBeGreaterThan(0)
  expect(rows).toBeLessThanOrEqual(rowCount - finished * chunkRows + load.written)
  await load.stop()
  const until = await lastChange(source.url)
  const rest = ['--id', id, '--incremental-from', '0', '--incremental-to', until]
  await using incremental = start(['incremental', 'postgresql', ...connectionFlags(source.url, server.ws), ...rest], {
    cwd: directory.path,
  })
  expect(await incremental.ended).toMatchObject({ code: 0 })
  await expectEqualDatabases({ source: source.url, target: target.db })
})

async function finishedChunks({ db }: Target): Promise<number> {
  const [entries] = await db.query<[string[]]>('RETURN (SELECT VALUE checkpoint.completed FROM ONLY $record)', {
    record: new RecordId('surreal_sync_state', [id, 0]),
  })
  return entries.filter((entry) => !entry.endsWith('"replaced"]')).length
}

/** Updates, deletes, inserts and moves rows all over the table. */
class Load implements AsyncDisposable {
  written = 0
  readonly #stop = new AbortController()
  readonly #working: Promise<void>

  constructor(url: string, seed: number) {
    this.#working = this.#work(url, seededRandom(seed))
    this.#working.catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#working
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined)
  }

  async #work(url: string, random: () => number): Promise<void> {
    await withClient(url, async (client) => {
      for (let n = 1; !this.#stop.signal.aborted; n += 1) {
        const [a, b, c] = [0, 0, 0].map(() => Math.floor(random() * rowCount) + 1)
        await client.query('update pages set n = n + 1 where id = $1', [a])
        await client.query('delete from pages where id = $1', [b])
        await client.query('update pages set id = id + 1000000 where id = $1', [c])
        await client.query(`insert into pages values ($1, 0, 'new')`, [2_000_000 + n])
        this.written += 4
        await pause(10)
      }
    })
  }
}
