/** What keeps a run from harming its source. */
import { SyncError } from '../../core/errors.js'

/** How much a run may take of its source. */
export interface ProtectionOptions {
  /**
   * How many connections one run has open at most; at least 5. A full sync reads as many parts of tables at once as
   * these allow, however many `concurrency` asks for: four are for everything else. @defaultValue `concurrency` and four more
   */
  readonly connectionsMax?: number
  /**
   * How many rows are read in a second, on average over all connections: by a full sync, and of rows that changed. What is
   * read slowly is locked and seen in one snapshot for longer. @defaultValue as many as there are
   */
  readonly maxRowsPerSecond?: number
  /**
   * How long one statement of a run may take, in milliseconds, waiting for the target included: a statement reads up to 64 MiB
   * of a table. What takes longer is tried again. @defaultValue no limit
   */
  readonly statementTimeoutMs?: number
  /**
   * A full sync begins no further part of a table while a physical standby, or a consumer of logical replication, has not yet
   * replayed more than so many bytes of the log (`source_paused`, `source_resumed`). Takes the role pg_monitor to see it.
   * @defaultValue no limit
   */
  readonly replicationLagBytesMax?: number
  /**
   * A full sync begins no further part of a table while another pipeline of this source, which follows changes, has more than
   * so many of them still to apply (`source_paused`, `source_resumed`): the audit table keeps what that one needs. One that
   * does not run, or copies itself, is not waited for. @defaultValue no limit
   */
  readonly auditLagMax?: number
  /**
   * What the audit table may take, its index included. Looked at every five seconds while a run goes on; otherwise by
   * `enforceAuditLimit` and `examine`. @defaultValue no limit
   */
  readonly auditBytesMax?: number
  /**
   * What happens beyond that. `warn`: a warning (`audit_limit`). `detach`: while what is kept takes more than half of the limit,
   * what every pipeline has applied is removed, also if it is younger than `pruneAfterMs`; if as much is still needed then, the
   * run ends with `E_AUDIT_DETACHED`, and everything that was installed in the source is removed, so that its disk cannot fill
   * up; all pipelines of this source then need a new full sync. Where this role may not remove that, the run warns of it once
   * (`audit_not_detached`), and goes on. @defaultValue `warn`
   */
  readonly auditLimitPolicy?: AuditLimitPolicy
}

/** What happens when the audit table is larger than its limit. */
export type AuditLimitPolicy = 'warn' | 'detach'

/** For the lease, the snapshot or delta, positions, and looking after the source. */
const reservedConnections = 4

/** @throws SyncError `E_CONFIG` */
export function checkProtection(options: ProtectionOptions): void {
  const { connectionsMax, maxRowsPerSecond, statementTimeoutMs, replicationLagBytesMax, auditLagMax, auditBytesMax } =
    options
  if (options.auditLimitPolicy === 'detach' && auditBytesMax === undefined) {
    throw new SyncError('E_CONFIG', '`auditLimitPolicy` is detach, but there is no limit', {
      hint: 'Say with `auditBytesMax` how large the audit table may become.',
    })
  }
  const least = { connectionsMax: reservedConnections + 1 }
  const lags = { replicationLagBytesMax, auditLagMax }
  const numbers = { connectionsMax, maxRowsPerSecond, statementTimeoutMs, ...lags, auditBytesMax }
  for (const [name, value] of Object.entries(numbers)) {
    const min = name === 'connectionsMax' ? least.connectionsMax : 1
    if (value === undefined || (Number.isSafeInteger(value) && value >= min)) continue
    throw new SyncError('E_CONFIG', `\`${name}\` must be a whole number of at least ${min}`)
  }
}

/** How many parts of tables may be read at once. */
export function readersOf({ connectionsMax }: ProtectionOptions): number | undefined {
  return connectionsMax === undefined ? undefined : connectionsMax - reservedConnections
}
