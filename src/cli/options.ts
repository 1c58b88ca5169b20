/** The flags of the commands that replicate, with their help. */
import { type Command, Option } from 'commander'
import { logFormats, logLevels } from './log.js'
import { auditLimitPolicies } from './protection-settings.js'
import { type CommandName, defaults, deleteModes, existingModes, keylessModes, snapshotModes } from './settings.js'
import { authLevels } from './target-settings.js'
import { valueHelp } from './value-flags.js'

/** Adds every flag of this command, in groups. Nothing is read from the environment here. */
export function addOptions(command: Command, name: CommandName): Command {
  addSource(command)
  addTarget(command)
  if (name !== 'incremental') addCopying(command)
  if (name === 'full') addFull(command)
  else addIncremental(command, name)
  addProtection(command)
  return addGeneral(command).addHelpText('after', valueHelp)
}

function addProtection(command: Command): void {
  command
    .optionsGroup('Protecting the source:')
    .option('--source-connections <n>', 'connections that are open at once, at least 5')
    .option('--max-rows-per-second <n>', 'rows read in a second (default: no limit)')
    .option('--lock-timeout <duration>', 'how long a statement waits for a lock (default: 2s)')
    .option('--statement-timeout <duration>', 'how long a statement may take (default: no limit)')
    .option('--max-replication-lag <size>', 'pause copying while a standby is further behind: 64MB')
    .option('--max-audit-lag <n>', 'pause copying while another pipeline has more changes to apply')
  addAuditLimit(command)
}

/** The flags of whatever looks at the size of the change table. */
export function addAuditLimit(command: Command): Command {
  return command
    .option('--audit-limit <size>', 'size of the change table beyond which the policy holds: 20GB')
    .addOption(
      new Option('--audit-limit-policy <how>', 'warn, or remove all that is installed (default: warn)').choices(
        auditLimitPolicies,
      ),
    )
}

/** The same for those that only say how large it is. */
export function addAuditLimitSize(command: Command): Command {
  return command.option('--audit-limit <size>', 'exit with 3 if the change table is larger: 20GB')
}

/** The flags of commands that look at both sides without replicating: they read and write as the pipeline does. */
export function addConnectionOptions(command: Command): Command {
  addSource(command)
  addTarget(command)
  return command
    .optionsGroup('General:')
    .option('--config <file>', configHelp)
    .option('--no-config', 'read no such file')
    .option('--id <id>', 'name of the pipeline (default: made of the three databases)')
    .addOption(reportFormat())
    .addOption(reportLevel())
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', valueHelp)
}

/** The flags of commands that need nothing but the source. */
export function addSourceOptions(command: Command): Command {
  addSourceConnection(command)
  return command
    .option('--audit-schema <name>', auditSchemaHelp)
    .optionsGroup('General:')
    .option('--config <file>', configHelp)
    .option('--no-config', 'read no such file')
    .addOption(reportFormat())
    .addOption(reportLevel())
    .helpOption('-h, --help', 'print this help')
}

/** Of those that have a result on stdout, and log nothing else. */
function reportFormat(): Option {
  return new Option('--log-format <format>', 'format of warnings and errors (default: text)').choices(logFormats)
}

/** Whoever reports a bug is asked for more. */
function reportLevel(): Option {
  return new Option('--log-level <level>', 'debug: say also where an error came from').choices(logLevels)
}

const auditSchemaHelp = 'schema of the change table (default: public)'
const configHelp = 'what flags leave open (default: surreal-sync.config.*, if it is here)'

function addSourceConnection(command: Command): void {
  command
    .optionsGroup('Source:')
    .option('--source-uri <uri>', 'postgresql://user:password@host:5432/database (env: SOURCE_URI)')
    .option('--source-database <name>', 'database, in place of that of the URI (env: SOURCE_DATABASE)')
    .option('--source-username <name>', 'user, in place of that of the URI (env: SOURCE_USERNAME)')
    .option('--source-password <password>', 'password, in place of that of the URI (env: SOURCE_PASSWORD)')
}

