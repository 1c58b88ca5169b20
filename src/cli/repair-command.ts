/** `surreal-sync repair`. */
import type { Command } from 'commander'
import { PostgresTriggerSource, type RepairResult, repair, SurrealSink } from '../index.js'
import { ExitStatus } from './exit-status.js'
import { formatExactly, plural } from './figures.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addConnectionOptions } from './options.js'
import { addPostgresql } from './postgresql-command.js'
import { printable } from './printable.js'
import type { Flags } from './settings.js'
import { settledPlain } from './settled.js'
import { warningsTo } from './warnings.js'

const summary = 'read rows again that verify finds to differ'
const example = '$ surreal-sync repair postgresql --to-namespace prod --to-database myapp'
const shownMax = 20

export function addRepair(program: Command, io: CommandLineIo): void {
  const command = addPostgresql(program, { name: 'repair', summary, example })
    .optionsGroup('Repairing:')
    .option('--json', 'print JSON lines: each row that is left, then the result')
  addConnectionOptions(command).action(() => runRepair(command.opts<Flags & { readonly json?: boolean }>(), io))
}

/** @throws ExitStatus 3 if rows are left that differ, 130 and 143 after a signal; SyncError */
async function runRepair(flags: Flags & { readonly json?: boolean }, io: CommandLineIo): Promise<void> {
  const settings = await settledPlain(flags, io)
  const { source, sink, id } = settings
  await interruptible(io, async (signal) => {
    const result = await repair({
      ...{ source: new PostgresTriggerSource(source), sink: new SurrealSink(sink), id, signal },
      onWarning: warningsTo(io, settings),
    })
    const lines = flags.json === true ? asJson(result) : asText(result)
    io.stdout.write(`${lines.join('\n')}\n`)
    if (result.left.length > 0) throw new ExitStatus(3)
  })
}

function asText({ found, repaired, left }: RepairResult): readonly string[] {
  const shown = left.slice(0, shownMax).map(({ table, key, kind }) => `  ${table} ${key}  ${kind}`)
  const rest = left.length - shown.length
  return [
    `${plural(found, 'row')} differed, ${formatExactly(repaired)} repaired, ${formatExactly(left.length)} left`,
    ...shown,
    ...(rest > 0 ? [`  and ${formatExactly(rest)} more: see --json`] : []),
  ].map(printable)
}

function asJson({ found, repaired, left }: RepairResult): readonly string[] {
  return [
    ...left.map(({ table, kind, key, fields }) => JSON.stringify({ event: 'left', table, kind, key, fields })),
    JSON.stringify({ event: 'result', found, repaired, left: left.length }),
  ]
}
