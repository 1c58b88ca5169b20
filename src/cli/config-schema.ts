/** The JSON Schema of config files, as far as files without code can say it. */

/** The part of JSON Schema (draft 2020-12) that config files need. */
export interface ConfigSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean' | 'null'
  readonly description?: string
  readonly enum?: readonly string[]
  readonly anyOf?: readonly ConfigSchema[]
  readonly items?: ConfigSchema
  readonly properties?: { readonly [name: string]: ConfigSchema }
  readonly additionalProperties?: ConfigSchema | false
  readonly required?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly minProperties?: number
  /** No JSON Schema: a function, or something made of functions, that only a file with code can have. */
  readonly code?: true
}

const text = (description: string) => ({ type: 'string', minLength: 1, description }) as const
const oneOf = <T extends string>(words: readonly T[], description: string) => ({ enum: words, description }) as const
const whole = (maximum: number, description: string) => ({ type: 'integer', minimum: 1, maximum, description }) as const
const flag = (description: string) => ({ type: 'boolean', description }) as const
const object = (properties: { readonly [name: string]: ConfigSchema }, description: string) =>
  ({ type: 'object', properties, additionalProperties: false, description }) as const
const map = (of: ConfigSchema, description: string) =>
  ({ type: 'object', additionalProperties: of, description }) as const
const names = (description: string) =>
  ({ type: 'array', items: { type: 'string', minLength: 1 }, description }) as const
const code = (description: string) => ({ code: true, description }) as const

const deletes: ConfigSchema = {
  description: 'What becomes of records whose rows are gone',
  anyOf: [
    { enum: ['hard', 'soft', 'ignore'] },
    { ...object({ soft: text('The field that is set') }, 'A field of another name'), required: ['soft'] },
  ],
}

const mask: ConfigSchema = {
  description: 'What takes the place of a value',
  anyOf: [
    { enum: ['hash', 'null'] },
    { type: 'null' },
    {
      ...object({ truncate: { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 } }, 'The first characters'),
      required: ['truncate'],
    },
    code('A function of the value'),
  ],
}

const computed: ConfigSchema = {
  description: 'What works out a field from its row',
  anyOf: [
    { ...object({ sql: text('An SQL expression, which PostgreSQL evaluates') }, 'In SQL'), required: ['sql'] },
    code('A function of the row'),
  ],
}

const table = object(
  {
    as: text('Name of the table in the target'),
    columns: names('Only these columns, with * and ?; those of the key always stay'),
    excludeColumns: names('All columns but these, with * and ?'),
    where: text('Only rows for which this SQL expression is true'),
    rename: map(text('Name of the column in the target'), 'Names of columns in the target'),
    mask: map(mask, 'What takes the place of the values of columns, with * and ?'),
    compute: map(computed, 'Fields worked out from the row, by the names of the target'),
    transform: code('A function that reshapes rows'),
    deletes,
  },
  'How the rows of a table are shaped',
)

const valueForms = {
  nulls: oneOf(['null', 'none'], 'NULL as null, or as no field'),
  interval: oneOf(['duration', 'string', 'object'], 'Intervals'),
  date: oneOf(['datetime', 'string'], 'Dates'),
  uuid: oneOf(['uuid', 'string'], 'UUIDs'),
  ranges: oneOf(['range', 'object'], 'Ranges'),
  geometry: oneOf(['geometry', 'object'], 'Geometries'),
  numericOverflow: oneOf(['string', 'float', 'error'], 'Numbers beyond 96 bits or 28 decimal places'),
  infinity: oneOf(['string', 'null', 'error'], 'Infinite or too distant times'),
} as const
const forms = object(valueForms, 'Forms of values')
const values = object(
  {
    ...valueForms,
    types: map(forms, 'For the columns of a type'),
    columns: map(forms, 'For one column: public.events.took'),
  },
  'Forms of values',
)

/** The largest numbers are those of the flags. */
export const limits = { batchSize: 100_000, concurrency: 64 } as const

export const configProperties = {
  $schema: text('The schema of this file, for editors'),
  sourceUri: text('postgresql://user:password@host:5432/database'),
  sourceDatabase: text('Database, in place of that of the URI'),
  sourceUsername: text('User, in place of that of the URI'),
  sourcePassword: text('Password, in place of that of the URI'),
  tables: {
    description: 'Which tables, and how each is shaped',
    anyOf: [names('Only these tables'), { ...map(table, 'Only these tables, with their shapes'), minProperties: 1 }],
  },
  excludeTables: names('All tables but these'),
  schemas: names('All tables of these schemas'),
  auditSchema: text('Schema of the change table'),
  keyless: oneOf(['refuse', 'copy'], 'Tables without a key'),
  snapshot: oneOf(['auto', 'consistent', 'chunked'], 'How a full sync sees the tables'),
  maskSecret: { ...text('Secret of masks that are hashes'), minLength: 16 },
  surrealEndpoint: text('Address of SurrealDB'),
  surrealUsername: text('User'),
  surrealPassword: text('Password'),
  surrealToken: text('Access token, in place of user and password'),
  surrealAuthLevel: oneOf(['root', 'namespace', 'database'], 'Where the user is defined'),
  surrealCaFile: text('Authority of its certificate, in PEM'),
  surrealInsecure: flag('Accept any certificate'),
  toNamespace: text('Namespace to write to'),
  toDatabase: text('Database to write to'),
  existing: oneOf(['refuse', 'replace', 'keep'], 'What to do with a target table that holds other records'),
  quarantine: flag('Go on without rows that the target refuses, and keep them aside'),
  batchSize: whole(limits.batchSize, 'Rows written at once'),
  values,
  deletes,
  concurrency: whole(limits.concurrency, 'Parts of tables read at once'),
  transforms: code('Functions that reshape the rows of all tables'),
  transformConcurrency: whole(limits.concurrency, 'Batches that transforms work on at once'),
  sourceConnections: { ...whole(10_000, 'Connections to the source that are open at once'), minimum: 5 },
  maxRowsPerSecond: whole(1_000_000_000, 'Rows read from the source in a second'),
  lockTimeout: text('How long a statement waits for a lock: 2s'),
  statementTimeout: text('How long a statement may take: 10m'),
  maxReplicationLag: text('Pause copying while a standby is further behind: 64MB'),
  maxAuditLag: whole(
    1_000_000_000,
    'Pause copying while another pipeline of this source has more changes still to apply',
  ),
  auditLimit: text('Size of the change table beyond which the policy holds: 20GB'),
  auditLimitPolicy: oneOf(['warn', 'detach'], 'Warn, or remove all that is installed'),
  emitCheckpoints: flag('Capture changes from now on and save where to continue'),
  checkpointDir: text('Where checkpoints are saved'),
  timeout: text('Stop after 500ms, 90s, 1m, 2h of following changes'),
  id: text('Name of this pipeline'),
  http: text('Where to serve metrics, health and a live page: 127.0.0.1:9400'),
  logFormat: oneOf(['text', 'json'], 'Format of the log'),
  logLevel: oneOf(['error', 'warn', 'info', 'debug'], 'Least important lines to log'),
  quiet: flag('Only warnings and errors'),
} as const satisfies { readonly [name: string]: ConfigSchema }

export const configSchema: ConfigSchema = object(configProperties, 'Configuration of surreal-sync')

/** What is published: without what only code can say. */
export function publishedSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'surreal-sync.config',
    ...(JSON.parse(JSON.stringify(configSchema, withoutCode)) as object),
  }
}

function withoutCode(_: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => !isCode(one))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([, one]) => !isCode(one)))
}

function isCode(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'code' in value
}
