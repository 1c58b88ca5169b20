/** The command line as its users have it: a process of its own, in a directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { systemClock } from '../../src/cli/clock.js'
import { main } from '../../src/cli/command-line.js'

/** What {@link start} needs to know. */
export interface CommandOptions {
  /** The working directory. */
  readonly cwd: string
  /** Added to an environment that has nothing but `PATH`, `HOME` and `TMPDIR`. */
  readonly env?: Readonly<Record<string, string>>
  /** The user to run as, where this process may choose one. @defaultValue this process's */
  readonly uid?: number
  /** Kills the process when it takes longer. @defaultValue two minutes */
  readonly timeoutMs?: number
}

/** How a process ended. */
export interface Ended {
  /** Null: a signal killed it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

const timeoutMsMax = 120_000
const findMsMax = 60_000

/** `node --import …`, as arguments of `node`: the executable from its sources, whatever the working directory. */
export const commandLine: readonly string[] = [
  '--import',
  pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href,
  fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url)),
]

/** Runs `surreal-sync` to its end. */
export async function surrealSync(args: readonly string[], options: CommandOptions): Promise<Ended> {
  await using command = start(args, options)
  return await command.ended
}

/** The same without a process of its own, and so without what only a process can do wrong. Much faster. */
export async function surrealSyncHere(
  args: readonly string[],
  { env = {}, cwd }: Partial<CommandOptions> = {},
): Promise<Ended> {
  const [stdout, stderr] = [new Recorder(), new Recorder()]
  const exit = (code: number) => {
    throw new Error(`The command line was about to end this process with the code ${code}.`)
  }
  const signals = new EventEmitter()
  const folder = cwd === undefined ? {} : { folder: cwd }
  const code = await main(args, { stdout, stderr, env, signals, exit, clock: systemClock, ...folder })
  return { code, signal: null, stdout: stdout.text, stderr: stderr.text }
}

class Recorder extends Writable {
  text = ''

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** Starts `surreal-sync`. */
export function start(args: readonly string[], options: CommandOptions): Command {
  return startProgram(process.execPath, [...commandLine, ...args], options)
}

/** Starts any program in the same way. */
export function startProgram(program: string, args: readonly string[], options: CommandOptions): Command {
  const { PATH = '', HOME = '', TMPDIR = tmpdir() } = process.env
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { PATH, HOME, TMPDIR, ...options.env },
    uid: options.uid,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  return new Command(child, options.timeoutMs ?? timeoutMsMax)
}

/** A process that was started; killed at the end of its scope if it has not ended by then. */
export class Command implements AsyncDisposable {
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #listeners = new Set<() => void>()
  #stdout = ''
  #stderr = ''
  #hasEnded = false

  constructor(child: ChildProcess, timeoutMs: number) {
    this.#child = child
    const late = setTimeout(() => child.kill('SIGKILL'), timeoutMs).unref()
    child.stdin?.on('error', () => undefined)
    const told = () => {
      for (const listener of [...this.#listeners]) listener()
    }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      told()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      told()
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        clearTimeout(late)
        this.#hasEnded = true
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr })
        told()
      })
    })
    this.ended.catch(() => undefined)
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('The process did not start.')
    return pid
  }

  get stderr(): string {
    return this.#stderr
  }

  get stdout(): string {
    return this.#stdout
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Writes to the process's input. */
  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Reads stdout no longer, as `head` does when it has enough. */
  closeOutput(): void {
    this.#child.stdout?.destroy()
  }

  /** Resolves when stderr matches. Rejects when the process ends without that. */
  saw(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#find(`it logged ${pattern}`, () => pattern.exec(this.#stderr))
  }

  /** The same for stdout. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#find(`it printed ${pattern}`, () => pattern.exec(this.#stdout))
  }

  /** Resolves when the log says that everything up to this position has been applied; needs `--log-level debug`. */
  async appliedUpTo(position: string): Promise<void> {
    const sequence = Number(position.split(':').at(-1))
    await this.#find(`it had applied ${position}`, () => {
      const reached = this.#stderr.matchAll(/: Saved incremental checkpoint: postgresql:sequence:(\d+)/g)
      return [...reached].some(([, text]) => Number(text) >= sequence) ? true : null
    })
  }

  async #find<Found>(what: string, find: () => Found | null): Promise<Found> {
    const deadline = Date.now() + findMsMax
    for (;;) {
      const found = find()
      if (found !== null) return found
      if (this.#hasEnded || Date.now() > deadline) {
        const how = this.#hasEnded ? 'ended' : `took longer than ${findMsMax} ms`
        throw new Error(`The process ${how} before ${what}:\n${this.#stdout}${this.#stderr}`)
      }
      await this.#news(deadline)
    }
  }

  /** Resolves at the next output, at the end, or at the deadline. */
  #news(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const listener = () => {
        clearTimeout(late)
        this.#listeners.delete(listener)
        resolve()
      }
      const late = setTimeout(listener, deadline - Date.now() + 1)
      this.#listeners.add(listener)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended.catch(() => undefined)
  }
}

/** A directory that is gone at the end of its scope. */
export interface Directory extends AsyncDisposable {
  readonly path: string
}

export async function temporaryDirectory(): Promise<Directory> {
  const path = await mkdtemp(join(tmpdir(), 'surreal-sync-e2e-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
