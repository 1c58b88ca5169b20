/** What `cleanup` and `status` say of the limit of the audit table. */
import type { AuditDetachment, AuditLimitOutcome } from '../index.js'
import { formatBytes } from './figures.js'

/** Lines for people. @param registered Whether any pipeline is: without one nobody says what is no longer needed. */
export function describeAuditLimit(
  { state, bytes, neededBytes }: AuditLimitOutcome,
  bytesMax: number,
  registered: boolean,
): string {
  const [size, limit, needed] = [bytes, bytesMax, neededBytes].map(formatBytes)
  if (state === 'within') return `The audit table takes ${size}, within its limit of ${limit}.\n`
  if (state === 'detached') {
    const why = registered
      ? `pipelines still needed about ${needed} of it`
      : 'no pipeline is registered, so all of it counted as needed'
    return `The audit table took ${size}, more than its limit of ${limit}, and ${why}.
Removed it, with all triggers and functions of surreal-sync: changes are no longer captured.
${afterwards}\n`
  }
  if (!registered) {
    return `The audit table takes ${size}, more than its limit of ${limit}; no pipeline is registered, so all of it counts as needed.
Run a pipeline, or remove what captures changes: surreal-sync teardown postgresql\n`
  }
  const use = neededBytes === 0 ? 'pipelines need none of it any more' : `pipelines still need about ${needed} of it`
  const remedy =
    neededBytes > bytesMax / 2
      ? 'See which pipeline is behind: surreal-sync status postgresql'
      : 'Room that is not needed is used again before it grows.'
  return `The audit table takes ${size}, more than its limit of ${limit}; ${use}.\n${remedy}\n`
}

/** One sentence. */
export function describeDetachment({ at, bytes, bytesMax }: AuditDetachment): string {
  return `removed at ${at}: the audit table took ${formatBytes(bytes)}, more than its limit of ${formatBytes(bytesMax)}`
}

/** What is to be done after everything was removed. */
export const afterwards = 'Run every pipeline of this source once with --restart.'
