/** The options of the PostgreSQL source. */

import type { PostgresPassword } from '../../connections/postgres/connection-settings.js'
import type { PostgresTlsOptions } from '../../connections/postgres/tls-settings.js'
import type { TriggerLevel } from './capture-function.js'
import type { ProtectionOptions } from './protection.js'
import type { SnapshotMode } from './snapshot.js'
import type { KeylessTables } from './table-selection.js'
import type { ShapingOptions } from './table-shape.js'

/** What a {@link PostgresTriggerSource} reads, and how. Only `url` is required. */
export interface PostgresTriggerSourceOptions extends ShapingOptions, ProtectionOptions {
  /**
   * `postgresql://user:password@host:port/database?sslmode=…`. What is missing is taken from PGHOST, PGPORT, PGUSER,
   * PGDATABASE, PGPASSWORD, PGPASSFILE or `~/.pgpass`, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT and PGSSLKEY. Without `sslmode`:
   * verified TLS; near hosts (loopback, private addresses, single-label names) that offer no TLS are used without it, with
   * a warning.
   */
  readonly url: string
  /** Replaces the database of the url. */
  readonly database?: string
  /** Replaces the user of the url. */
  readonly user?: string
  /**
   * Replaces the password of the url. A function is called for every new connection, for tokens that expire; if it
   * fails, the run tries again (`E_PASSWORD`), unless what it throws is a `SyncError` that says otherwise.
   */
  readonly password?: PostgresPassword
  /** TLS, in place of what the url says of it. */
  readonly tls?: PostgresTlsOptions
  /** `name` or `schema.name`, also with `*` and `?`. @defaultValue all tables with a key in all selected schemas */
  readonly tables?: readonly string[]
  /** Tables to leave out, in the same form. */
  readonly excludeTables?: readonly string[]
  /** @defaultValue all schemas but PostgreSQL's own */
  readonly schemas?: readonly string[]
  /**
   * Tables without a primary key, and without a unique index on columns that are not NULL. `refuse`: they are left out with
   * a warning, and refused where they are named. `copy`: full syncs copy them, with the places where their rows are stored
   * (`ctid`) as record ids; their changes are not followed. @defaultValue `refuse`
   */
  readonly keyless?: KeylessTables
  /**
   * How a full sync sees the tables. `consistent`: all in one snapshot, which until the end of the copy keeps statements
   * waiting that alter or truncate one of them, and keeps vacuum from removing what was deleted meanwhile. `chunked`: each
   * part in a snapshot of its own; needs captured changes, whose replay makes the copy consistent. `auto`: `chunked` where
   * changes are captured, else `consistent`. @defaultValue `auto`
   */
  readonly snapshot?: SnapshotMode
  /** Where the audit table and the capture functions are. @defaultValue `public` */
  readonly auditSchema?: string
  /**
   * How long a statement of ours waits for a lock, in milliseconds, and so at most keeps others waiting behind it. A table
   * that is locked for longer is tried again later. @defaultValue 2,000
   */
  readonly lockTimeoutMs?: number
  /**
   * `row`: a trigger for each changed row, which sees every write. `statement`: one for each statement, which costs the
   * source less for bulk writes and more for single rows, and misses what logical replication applies to the table and
   * what is written into a partition before its triggers are there. Tables that inherit or are inherited from get row
   * triggers in any case. @defaultValue `row`
   */
  readonly triggerLevel?: TriggerLevel
  /**
   * Also install an event trigger that follows ALTER TABLE at once, so that writers do not fail for the second until this
   * source has noticed that a key column was renamed or got another type. Only a superuser can. @defaultValue false
   */
  readonly eventTrigger?: boolean
  /**
   * While following, remove audit rows that every consumer has passed and that are older than this, now and then. Keep
   * them for as long as the target might be restored from a backup. Younger ones go, too, where `auditLimitPolicy` is `detach`
   * and the table is beyond its limit. @defaultValue never; see {@link PostgresTriggerSource.prune}
   */
  readonly pruneAfterMs?: number
}
