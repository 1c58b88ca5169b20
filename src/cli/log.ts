/** Log lines, for people or for machines. */
import type { ErrorReport } from './error-report.js'
import { printable } from './printable.js'

export const logLevels = ['error', 'warn', 'info', 'debug'] as const
export const logFormats = ['text', 'json'] as const

export type LogLevel = (typeof logLevels)[number]
export type LogFormat = (typeof logFormats)[number]

/** What a line says besides its message. Names are stable. */
export type LogFields = { readonly [name: string]: unknown }

export interface LogOptions {
  readonly format: LogFormat
  /** The least important level that is printed. */
  readonly level: LogLevel
  /** Gets one line, without its end. */
  readonly write: (line: string) => void
}

/**
 * As text, `INFO surreal_sync::postgresql: message`. As JSON, one object a line with `time`, `level`, `event`, `message`
 * and the event's own fields.
 */
export class Log {
  readonly #options: LogOptions

  constructor(options: LogOptions) {
    this.#options = options
  }

  /** @param event a stable name, for scripts */
  event(level: LogLevel, event: string, message: string, fields: LogFields = {}): void {
    const { format, write } = this.#options
    if (!this.shows(level)) return
    if (format === 'json') write(toJson(level, event, message, fields))
    else write(`${level.toUpperCase()} surreal_sync::postgresql: ${printable(message)}`)
  }

  shows(level: LogLevel): boolean {
    return logLevels.indexOf(level) <= logLevels.indexOf(this.#options.level)
  }

  /** Prints why the command failed and returns its exit code. */
  failure({ code, message, hint, exitCode, stack }: ErrorReport): number {
    const { format, write } = this.#options
    const trace = this.shows('debug') ? stack : undefined
    if (format === 'json') {
      write(toJson('error', 'error', message, { code, hint, exit_code: exitCode, stack: trace }))
      return exitCode
    }
    write(`error: ${printable(message)} [${code}]`)
    if (hint !== undefined) write(`hint: ${printable(hint)}`)
    for (const line of trace ?? []) write(printable(line))
    return exitCode
  }
}

function toJson(level: LogLevel, event: string, message: string, fields: LogFields): string {
  return JSON.stringify({ time: new Date().toISOString(), level, event, message, ...fields })
}
