/** The flags that keep a run from harming its source. */
import { type AuditLimitPolicy, type ProtectionOptions, SyncError } from '../index.js'
import { parseDuration } from './duration.js'
import { formatExactly } from './figures.js'
import type { Flags } from './settings.js'

export const auditLimitPolicies = ['warn', 'detach'] as const satisfies readonly AuditLimitPolicy[]

export interface ProtectionFlags {
  readonly sourceConnections?: string
  readonly maxRowsPerSecond?: string
  readonly lockTimeout?: string
  readonly statementTimeout?: string
  readonly maxReplicationLag?: string
  readonly maxAuditLag?: string
  readonly auditLimit?: string
  readonly auditLimitPolicy?: string
}

/** @throws SyncError `E_CONFIG` */
export function protectionOf(flags: Flags): ProtectionOptions & { readonly lockTimeoutMs?: number } {
  const duration = (flag: string, text: string | undefined) =>
    text === undefined ? undefined : parseDuration(text, flag)
  return {
    connectionsMax: number('--source-connections', flags.sourceConnections, { min: 5, max: 10_000 }),
    maxRowsPerSecond: number('--max-rows-per-second', flags.maxRowsPerSecond),
    lockTimeoutMs: duration('--lock-timeout', flags.lockTimeout),
    statementTimeoutMs: duration('--statement-timeout', flags.statementTimeout),
    replicationLagBytesMax: size('--max-replication-lag', flags.maxReplicationLag),
    auditLagMax: number('--max-audit-lag', flags.maxAuditLag),
    auditBytesMax: size('--audit-limit', flags.auditLimit),
    auditLimitPolicy: auditLimitPolicies.find((policy) => policy === flags.auditLimitPolicy),
  }
}

function number(flag: string, text: string | undefined, { min = 1, max = 1_000_000_000 } = {}): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (value >= min && value <= max) return value
  throw new SyncError('E_CONFIG', `${flag} must be a whole number from ${formatExactly(min)} to ${formatExactly(max)}`)
}

const units: { readonly [unit: string]: number } = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

/** Bytes of `500MB`, `20GiB`, `64m`: a thousand and twenty-four of each are one of the next, as for PostgreSQL. */
function size(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits = '', unit = ''] = /^(\d{1,12})\s*([kmgt]?)i?b?$/i.exec(text.trim()) ?? []
  const bytes = Number(digits) * (units[unit.toLowerCase()] ?? 0)
  if (bytes >= 1 && Number.isSafeInteger(bytes)) return bytes
  throw new SyncError('E_CONFIG', `${flag} is not a size`, { hint: 'Write 500MB, 20GB or a number of bytes.' })
}
