/** What the user typed and the environment → checked settings. */
import { type Shaping, type SurrealSinkSettings, type SyncConfig, SyncError, type Transform } from '../index.js'
import { limits } from './config-schema.js'
import { type Layers, layered } from './config-settings.js'
import { parseDuration } from './duration.js'
import { checkId, choice, list, wholeNumber } from './flag-values.js'
import { type HttpAddress, parseHttpAddress } from './http-address.js'
import { type LogFormat, type LogLevel, logFormats, logLevels } from './log.js'
import { pipelineId } from './pipeline-id.js'
import { type ProtectionFlags, protectionOf } from './protection-settings.js'
import { type TargetSettings, targetDefaults, targetOf } from './target-settings.js'

export const existingModes = ['refuse', 'replace', 'keep'] as const
export const keylessModes = ['refuse', 'copy'] as const
export const snapshotModes = ['auto', 'consistent', 'chunked'] as const
export const deleteModes = ['hard', 'soft', 'ignore'] as const

export type CommandName = 'full' | 'incremental' | 'sync'

/** The flags as commander hands them over. */
export interface Flags extends ProtectionFlags {
  readonly sourceUri?: string
  readonly sourceDatabase?: string
  readonly sourceUsername?: string
  readonly sourcePassword?: string
  readonly tables?: string | readonly string[]
  readonly excludeTables?: string | readonly string[]
  readonly schemas?: string | readonly string[]
  readonly auditSchema?: string
  readonly surrealEndpoint?: string
  readonly surrealUsername?: string
  readonly surrealPassword?: string
  readonly surrealToken?: string
  readonly surrealAuthLevel?: string
  readonly surrealCaFile?: string
  readonly surrealInsecure?: boolean
  readonly toNamespace?: string
  readonly toDatabase?: string
  readonly existing?: string
  readonly quarantine?: boolean
  readonly keyless?: string
  readonly batchSize?: string
  readonly concurrency?: string
  readonly snapshot?: string
  readonly restart?: boolean
  readonly takeover?: boolean
  readonly value?: readonly string[]
  readonly deletes?: (typeof deleteModes)[number]
  readonly config?: string | boolean
  readonly id?: string
  readonly emitCheckpoints?: boolean
  readonly checkpointDir?: string
  readonly incrementalFrom?: string
  readonly incrementalTo?: string
  readonly replay?: boolean
  readonly timeout?: string
  readonly dryRun?: boolean
  readonly http?: string
  readonly logFormat?: string
  readonly logLevel?: string
  readonly quiet?: boolean
}

/** Everything that one run needs to know. */
export interface Settings {
  readonly command: CommandName
  readonly source: ReturnType<typeof protectionOf> & {
    readonly url: string
    readonly database?: string
    readonly user?: string
    readonly password?: string
    readonly tables?: readonly string[]
    readonly excludeTables?: readonly string[]
    readonly schemas?: readonly string[]
    readonly auditSchema?: string
    readonly keyless: (typeof keylessModes)[number]
    readonly snapshot: (typeof snapshotModes)[number]
    readonly shaping?: Shaping
    readonly maskSecret?: string
  }
  readonly sink: TargetSettings & {
    readonly namespace: string
    readonly database: string
    readonly existing: (typeof existingModes)[number]
    readonly quarantine: boolean
    readonly values: SurrealSinkSettings['values']
  }
  readonly id: string
  /** Undefined: what the target prefers. */
  readonly batchSize: number | undefined
  /** Undefined: what suits the machine. */
  readonly concurrency: number | undefined
  readonly transforms?: readonly Transform[]
  readonly transformConcurrency?: number
  /** Undefined: nothing is saved, and nothing is installed at the source. */
  readonly checkpointDir: string | undefined
  readonly incrementalFrom: string | undefined
  readonly incrementalTo: string | undefined
  readonly replay: boolean
  readonly restart: boolean
  readonly takeover: boolean
  readonly timeoutMs: number | undefined
  readonly dryRun: boolean
  /** Where metrics, health and the live page are served. Undefined: nowhere. */
  readonly http: HttpAddress | undefined
  readonly logFormat: LogFormat
  readonly logLevel: LogLevel
  /** Whether to show progress. */
  readonly progress: boolean
}

export const defaults = {
  ...targetDefaults,
  batchSize: 1_000,
  checkpointDir: './.surreal-sync-checkpoints',
} as const

type Environment = { readonly [name: string]: string | undefined }

