/** What went wrong, for people and process managers. */
import { CommanderError } from 'commander'
import { SyncError } from '../index.js'
import { inFlags } from './flag-names.js'

/** An error as it is printed. Contains no cell value, no password and no URL with credentials. */
export interface ErrorReport {
  /** `E_INTERNAL` for a bug. */
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
  readonly exitCode: number
  /** Where it was thrown, and by what. Only names, codes and places in the code: messages may quote values. */
  readonly stack: readonly string[]
}

const causesMax = 8

export function describeError(error: unknown): ErrorReport {
  const stack = stackOf(error)
  if (error instanceof SyncError) {
    const { code, message, details } = error
    const hint = details.hint === undefined ? undefined : inFlags(details.hint)
    return { code, message: inFlags(message), hint, exitCode: exitCodeOf(error), stack }
  }
  return {
    code: 'E_INTERNAL',
    message: `Internal error (${nameOf(error)})`,
    hint: 'This is a bug in surreal-sync. Run again with --log-level debug and report what it prints.',
    exitCode: 1,
    stack,
  }
}

/**
 * What commander's error means. `answered`: help or the version was asked for and printed. `help`: help was printed
 * because a command is missing. Undefined: it is not commander's.
 */
export function usageError(error: unknown): 'answered' | 'help' | SyncError | undefined {
  if (!(error instanceof CommanderError)) return undefined
  if (error.exitCode === 0) return 'answered'
  if (error.code === 'commander.help') return 'help'
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const hint = suggestion?.replace(/^\((.*)\)$/, '$1') ?? helpOf(error)
  return new SyncError('E_CONFIG', message.charAt(0).toUpperCase() + message.slice(1), { hint })
}

function helpOf({ code }: CommanderError): string {
  return code === 'commander.unknownCommand'
    ? 'Run surreal-sync --help to see the commands.'
    : 'Run the same command with --help to see what it takes.'
}

/** Names only, no messages. */
function stackOf(error: unknown): readonly string[] {
  const lines: string[] = []
  let current = error
  for (let depth = 0; current !== undefined && depth < causesMax; depth += 1) {
    lines.push(`${depth === 0 ? '' : 'caused by '}${nameOf(current)}${codeOf(current)}`)
    if (!(current instanceof Error)) break
    const frames = current.stack?.split('\n') ?? []
    lines.push(...frames.filter((line) => /^ {4}at /.test(line)))
    current = current.cause
  }
  return lines
}

function exitCodeOf(error: SyncError): number {
  if (error.code === 'E_LEASE_HELD' || error.code === 'E_LEASE_LOST') return 5
  return error.retryable || error.code === 'E_RETRY_EXHAUSTED' ? 4 : 2
}

function nameOf(error: unknown): string {
  return error instanceof Error && /^\w{1,64}$/.test(error.name) ? error.name : typeof error
}

/** SQLSTATEs, codes of Node.js and our own. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  const { code } = error
  return typeof code === 'string' && /^\w{1,64}$/.test(code) ? ` ${code}` : ''
}
