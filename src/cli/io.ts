/** Everything outside of the program that the command line touches, so that tests can replace it. */
import type { Sink, Source } from '../index.js'
import { type Clock, systemClock } from './clock.js'
import type { Settings } from './settings.js'

/** An output that may be a terminal. */
export interface TerminalStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export type StopSignal = 'SIGINT' | 'SIGTERM'

export interface CommandLineIo {
  /** What was asked for: the version, help, a plan, the demonstration. */
  readonly stdout: TerminalStream
  /** Logs, progress and errors. */
  readonly stderr: TerminalStream
  readonly env: { readonly [name: string]: string | undefined }
  /** Where the config file is looked for. Default: the working directory. */
  readonly folder?: string
  readonly signals: {
    on(signal: StopSignal, listener: () => void): unknown
    off(signal: StopSignal, listener: () => void): unknown
  }
  /** Ends the process at once, after a second signal. */
  readonly exit: (code: number) => void
  readonly clock: Clock
  /** In place of PostgreSQL and SurrealDB. */
  readonly connect?: (settings: Settings) => { readonly source: Source; readonly sink: Sink }
}

/** The process's own. */
export function processIo(): CommandLineIo {
  const { stdout, stderr, env } = process
  return { stdout, stderr, env, signals: process, exit: (code) => process.exit(code), clock: systemClock }
}
