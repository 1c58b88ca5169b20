/** `surreal-sync check`. */
import type { Command } from 'commander'
import { examine, type Finding, PostgresTriggerSource, SurrealSink } from '../index.js'
import { loadConfig } from './config-file.js'
import { ExitStatus } from './exit-status.js'
import { plural } from './figures.js'
import { inFlags } from './flag-names.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addAuditLimit, addConnectionOptions } from './options.js'
import { addPostgresql } from './postgresql-command.js'
import { padEnd, printable, widthOf } from './printable.js'
import type { Flags } from './settings.js'
import { settleSides } from './sides.js'
import { columnsOfTerminal, wrapped } from './wrapped.js'

const summary = 'look for whatever would keep a pipeline from running well'
const example = '$ surreal-sync check postgresql --to-namespace prod --to-database myapp'
const marks: { readonly [outcome in Finding['outcome']]: string } = { ok: '✔', warning: '!', problem: '✖' }
/** What a run reads at once, at most, where nothing else was said. */
const concurrencyDefault = 4

export function addCheck(program: Command, io: CommandLineIo): void {
  const command = addPostgresql(program, { name: 'check', summary, example })
    .optionsGroup('Checking:')
    .option('--concurrency <n>', `parts of tables that a run reads at once (default: ${concurrencyDefault})`)
    .option('--json', 'print one JSON object')
  addConnectionOptions(addAuditLimit(command)).action(() =>
    runCheck(command.opts<Flags & { readonly json?: boolean }>(), io),
  )
}

/** @throws ExitStatus 2 if there is a problem; SyncError */
async function runCheck(flags: Flags & { readonly json?: boolean }, io: CommandLineIo): Promise<void> {
  const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
  const { source, target, concurrency } = settleSides(flags, io.env, file?.config)
  await interruptible(io, async (signal) => {
    const findings = await examine({
      source: new PostgresTriggerSource(source),
      sink: target === undefined ? undefined : new SurrealSink(target.sink),
      ...{ id: target?.id, concurrency, signal },
    })
    io.stdout.write(
      flags.json ? `${asJson(findings)}\n` : asTable(findings, target !== undefined, columnsOfTerminal(io.stdout)),
    )
    if (findings.some(({ outcome }) => outcome === 'problem')) throw new ExitStatus(2)
  })
}

function asTable(findings: readonly Finding[], whole: boolean, columns: number | undefined): string {
  const width = Math.max(...findings.map(({ id }) => widthOf(id)))
  const lay = (line: string, indent: number) => wrapped(printable(line), { columns, indent })
  const lines = findings.flatMap(({ id, outcome, message, remedy }) => [
    ...lay(`${marks[outcome]} ${padEnd(id, width)}  ${inFlags(message)}`, width + 4),
    ...(remedy === undefined ? [] : lay(`  ${' '.repeat(width)}  → ${inFlags(remedy)}`, width + 6)),
  ])
  const count = (outcome: Finding['outcome']) => findings.filter((finding) => finding.outcome === outcome).length
  const only = whole ? '' : ' The target was not looked at: name it by --to-namespace and --to-database.'
  lines.push('', ...lay(`${plural(count('problem'), 'problem')}, ${plural(count('warning'), 'warning')}.${only}`, 0))
  return `${lines.join('\n')}\n`
}

function asJson(findings: readonly Finding[]): string {
  const problems = findings.filter(({ outcome }) => outcome === 'problem').length
  return JSON.stringify({ event: 'check', problems, findings })
}