/** Flags win over the environment, and that over the config. Connects to nothing. @throws SyncError `E_CONFIG` */
export function settle(command: CommandName, given: Flags, environment: Environment, config?: SyncConfig): Settings {
  const layers = layered(given, environment, config)
  const { flags, env, values, transforms, transformConcurrency } = layers
  const source = sourceOf(layers)
  const { url } = source
  const { toNamespace: namespace, toDatabase: database, incrementalFrom, incrementalTo } = flags
  const from = command === 'incremental' ? incrementalFrom : ''
  if (!url || !namespace || !database || from === undefined) {
    throw missing({
      '--source-uri': url,
      '--to-namespace': namespace,
      '--to-database': database,
      '--incremental-from': from,
    })
  }
  checkPosition('--incremental-from', incrementalFrom)
  checkPosition('--incremental-to', incrementalTo)
  const saves = command !== 'full' || flags.emitCheckpoints === true
  return {
    command,
    source: { ...source, url },
    sink: {
      ...targetOf(layers),
      namespace,
      database,
      existing: choice('--existing', existingModes, flags.existing, 'refuse'),
      quarantine: flags.quarantine === true,
      values,
    },
    id: checkId(flags.id ?? pipelineId({ source: databaseName(source, url, env), namespace, database })),
    batchSize:
      flags.batchSize === undefined ? undefined : wholeNumber('--batch-size', flags.batchSize, limits.batchSize),
    concurrency: concurrencyOf(flags),
    transforms,
    transformConcurrency,
    checkpointDir: saves ? (flags.checkpointDir ?? defaults.checkpointDir) : undefined,
    incrementalFrom,
    incrementalTo,
    replay: flags.replay === true,
    restart: flags.restart === true,
    takeover: flags.takeover === true,
    timeoutMs: flags.timeout === undefined ? undefined : parseDuration(flags.timeout, '--timeout'),
    dryRun: flags.dryRun === true,
    http: flags.http === undefined ? undefined : parseHttpAddress(flags.http),
    logFormat: choice('--log-format', logFormats, flags.logFormat, 'text'),
    logLevel: flags.quiet === true ? 'warn' : choice('--log-level', logLevels, flags.logLevel, 'info'),
    progress: flags.quiet !== true,
  }
}

/** The same for the source alone. @param shaped Whether shapes matter: otherwise nobody needs the secret of their masks. */
export function settleSource(
  given: Flags,
  environment: Environment,
  config?: SyncConfig,
  shaped = false,
): Settings['source'] {
  const layers = layered(given, environment, config)
  const source = sourceOf(shaped ? layers : { ...layers, shaping: undefined, maskSecret: undefined })
  const { url } = source
  if (!url) throw missing({ '--source-uri': url })
  databaseOf(url)
  return { ...source, url }
}

/** @throws SyncError `E_CONFIG` */
export function concurrencyOf({ concurrency }: Flags): number | undefined {
  return concurrency === undefined ? undefined : wholeNumber('--concurrency', concurrency, limits.concurrency)
}

function sourceOf({ flags, env, shaping, maskSecret }: Layers): Omit<Settings['source'], 'url'> & { url?: string } {
  const variable = (name: string) => (env[name] === '' ? undefined : env[name])
  return {
    // The rest of what libpq reads then says where.
    url: flags.sourceUri ?? variable('SOURCE_URI') ?? (env.PGHOST || env.PGDATABASE ? 'postgresql://' : undefined),
    database: flags.sourceDatabase ?? variable('SOURCE_DATABASE'),
    user: flags.sourceUsername ?? variable('SOURCE_USERNAME'),
    password: flags.sourcePassword ?? variable('SOURCE_PASSWORD'),
    tables: list('--tables', flags.tables),
    excludeTables: list('--exclude-tables', flags.excludeTables),
    schemas: list('--schemas', flags.schemas),
    auditSchema: flags.auditSchema,
    ...protectionOf(flags),
    keyless: choice('--keyless', keylessModes, flags.keyless, 'refuse'),
    snapshot: choice('--snapshot', snapshotModes, flags.snapshot, 'auto'),
    shaping,
    maskSecret,
  }
}

function databaseName(source: { readonly database?: string; readonly user?: string }, url: string, env: Environment) {
  return source.database ?? databaseOf(url) ?? (env.PGDATABASE || (source.user ?? env.PGUSER ?? ''))
}

/** The database that a connection string names. */
function databaseOf(text: string): string | undefined {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw badSource('cannot be parsed')
  }
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:')
    throw badSource('does not begin with postgresql://')
  return decoded(url.pathname.slice(1)) || url.searchParams.get('dbname') || decoded(url.username) || undefined
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw badSource('contains a % that is not followed by two hexadecimal digits')
  }
}

function badSource(what: string): SyncError {
  return new SyncError('E_CONFIG', `The source URI ${what}`, {
    hint: 'Write it like postgresql://user:password@host:5432/database.',
  })
}

function missing(flags: { readonly [flag: string]: string | undefined }): SyncError {
  const names = Object.keys(flags).filter(
    (flag) => flags[flag] === undefined || (flag !== '--incremental-from' && !flags[flag]),
  )
  const hint = names.includes('--source-uri')
    ? 'The source URI may also stand in the variable SOURCE_URI.'
    : names.includes('--incremental-from')
      ? 'Pass t1 of the full sync, or run surreal-sync sync, which knows where to go on.'
      : 'They say where in SurrealDB the tables go.'
  return new SyncError('E_CONFIG', `Missing ${names.join(', ')}`, { hint })
}

/** The source knows what a position is; this knows what scripts print when there was no checkpoint file. */
function checkPosition(flag: string, text: string | undefined): void {
  if (text === undefined || !/^(?:.*:)?\s*(?:null|undefined)?\s*$/.test(text)) return
  throw new SyncError('E_CONFIG', `${flag} contains no position`, {
    hint: 'Is there a checkpoint file, and does it have .checkpoint.PostgreSQL.sequence? Write postgresql:sequence:42.',
  })
}
