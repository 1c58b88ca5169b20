/** `surreal-sync verify`. */
import type { Command } from 'commander'
import { PostgresTriggerSource, SurrealSink, verify } from '../index.js'
import { parseDuration } from './duration.js'
import { ExitStatus } from './exit-status.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addConnectionOptions } from './options.js'
import { addPostgresql } from './postgresql-command.js'
import type { Flags } from './settings.js'
import { settledPlain } from './settled.js'
import { VerificationReport } from './verification-report.js'

export interface VerificationFlags extends Flags {
  readonly atRest?: boolean
  readonly exclusive?: boolean
  readonly json?: boolean
  readonly wait?: string
}

const summary = 'compare every row of both sides'
const example = '$ surreal-sync verify postgresql --to-namespace prod --to-database myapp'

export function addVerification(program: Command, io: CommandLineIo): void {
  const command = addPostgresql(program, { name: 'verify', summary, example })
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
