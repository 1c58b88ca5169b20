/** Warnings of commands whose result goes to stdout. */
import type { SyncWarning } from '../index.js'
import { plural } from './figures.js'
import { inFlags } from './flag-names.js'
import type { CommandLineIo } from './io.js'
import { Log, type LogFormat, type LogLevel } from './log.js'

interface LogSettings {
  readonly logFormat: LogFormat
  readonly logLevel: LogLevel
}

/** Logs each warning to stderr. */
export function warningsTo({ stderr }: CommandLineIo, settings: LogSettings): (warning: SyncWarning) => void {
  const { logFormat: format, logLevel: level } = settings
  const log = new Log({ format, level, write: (line) => stderr.write(`${line}\n`) })
  return (warning) => logWarning(log, warning)
}

/** The same line for every command. */
export function logWarning(log: Log, { code, message, table, column, count }: SyncWarning): void {
  const times = count === undefined || count === 1 ? '' : ` (${plural(count, 'time')})`
  log.event('warn', 'warning', `${inFlags(message)}${times}`, { code, table, column, count })
}
