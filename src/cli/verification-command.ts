/** `surreal-sync verify`. */
import type { Command } from 'commander'
import { PostgresTriggerSource, SurrealSink, verify } from '../index.js'
import { parseDuration } from './duration.js'
import { ExitStatus } from './exit-status.js'
import type { CommandLineIo } from './io.js'
import { addConnectionOptions } from './options.js'
import type { Flags } from './settings.js'
import { settledPlain } from './settled.js'
import { Stop } from './stop.js'
import { VerificationReport } from './verification-report.js'

export interface VerificationFlags extends Flags {
  readonly atRest?: boolean
  readonly exclusive?: boolean
  readonly json?: boolean
  readonly wait?: string
}

const summary = 'compare every row of both sides'
const usage = '$ surreal-sync verify postgresql --to-namespace prod --to-database myapp'
/** Of a process that a signal ended, by convention. */
const interruptedCodes = { SIGINT: 130, SIGTERM: 143 } as const

export function addVerification(program: Command, io: CommandLineIo): void {
  const group = program
    .command('verify')
    .description(summary)
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
  const command = group
    .command('postgresql')
    .description(`PostgreSQL: ${summary}`)
    .addHelpText('after', `\nExample:\n  ${usage}`)
    .optionsGroup('Comparing:')
    .option('--at-rest', 'look once: neither side changes meanwhile')
    .option('--exclusive', 'records of all other tables are differences too')
    .option('--wait <duration>', 'how long the pipeline may take to catch up (default: 1m)')
    .option('--json', 'print JSON lines: each difference, then the result')
  addConnectionOptions(command).action(() => runVerification(command.opts<VerificationFlags>(), io))
}

/** @throws ExitStatus 3 if there are differences, 130 and 143 after a signal; SyncError */
export async function runVerification(flags: VerificationFlags, io: CommandLineIo): Promise<void> {
  const { source, sink, id } = await settledPlain(flags, io)
  const { atRest, exclusive, json = false, wait } = flags
  const waitMsMax = wait === undefined ? undefined : parseDuration(wait, '--wait')
  const report = new VerificationReport(json, io.stdout)
  await interruptible(io, async (signal) => {
    const result = await verify({
      ...{ source: new PostgresTriggerSource(source), target: new SurrealSink(sink) },
      ...{ id, atRest, exclusive, waitMsMax, listMax: 0, signal },
      onDifference: (difference) => report.difference(difference),
    })
    report.result(result)
    if (!result.equal) throw new ExitStatus(3)
  })
}

/** Runs work that a signal ends. What is interrupted has no result, so it does not end as if it had one. */
export async function interruptible(io: CommandLineIo, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new Stop(io, { asked: () => undefined, forced: () => undefined })
  try {
    await work(stop.signal)
  } catch (error) {
    if (!stop.explains(error)) throw error
    throw new ExitStatus(interruptedCodes[stop.reason === 'SIGTERM' ? 'SIGTERM' : 'SIGINT'])
  } finally {
    stop.dispose()
  }
}
