/** Runs writers, administrators and readers against each other, then compares everything. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { createDatabase, dropDatabase } from '../../src/demo/postgres-database.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { Administrator, type DisturbanceReport } from './disturbances.js'
import { mutants } from './mutants.js'
import { ProbedSource } from './probed-source.js'
import { Reader, type ReaderReport } from './reader.js'
import { Dice, pause } from './schedule.js'
import { createTables, readContent, type TableContent, type TableName, tableNames } from './workload-tables.js'
import { Writer, type WriterReport } from './writers.js'

export interface TortureOptions {
  /** Any database of the server, as a superuser. */
  readonly adminUrl: string
  readonly seed: number
  /** How long it runs. */
  readonly seconds: number
  /** How long it runs at most if some readers have not been compared, or some mutants not been caught, by then. */
  readonly secondsMax: number
  readonly writers: number
  /** The longest wait of a writer between two transactions. */
  readonly thinkMs: number
  /** Two readers instead of four. */
  readonly short: boolean
  /** Also run the readers that are wrong on purpose. */
  readonly withMutants: boolean
  readonly log?: (line: string) => void
}

export interface TortureReport {
  readonly seed: number
  readonly version: string
  readonly writers: WriterReport
  readonly disturbances: DisturbanceReport
  readonly auditRows: number
  /** Must have no failures. */
  readonly readers: readonly ReaderReport[]
  /** Must have failures. */
  readonly mutants: readonly ReaderReport[]
}

/** The longest wait between two disturbances, and the longest life of a reader. */
const disturbanceMsMax = 1_500
const lifeMsMax = 8_000

/** @throws whatever a writer, a reader or a database throws that is not part of the game */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  const suffix = randomBytes(4).toString('hex')
  const names = [`torture_${suffix}`, `torture_other_${suffix}`]
  const [url, otherUrl] = await Promise.all(names.map((name) => createDatabase(options.adminUrl, name)))
  if (url === undefined || otherUrl === undefined) throw new Error('The databases were not created')
  const bystander = await openForever(otherUrl)
  try {
    return await run(url, options)
  } finally {
    await bystander.end()
    for (const name of names) await dropDatabase(options.adminUrl, name)
  }
}

async function run(url: string, options: TortureOptions): Promise<TortureReport> {
  const { seed, seconds, secondsMax, thinkMs, log } = options
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await createTables(client)
    const source = { url, tables: tableNames }
    const readers = readersOf(source, seed).filter((_, index) => !options.short || index === 0 || index === 3)
    const wrong = options.withMutants ? mutantsOf(source, seed) : []
    for (const reader of [...readers, ...wrong]) await reader.begin()
    const writers = await Promise.all(
      Array.from({ length: options.writers }, (_, number) => Writer.connect(url, new Dice(seed + number), number)),
    )
    const administrator = await Administrator.connect(url, new Dice(seed - 1))

    const writing = new AbortController()
    const reading = new AbortController()
    const stop = () => {
      writing.abort()
      reading.abort()
    }
    const guarded = async (work: Promise<void>) => {
      // One failure ends the run for all.
      await work.catch((error: unknown) => {
        stop()
        throw error
      })
    }
    const read = Promise.allSettled([...readers, ...wrong].map((reader) => guarded(reader.run(reading.signal))))
    const write = Promise.allSettled([
      ...writers.map((writer) => guarded(writer.run(writing.signal, thinkMs))),
      guarded(administrator.run(writing.signal, disturbanceMsMax)),
    ])
    const startedAt = performance.now()
    const isOver = () => {
      const elapsed = (performance.now() - startedAt) / 1_000
      if (writing.signal.aborted || elapsed > secondsMax) return true
      return elapsed > seconds && readers.every(({ proved }) => proved) && wrong.every(({ failed }) => failed)
    }
    while (!isOver()) {
      await pause(2_000, writing.signal)
      log?.([...readers, ...wrong].map((reader) => progressOf(reader.report)).join('  '))
    }
    stop()
    rethrow(await write)
    rethrow(await read)

    const contents = await readAll(client)
    for (const reader of [...readers, ...wrong]) if (!reader.failed) await reader.finish(contents)
    const count = await client.query<{ version: string; rows: string }>(
      `select current_setting('server_version') as version, count(*) as rows from surreal_sync_changes`,
    )
    return {
      seed,
      version: count.rows[0]?.version ?? '',
      writers: sum(writers.map(({ report }) => report)),
      disturbances: administrator.report,
      auditRows: Number(count.rows[0]?.rows),
      readers: readers.map(({ report }) => report),
      mutants: wrong.map(({ report }) => report),
    }
  } finally {
    await client.end()
  }
}

type SourceOptions = { readonly url: string; readonly tables: readonly string[] }

/** The product as it is, and the product with a probe; each restarted from the bare number or from the exact state. */
function readersOf(source: SourceOptions, seed: number): readonly Reader[] {
  const common = { stopAtFailure: false, probeShare: 0.3, lifeMsMax }
  const product = () => new PostgresTriggerSource(source)
  const restarts = ['number', 'state'] as const
  return restarts.flatMap((restart, index) => [
    new Reader({
      ...common,
      name: `product ${restart}`,
      restart,
      probed: false,
      source: product,
      dice: new Dice(seed + 1_000 + index),
    }),
    new Reader({
      ...{ ...common, name: `probed ${restart}`, restart, probed: true, dice: new Dice(seed + 2_000 + index) },
      source: (probe) => new ProbedSource(source, probe),
    }),
  ])
}

function mutantsOf(source: SourceOptions, seed: number): readonly Reader[] {
  return mutants.map(
    (mutant, index) =>
      new Reader({
        name: mutant.name,
        source: (probe) => mutant.source(source, probe),
        dice: new Dice(seed + 3_000 + index),
        restart: 'state',
        alwaysFull: mutant.alwaysFull,
        probed: true,
        probeShare: mutant.probeShare,
        lifeMsMax,
        stopAtFailure: true,
      }),
  )
}

/** A transaction that writes in another database of the cluster for as long as the run lasts. */
async function openForever(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create table t (id int); begin; insert into t values (1)')
  return client
}

async function readAll(client: pg.Client): Promise<ReadonlyMap<TableName, TableContent>> {
  const query = async (text: string) =>
    (await client.query<(string | null)[]>({ text, rowMode: 'array', types: { getTypeParser: () => String } })).rows
  const contents = new Map<TableName, TableContent>()
  for (const table of tableNames) contents.set(table, await readContent(query, table))
  return contents
}

function sum(reports: readonly WriterReport[]): WriterReport {
  const total: WriterReport = { committed: 0, rolledBack: 0, refused: 0 }
  for (const { committed, rolledBack, refused } of reports) {
    total.committed += committed
    total.rolledBack += rolledBack
    total.refused += refused
  }
  return total
}

function rethrow(results: readonly PromiseSettledResult<void>[]): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function progressOf({ name, drained, compared, failures }: ReaderReport): string {
  return `${name}: ${drained}/${compared}${failures.length > 0 ? ' FAILED' : ''}`
}
