/** What a config file may contain. */

import type { AuthLevel } from '../connections/surreal/dial.js'
import type { Deletes, Shaping, Transform } from '../core/shaping.js'
import type { ExistingRecords } from '../sinks/surreal/ownership.js'
import type { ValueSettings } from '../sinks/surreal/value-choices.js'
import type { AuditLimitPolicy } from '../sources/postgres/protection.js'
import type { SnapshotMode } from '../sources/postgres/snapshot.js'
import type { KeylessTables } from '../sources/postgres/table-selection.js'

/**
 * The content of `surreal-sync.config.ts`, and of the same file as JavaScript, JSON or YAML. Names are those of the command
 * line's flags, and mean the same; a flag overrides the environment, which overrides the file. In every text `${NAME}`
 * stands for an environment variable, which must be set; `$${NAME}` stays as it is but for one dollar sign.
 */
export interface SyncConfig {
  /** For editors: `./node_modules/surreal-sync/config.schema.json`. */
  readonly $schema?: string
  /** `postgresql://user:password@host:5432/database` */
  readonly sourceUri?: string
  /** In place of that of the URI. */
  readonly sourceDatabase?: string
  readonly sourceUsername?: string
  readonly sourcePassword?: string
  /** Which tables, and how each is shaped. A flag `--tables` chooses other tables, which keep their shapes. */
  readonly tables?: readonly string[] | Shaping
  readonly excludeTables?: readonly string[]
  readonly schemas?: readonly string[]
  readonly auditSchema?: string
  readonly keyless?: KeylessTables
  readonly snapshot?: SnapshotMode
  /** The secret of masks that are hashes. No flag; the variable is MASK_SECRET. */
  readonly maskSecret?: string
  readonly surrealEndpoint?: string
  readonly surrealUsername?: string
  readonly surrealPassword?: string
  /** An access token (JWT), in place of user and password. */
  readonly surrealToken?: string
  /** Where the user is defined; all three are tried otherwise. */
  readonly surrealAuthLevel?: AuthLevel
  /** The path of a file with the authority of its certificate. */
  readonly surrealCaFile?: string
  /** Accept any certificate. */
  readonly surrealInsecure?: boolean
  readonly toNamespace?: string
  readonly toDatabase?: string
  readonly existing?: ExistingRecords
  readonly quarantine?: boolean
  readonly batchSize?: number
  /** Forms of values, as `--value` chooses them: `{ interval: 'string', types: {…}, columns: {…} }`. */
  readonly values?: ValueSettings
  /** For tables whose shape does not say otherwise. */
  readonly deletes?: Deletes
  readonly concurrency?: number
  /** Reshape the rows of all tables, in this order, after what the tables' shapes do. */
  readonly transforms?: readonly Transform[]
  /** On how many batches transforms work at once. */
  readonly transformConcurrency?: number
  /** Connections to the source that are open at once, at least 5. */
  readonly sourceConnections?: number
  /** Rows read from the source in a second. */
  readonly maxRowsPerSecond?: number
  /** How long a statement waits for a lock: `2s`. */
  readonly lockTimeout?: string
  /** How long a statement may take: `10m`. */
  readonly statementTimeout?: string
  /** Pause copying while a standby is further behind: `64MB`. */
  readonly maxReplicationLag?: string
  /** Pause copying while another pipeline of this source has more changes still to apply. */
  readonly maxAuditLag?: number
  /** Size of the change table beyond which the policy holds: `20GB`. */
  readonly auditLimit?: string
  /** What happens then. */
  readonly auditLimitPolicy?: AuditLimitPolicy
  readonly emitCheckpoints?: boolean
  readonly checkpointDir?: string
  /** `90s`, `1m`, `2h` */
  readonly timeout?: string
  readonly id?: string
  /** Where to serve metrics, health and a live page: `127.0.0.1:9400`, or a port of this machine alone: `9400` */
  readonly http?: string
  readonly logFormat?: 'text' | 'json'
  readonly logLevel?: 'error' | 'warn' | 'info' | 'debug'
  readonly quiet?: boolean
}

/** The config itself: gives editors its type. */
export function defineConfig(config: SyncConfig): SyncConfig {
  return config
}
