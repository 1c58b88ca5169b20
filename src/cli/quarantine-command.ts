/** `surreal-sync quarantine list` and `surreal-sync quarantine retry`. */
import type { Command } from 'commander'
import { listQuarantine, PostgresTriggerSource, type QuarantinedRow, retryQuarantine, SurrealSink } from '../index.js'
import { ExitStatus } from './exit-status.js'
import { formatExactly, plural } from './figures.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addConnectionOptions } from './options.js'
import { printable } from './printable.js'
import type { Flags } from './settings.js'
import { settled } from './settled.js'
import { warningsTo } from './warnings.js'

type QuarantineFlags = Flags & { readonly json?: boolean }

const summaries = {
  list: 'show the rows that the target refused',
  retry: 'read them again at the source and write them',
} as const

const exampleOf = (name: keyof typeof summaries) =>
  `$ surreal-sync quarantine ${name} --to-namespace prod --to-database myapp`

export function addQuarantine(program: Command, io: CommandLineIo): void {
  const group = program
    .command('quarantine')
    .description('rows that the target refused: list, retry')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', `\nExample:\n  ${exampleOf('list')}`)
  for (const name of ['list', 'retry'] as const) {
    const command = group
      .command(name)
      .description(summaries[name])
      .addHelpText('after', `\nExample:\n  ${exampleOf(name)}`)
      .optionsGroup('Output:')
      .option('--json', 'print JSON lines')
    addConnectionOptions(command).action(() => (name === 'list' ? list : retry)(command.opts<QuarantineFlags>(), io))
  }
}

async function list(flags: QuarantineFlags, io: CommandLineIo): Promise<void> {
  const { sink, id } = await settled(flags, io)
  await interruptible(io, async (signal) => {
    const rows = await listQuarantine({ sink: new SurrealSink(sink), id, signal })
    print(io, flags, rows, { event: 'result', rows: rows.length }, plural(rows.length, 'row'))
  })
}

/** @throws ExitStatus 3 if rows are left */
async function retry(flags: QuarantineFlags, io: CommandLineIo): Promise<void> {
  const settings = await settled(flags, io)
  const { source, sink, id, transforms } = settings
  await interruptible(io, async (signal) => {
    const { tried, forgotten, left } = await retryQuarantine({
      ...{
        source: new PostgresTriggerSource(source),
        sink: new SurrealSink({ ...sink, quarantine: true }),
        id,
        transforms,
        signal,
      },
      onWarning: warningsTo(io, settings),
    })
    const lost = forgotten === 0 ? '' : `${formatExactly(forgotten)} of tables that are gone forgotten, `
    const verdict = `${plural(tried, 'row')} tried again, ${lost}${formatExactly(left.length)} left`
    print(io, flags, left, { event: 'result', tried, forgotten, left: left.length }, verdict)
    if (left.length > 0) throw new ExitStatus(3)
  })
}

function print(
  { stdout }: CommandLineIo,
  { json = false }: QuarantineFlags,
  rows: readonly QuarantinedRow[],
  result: object,
  verdict: string,
): void {
  const lines = json
    ? [...rows.map((row) => ({ event: 'row', ...row })), result].map((line) => JSON.stringify(line))
    : [...rows.map(({ table, record, reason }) => `${table}  ${record}  ${reason}`), verdict].map(printable)
  stdout.write(`${lines.join('\n')}\n`)
}
