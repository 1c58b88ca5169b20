/** `surreal-sync plan`. */
import type { Command } from 'commander'
import { describeMapping, PostgresTriggerSource, SurrealSink, SyncError } from '../index.js'
import { loadConfig } from './config-file.js'
import { isEmbedded } from './connections.js'
import { interruptible } from './interruptible.js'
import type { CommandLineIo } from './io.js'
import { addConnectionOptions } from './options.js'
import { type PlanParts, planReport, planReportAsJson } from './plan-report.js'
import { addPostgresql } from './postgresql-command.js'
import type { Flags } from './settings.js'
import { type Sides, settleSides } from './sides.js'
import { columnsOfTerminal } from './wrapped.js'

interface PlanFlags extends Flags {
  readonly json?: boolean
  readonly sql?: boolean
  readonly role?: string
}

const summary = 'say what would be installed and copied; change nothing'
const example = `$ surreal-sync plan postgresql
  $ surreal-sync plan postgresql --sql --role replicator > install.sql`

/** No row is read, so nobody needs the secret of masks. */
const noSecret = { MASK_SECRET: 'a plan hashes no values', MASK_SECRET_FILE: undefined }

export function addPlan(program: Command, io: CommandLineIo): void {
  const command = addPostgresql(program, { name: 'plan', summary, example })
    .optionsGroup('Planning:')
    .option('--sql', 'print the script that installs everything, for a DBA to run')
    .option('--role <name>', 'with --sql: grant this role what running pipelines takes')
    .option('--json', 'print one JSON object')
  addConnectionOptions(command).action(() => runPlan(command.opts<PlanFlags>(), io))
}

async function runPlan(flags: PlanFlags, io: CommandLineIo): Promise<void> {
  const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
  const sides = settleSides(flags, { ...io.env, ...noSecret }, file?.config)
  const source = new PostgresTriggerSource(sides.source)
  if (flags.role !== undefined && !flags.sql) throw new SyncError('E_CONFIG', '--role belongs to --sql')
  if (flags.role?.trim() === '') throw new SyncError('E_CONFIG', '--role names nothing')
  if (flags.json && flags.sql) throw new SyncError('E_CONFIG', '--sql and --json do not go together')
  if (flags.sql) {
    io.stdout.write(await source.installSql({ role: flags.role }))
    return
  }
  await interruptible(io, async (signal) => {
    const plan = await source.plan()
    const tables = plan.tables.map(({ table }) => table)
    const parts: PlanParts = {
      address: source.address,
      plan,
      mapping: describeMapping(tables, { values: sides.values }),
      target: sides.target?.sink,
      content: await survey(sides, tables, signal),
    }
    io.stdout.write(flags.json ? `${planReportAsJson(parts)}\n` : planReport(parts, columnsOfTerminal(io.stdout)))
  })
}

/** Opening a database in files would create or change those files. */
async function survey({ target }: Sides, tables: Parameters<SurrealSink['survey']>[0], signal: AbortSignal) {
  if (target === undefined || isEmbedded(target.sink.url)) return undefined
  return new SurrealSink(target.sink).survey(tables, target.id, { signal })
}
