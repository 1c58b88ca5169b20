/** Holds the audit table to its limit. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import { type AuditSize, isFull, readAuditSize } from './audit-size.js'
import type { Connections } from './connections.js'
import type { ProtectionOptions } from './protection.js'
import { prune } from './pruning.js'
import type { AuditNames } from './schema.sql.js'
import { teardown } from './teardown.js'

/** What became of the audit table: see `PostgresTriggerSource.enforceAuditLimit`. */
export interface AuditLimitOutcome {
  /**
   * `within`: it is no larger than its limit, or is not there. `exceeded`: it is larger, and left as it is. `detached`: it was
   * removed, with everything that captures changes.
   */
  readonly state: 'within' | 'exceeded' | 'detached'
  /** What it takes, or took, its index included. */
  readonly bytes: number
  /** About how much of that is changes that a registered pipeline has not applied yet; all, if none is registered. */
  readonly neededBytes: number
  /** How many changes were removed on the way, which every pipeline had applied. */
  readonly pruned: number
}

export interface AuditLimitContext extends Pick<ProtectionOptions, 'auditLimitPolicy'> {
  readonly connections: Connections
  readonly names: AuditNames
  readonly auditSchema: string
  readonly auditBytesMax: number
  readonly warn: (warning: SyncWarning) => void
  readonly signal?: AbortSignal
}

/** What the audit table takes after everything that nobody needs any more was removed from it. */
export async function relieve(
  { connections, names, signal }: Pick<AuditLimitContext, 'connections' | 'names' | 'signal'>,
  bytesMax: number,
): Promise<Pick<AuditLimitOutcome, 'bytes' | 'neededBytes' | 'pruned'>> {
  const read = async (pruned: number) => {
    const { bytes, neededBytes } = await measure(connections, names)
    return { bytes, neededBytes, pruned }
  }
  const before = await read(0)
  return before.bytes <= bytesMax ? before : read(await prune(connections, names, { signal }))
}

/** How large it is, if it is there. */
export async function measure(connections: Connections, names: AuditNames): Promise<AuditSize> {
  const size = await connections.use((session) => session.within('look', () => readAuditSize(session, names)))
  return size ?? { bytes: 0, neededBytes: 0, keptBytes: 0 }
}

/** @throws SyncError `E_CONFIG` */
export function limitOf(options: ProtectionOptions): Pick<AuditLimitContext, 'auditBytesMax' | 'auditLimitPolicy'> {
  const { auditBytesMax, auditLimitPolicy } = options
  if (auditBytesMax !== undefined) return { auditBytesMax, auditLimitPolicy }
  throw new SyncError('E_CONFIG', 'There is no limit of the audit table', { hint: 'Set `auditBytesMax`.' })
}

/** @throws SyncError as {@link teardown} */
export async function enforceAuditLimit(context: AuditLimitContext): Promise<AuditLimitOutcome> {
  const { connections, names, auditBytesMax, auditLimitPolicy = 'warn' } = context
  if (auditLimitPolicy === 'warn') {
    const { bytes, neededBytes } = await measure(connections, names)
    return { state: bytes > auditBytesMax ? 'exceeded' : 'within', bytes, neededBytes, pruned: 0 }
  }
  const size = await relieve(context, auditBytesMax)
  if (size.bytes <= auditBytesMax) return { state: 'within', ...size }
  if (!isFull(size, auditBytesMax)) return { state: 'exceeded', ...size }
  const at = new Date().toISOString()
  await teardown({ ...context, detachment: { at, bytes: size.bytes, bytesMax: auditBytesMax } })
  return { state: 'detached', ...size }
}
