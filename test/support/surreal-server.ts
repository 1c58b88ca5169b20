/** A SurrealDB server of its own process for tests: the real one where there is one, else a stand-in with faults. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isReport, type SurrealCommand, type SurrealFault, type SurrealSetup } from './surreal-control.js'

/** What {@link startSurreal} can be told. */
export interface SurrealServerOptions {
  /** `mem://` or `surrealkv://PATH`. @defaultValue `mem://` */
  readonly storage?: string
  /** The root user, made when the storage has none of that name. @defaultValue `root` */
  readonly username?: string
  /** @defaultValue `root` */
  readonly password?: string
  /** @defaultValue any free port */
  readonly port?: number
}

/** A fault that has been ordered. */
export interface OrderedFault {
  /** Settles when it has happened; rejects when the server ends before. */
  readonly triggered: Promise<void>
}

const limits = { startMsMax: 30_000, stopMsMax: 10_000, pollMs: 20 }

/**
 * Starts a server on 127.0.0.1 and waits until it listens: the program that the environment variable SURREAL_BIN names,
 * else the stand-in in front of the embedded engine, which ends with this process.
 *
 * @throws Error when it does not start, with the engine's reason.
 */
export async function startSurreal(options: SurrealServerOptions = {}): Promise<SurrealServer> {
  const setup = { storage: 'mem://', username: 'root', password: 'root', port: 0, ...options }
  const program = process.env.SURREAL_BIN
  return program === undefined || program === '' ? startStandIn(setup) : startProgram(program, setup)
}

/** A running server. */
export class SurrealServer {
  /** For the SDK: `ws://127.0.0.1:PORT`. */
  readonly ws: string
  /** For the SDK: `http://127.0.0.1:PORT`. */
  readonly http: string
  readonly port: number
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #hasFaults: boolean
  readonly #waiting = new Map<string, { readonly resolve: () => void; readonly reject: (error: Error) => void }>()
  #commandCount = 0

  /** Use {@link startSurreal}. */
  constructor(child: ChildProcess, port: number, hasFaults: boolean) {
    this.#process = child
    this.#hasFaults = hasFaults
    this.port = port
    this.ws = `ws://127.0.0.1:${port}`
    this.http = `http://127.0.0.1:${port}`
    this.#exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve()
    child.on('message', (message) => {
      if (isReport(message) && 'id' in message) this.#settle(`${message.kind} ${message.id}`)
    })
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('The SurrealDB server has ended.'))
      this.#waiting.clear()
    })
  }

  /** Destroys every connection the server has; it goes on listening. */
  async cutAll(): Promise<void> {
    await this.#command({ kind: 'cutAll' })
  }

  /** Orders a fault; settles when the requests that count are those still to come. */
  async fault(fault: SurrealFault): Promise<OrderedFault> {
    const triggered = this.#expect(`triggered ${this.#commandCount + 1}`)
    triggered.catch(() => {}) // nobody need wait for it
    await this.#command({ kind: 'fault', fault })
    return { triggered }
  }

  /** Becomes a black hole: connections stay open, what is sent is accepted, nothing is executed or answered. */
  async pause(): Promise<void> {
    await this.#command({ kind: 'pause' })
  }

  /** Ends {@link SurrealServer.pause}; what was sent meanwhile is executed and answered. */
  async resume(): Promise<void> {
    await this.#command({ kind: 'resume' })
  }

  /** Kills the process and waits until it is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.#process.kill(signal)
    await this.#exited
  }

  /** Closes the storage in order and ends the process; may be called again, and after {@link SurrealServer.kill}. */
  async stop(): Promise<void> {
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), limits.stopMsMax)
    if (this.#hasFaults)
      this.#command({ kind: 'stop' }).catch(() => {}) // answered by its exit
    else this.#process.kill('SIGTERM')
    await this.#exited
    clearTimeout(killer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #command(command: SurrealCommand): Promise<void> {
    if (!this.#hasFaults) throw new Error('Faults need the stand-in: unset the environment variable SURREAL_BIN.')
    this.#commandCount += 1
    const id = this.#commandCount
    const done = this.#expect(`done ${id}`)
    if (this.#process.connected) this.#process.send({ id, command })
    else this.#waiting.get(`done ${id}`)?.reject(new Error('The SurrealDB server has ended.'))
    await done
  }

  async #expect(report: string): Promise<void> {
    await new Promise<void>((resolve, reject) => this.#waiting.set(report, { resolve, reject }))
  }

  #settle(report: string): void {
    this.#waiting.get(report)?.resolve()
    this.#waiting.delete(report)
  }
}

async function startStandIn(setup: SurrealSetup): Promise<SurrealServer> {
  const main = fileURLToPath(new URL('./surreal-server-main.ts', import.meta.url))
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const child = fork(main, [JSON.stringify(setup)], { execArgv: ['--import', loader] })
  const port = await new Promise<number>((resolve, reject) => {
    child.on('message', (message) => {
      if (!isReport(message)) return
      if (message.kind === 'listening') resolve(message.port)
      if (message.kind === 'failed') reject(new Error(`SurrealDB did not start: ${message.message}`))
    })
    child.once('exit', () => reject(new Error('SurrealDB did not start: its process ended.')))
  })
  return new SurrealServer(child, port, true)
}

async function startProgram(program: string, setup: SurrealSetup): Promise<SurrealServer> {
  const port = setup.port === 0 ? await freePort() : setup.port
  const credentials = ['--user', setup.username, '--pass', setup.password]
  const storage = setup.storage === 'mem://' ? 'memory' : setup.storage
  const child = spawn(program, ['start', '--log', 'warn', '--bind', `127.0.0.1:${port}`, ...credentials, storage], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'spawn')
  process.once('exit', () => child.kill('SIGKILL'))
  const server = new SurrealServer(child, port, false)
  const deadline = Date.now() + limits.startMsMax
  while (!(await isHealthy(server.http))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await server.kill()
      throw new Error(`SurrealDB did not start: ${program} does not answer.`)
    }
    await delay(limits.pollMs)
  }
  return server
}

async function isHealthy(url: string): Promise<boolean> {
  return fetch(`${url}/health`).then(
    (response) => response.ok,
    () => false,
  )
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
