/** The commands. */
import { Command } from 'commander'
import { addCheck } from './check-command.js'
import { loadConfig } from './config-file.js'
import { runDemonstration } from './demonstration.js'
import type { CommandLineIo } from './io.js'
import { addOptions } from './options.js'
import { addPlan } from './plan-command.js'
import { addPostgresql } from './postgresql-command.js'
import { addQuarantine } from './quarantine-command.js'
import { addRepair } from './repair-command.js'
import { runReplication } from './replication.js'
import { addResync } from './resync-command.js'
import { type CommandName, type Flags, settle } from './settings.js'
import { addUpkeep } from './upkeep-commands.js'
import { addVerification } from './verification-command.js'
import { version } from './version.js'

const helpWidth = 80

const usages: { readonly [name in CommandName]: string } = {
  full: '$ surreal-sync full postgresql --to-namespace prod --to-database myapp \\\n      --emit-checkpoints',
  incremental: `$ surreal-sync incremental postgresql --to-namespace prod \\
      --to-database myapp --incremental-from postgresql:sequence:42 --timeout 1m`,
  sync: '$ surreal-sync sync postgresql --to-namespace prod --to-database myapp',
}

const summaries: { readonly [name in CommandName]: string } = {
  full: 'copy whole tables',
  incremental: 'apply the changes made since a full sync',
  sync: 'full sync, then follow changes; continues where it stopped',
}

const introduction = 'Replicates PostgreSQL tables into SurrealDB.'

const examples = `
Examples:
  $ export SOURCE_URI=postgresql://postgres:postgres@localhost:5432/myapp
  $ export SURREAL_ENDPOINT=ws://localhost:8000

  Copy everything and stay in step with it:
  $ surreal-sync sync postgresql --to-namespace prod --to-database myapp

  The same in two steps:
  $ surreal-sync full postgresql --to-namespace prod --to-database myapp \\
      --emit-checkpoints
  $ NUM=$(jq -r .checkpoint.PostgreSQL.sequence \\
      .surreal-sync-checkpoints/checkpoint_full_sync_start_*.json)
  $ surreal-sync incremental postgresql --to-namespace prod \\
      --to-database myapp --incremental-from postgresql:sequence:$NUM \\
      --timeout 1m

  See it work, without any database of your own:
  $ surreal-sync demo
`

const exitCodes = `
Exit codes:
  0  done, also after SIGINT, SIGTERM or the timeout
  1  a bug in surreal-sync
  2  refused: something has to be changed first
  3  verify found differences; repair or quarantine retry left some; the audit
     table is larger than its limit, or was removed for it
  4  failed: trying again later may help
  5  the same pipeline runs elsewhere

Logs, progress and errors go to stderr; only what was asked for (help, the
version, the plan of a dry run) goes to stdout.
`

/** Each command does its work when it is parsed. Nothing calls `process.exit`: errors are thrown. */
export function createProgram(io: CommandLineIo): Command {
  const program = new Command('surreal-sync')
    .description(introduction)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined,
      getOutHelpWidth: () => helpWidth,
      getErrHelpWidth: () => helpWidth,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', `${examples}${exitCodes}`)
  addPlan(program, io)
  addCheck(program, io)
  for (const name of ['full', 'incremental', 'sync'] as const) addReplication(program, name, io)
  addVerification(program, io)
  addRepair(program, io)
  addQuarantine(program, io)
  addResync(program, io)
  addUpkeep(program, io)
  program
    .command('demo')
    .description('replicate a demonstration shop between temporary databases')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', '\nExample:\n  $ surreal-sync demo')
    .action(() => runDemonstration(io))
  return program
}

function addReplication(program: Command, name: CommandName, io: CommandLineIo): void {
  const command = addPostgresql(program, { name, summary: summaries[name], example: usages[name] })
  addOptions(command, name).action(async () => {
    const flags = command.opts<Flags>()
    const file = await loadConfig(flags.config, io.folder ?? process.cwd(), io.env)
    await runReplication(settle(name, flags, io.env, file?.config), io, file?.path)
  })
}