function addSource(command: Command): void {
  addSourceConnection(command)
  command
    .addOption(new Option('--tables <names>', 'only these tables: users,shop.orders').conflicts('excludeTables'))
    .option('--exclude-tables <names>', 'all tables but these')
    .option('--schemas <names>', 'all tables of these schemas')
    .option('--audit-schema <name>', auditSchemaHelp)
    .addOption(
      new Option('--keyless <how>', 'tables without a key: full syncs may copy them (default: refuse)').choices(
        keylessModes,
      ),
    )
}

function addTarget(command: Command): void {
  command
    .optionsGroup('Target:')
    .option('--surreal-endpoint <url>', `address of SurrealDB (env: SURREAL_ENDPOINT, default: ${defaults.endpoint})`)
    .option('--surreal-username <name>', `user (env: SURREAL_USERNAME, default: ${defaults.username})`)
    .option('--surreal-password <password>', `password (env: SURREAL_PASSWORD, default: ${defaults.password})`)
    .option('--surreal-token <token>', 'access token, in place of user and password (env: SURREAL_TOKEN)')
    .addOption(
      new Option('--surreal-auth-level <level>', 'where the user is defined (env: SURREAL_AUTH_LEVEL)').choices(
        authLevels,
      ),
    )
    .option('--surreal-ca-file <path>', 'authority of its certificate, in PEM (env: SURREAL_CA_FILE)')
    .option('--surreal-insecure', 'accept any certificate')
    .option('--to-namespace <name>', 'namespace to write to')
    .option('--to-database <name>', 'database to write to')
    .option('--batch-size <rows>', `rows written at once (default: ${defaults.batchSize})`)
  const collect = (text: string, before: readonly string[] | undefined) => [...(before ?? []), text]
  command.option('--value <form>', 'form of values, once or more: interval=string (see below)', collect)
  command.addOption(
    new Option('--deletes <how>', 'records of rows that are gone: soft sets deleted_at (default: hard)').choices(
      deleteModes,
    ),
  )
  const how = 'what to do with a target table that holds other records'
  command.option('--quarantine', 'go on without rows that the target refuses, and keep them aside')
  command.addOption(new Option('--existing <how>', `${how} (default: refuse)`).choices(existingModes))
}

function addCopying(command: Command): void {
  command
    .optionsGroup('Copying:')
    .option('--concurrency <n>', 'parts of tables read at once (default: half the processors, at most 4)')
    .addOption(
      new Option('--snapshot <how>', 'one for all tables, or one for each part (default: auto)').choices(snapshotModes),
    )
    .option('--restart', 'copy from the start, also if a copy was cut off or finished')
}

function addFull(command: Command): void {
  command
    .optionsGroup('Checkpoints:')
    .option('--emit-checkpoints', 'capture changes from now on and save where to continue')
    .option('--checkpoint-dir <path>', `where they are saved (default: ${defaults.checkpointDir})`)
}

function addIncremental(command: Command, name: CommandName): void {
  command.optionsGroup('Changes:')
  if (name === 'incremental') {
    command
      .option('--incremental-from <position>', 't1 of the full sync: postgresql:sequence:42')
      .option('--incremental-to <position>', 'stop when everything up to here is applied')
      .option('--replay', 'start exactly there, even if more has been applied already')
  }
  command
    .option('--timeout <duration>', 'stop after 500ms, 90s, 1m, 2h of following changes (default: never)')
    .option('--checkpoint-dir <path>', `where positions are saved (default: ${defaults.checkpointDir})`)
}

function addGeneral(command: Command): Command {
  return command
    .optionsGroup('General:')
    .option('--config <file>', configHelp)
    .option('--no-config', 'read no such file')
    .option('--id <id>', 'name of this pipeline (default: made of the three databases)')
    .option('--takeover', 'begin although the same pipeline runs elsewhere, and end that run')
    .option('--dry-run', 'connect, check, print what would happen, and write nothing')
    .option('--http <address>', 'serve metrics, health and a live page: 9400, 127.0.0.1:9400')
    .addOption(new Option('--log-format <format>', 'format of the log (default: text)').choices(logFormats))
    .addOption(new Option('--log-level <level>', 'least important lines to log (default: info)').choices(logLevels))
    .addOption(new Option('--quiet', 'only warnings and errors').conflicts('logLevel'))
    .helpOption('-h, --help', 'print this help')
}
