/** The command line as a function. */
import { describeError, usageError } from './error-report.js'
import { ExitStatus } from './exit-status.js'
import type { CommandLineIo } from './io.js'
import { Log, type LogFormat } from './log.js'
import { createProgram } from './program.js'
import { secretArguments } from './secret-arguments.js'

/**
 * Runs one command line and resolves with its exit code: 0 done, also after a signal or at the timeout; 1 a bug; 2 refused,
 * change something first; 3 `verify` found differences; 4 failed, trying again later may help; 5 the same pipeline runs elsewhere. Never rejects.
 * @param argv without the executable and the script
 */
export async function main(argv: readonly string[], io: CommandLineIo): Promise<number> {
  try {
    await createProgram(io).parseAsync(argv.flatMap(splitFlag), { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof ExitStatus) return error.code
    const usage = usageError(error)
    if (usage === 'answered') return 0
    if (usage === 'help') return 2
    return report(usage ?? error, argv, io)
  }
}

/** Says which of the arguments others may have seen. */
export function warnOfSecrets(argv: readonly string[], io: CommandLineIo): void {
  const log = new Log({ format: formatOf(argv), level: 'warn', write: (line) => io.stderr.write(`${line}\n`) })
  for (const { flag, variable } of secretArguments(argv)) {
    const message = `Others on this machine may have seen the password in ${flag}: use ${variable} or ${variable}_FILE`
    log.event('warn', 'warning', message, { code: 'secret_in_arguments', flag })
  }
}

/** Prints an error in the format that the arguments ask for, and returns the exit code that goes with it. */
export function report(error: unknown, argv: readonly string[], io: CommandLineIo): number {
  const log = new Log({ format: formatOf(argv), level: levelOf(argv), write: (line) => io.stderr.write(`${line}\n`) })
  return log.failure(describeError(error))
}

/** `--flag=value` as two arguments, so that a value never appears in what is said about an unknown flag. */
function splitFlag(argument: string): readonly string[] {
  const match = /^(--[a-z-]+)=(.*)$/s.exec(argument)
  return match === null ? [argument] : match.slice(1)
}

// Read here as well, because the options themselves may be what is wrong.
function formatOf(argv: readonly string[]): LogFormat {
  return lastValue(argv, '--log-format') === 'json' ? 'json' : 'text'
}

function levelOf(argv: readonly string[]): 'debug' | 'error' {
  return lastValue(argv, '--log-level') === 'debug' ? 'debug' : 'error'
}

function lastValue(argv: readonly string[], flag: string): string | undefined {
  const index = argv.findLastIndex((argument) => argument === flag || argument.startsWith(`${flag}=`))
  return argv[index] === flag ? argv[index + 1] : argv[index]?.slice(flag.length + 1)
}
