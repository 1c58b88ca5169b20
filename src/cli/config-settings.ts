/** What a config file says, beneath flags and environment. */
import type { Deletes, Shaping, SurrealSinkSettings, SyncConfig, Transform } from '../index.js'
import { withSecretFiles } from './secret-files.js'
import type { Flags } from './settings.js'
import { parseValues } from './value-flags.js'

type Environment = { readonly [name: string]: string | undefined }

/** What is chosen by flags, environment and file together. */
export interface Layers {
  readonly flags: Flags
  readonly env: Environment
  readonly values: SurrealSinkSettings['values']
  readonly shaping: Shaping | undefined
  readonly maskSecret: string | undefined
  readonly transforms: readonly Transform[] | undefined
  readonly transformConcurrency: number | undefined
}

export function layered(flags: Flags, env: Environment, config: SyncConfig = {}): Layers {
  const { tables, batchSize, concurrency, transforms, transformConcurrency, quiet, logLevel } = config
  const shapes = isShaping(tables) ? tables : undefined
  const deletes = flags.deletes ?? config.deletes
  const inFile: Flags = {
    ...config,
    tables: shapes === undefined ? (tables as readonly string[] | undefined) : Object.keys(shapes),
    batchSize: batchSize === undefined ? undefined : String(batchSize),
    concurrency: concurrency === undefined ? undefined : String(concurrency),
    // Each of the two flags stands for the other as well.
    quiet: flags.logLevel === undefined ? quiet : undefined,
    logLevel: flags.quiet === true ? undefined : logLevel,
    sourceConnections: digits(config.sourceConnections),
    maxRowsPerSecond: digits(config.maxRowsPerSecond),
    maxAuditLag: digits(config.maxAuditLag),
    deletes: undefined,
  }
  const variables = {
    SOURCE_URI: config.sourceUri,
    SOURCE_DATABASE: config.sourceDatabase,
    SOURCE_USERNAME: config.sourceUsername,
    SOURCE_PASSWORD: config.sourcePassword,
    SURREAL_ENDPOINT: config.surrealEndpoint,
    SURREAL_USERNAME: config.surrealUsername,
    SURREAL_PASSWORD: config.surrealPassword,
    SURREAL_TOKEN: config.surrealToken,
    SURREAL_AUTH_LEVEL: config.surrealAuthLevel,
    SURREAL_CA_FILE: config.surrealCaFile,
    MASK_SECRET: config.maskSecret,
  }
  const inEnvironment = { ...variables, ...present(withSecretFiles(env), (text) => text !== '') }
  return {
    flags: { ...withoutVariables(inFile), ...present(flags) },
    env: inEnvironment,
    values: parseValues(flags.value) ?? config.values,
    shaping: shapingOf(shapes, deletes),
    maskSecret: inEnvironment.MASK_SECRET,
    transforms,
    transformConcurrency,
  }
}

function digits(number: number | undefined): string | undefined {
  return number === undefined ? undefined : String(number)
}

function isShaping(tables: SyncConfig['tables']): tables is Shaping {
  return tables !== undefined && !Array.isArray(tables)
}

/** What holds for all tables comes first, under a pattern of all that no other entry is likely to have. */
function shapingOf(shapes: Shaping | undefined, deletes: Deletes | undefined): Shaping | undefined {
  return deletes === undefined ? shapes : { '**': { deletes }, ...shapes }
}

/** Those for which there is a variable come by way of it, so that a variable that is set counts more. */
function withoutVariables(flags: Flags): Flags {
  const {
    sourceUri: _uri,
    sourceDatabase: _database,
    sourceUsername: _user,
    sourcePassword: _password,
    surrealEndpoint: _endpoint,
    surrealUsername: _username,
    surrealPassword: _secret,
    surrealToken: _token,
    surrealAuthLevel: _level,
    surrealCaFile: _ca,
    ...others
  } = flags
  return others
}

/** The members that are there. */
function present<T extends object>(of: T, isGiven: (value: unknown) => boolean = () => true): Partial<T> {
  const given = Object.entries(of).filter(([, value]) => value !== undefined && isGiven(value))
  return Object.fromEntries(given) as Partial<T>
}
