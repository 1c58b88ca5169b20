/** What is installed for the selected tables, whether it is right, and how large the audit table is. Reads only. */

import { SyncError } from '../../core/errors.js'
import type { Finding } from '../../core/finding.js'
import { readAuditState } from './audit-schema.js'
import { isFull, readAuditSize } from './audit-size.js'
import { readStatusWithin } from './audit-status.js'
import { type CaptureState, isCaptured, isCapturingRows } from './capture-state.js'
import { detachedError } from './detachment.js'
import type { Installer } from './installer.js'
import type { PostgresTable } from './postgres-table.js'
import type { ProtectionOptions } from './protection.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'
import { readRemovable } from './teardown.js'

const limits = { bytesMax: 2 ** 30, unseenMsMax: 24 * 3_600_000 }
const byScript = 'Have a DBA run what `surreal-sync plan postgresql --sql` prints, or run as a role that may install.'

/** The outcome of looking at something that may refuse. */
export function refusal(id: string, error: unknown): Finding {
  if (!(error instanceof SyncError)) throw error
  const { hint = 'See the entry of this code in docs/troubleshooting.md.', table } = error.details
  return { id, outcome: 'problem', message: `${error.message} [${error.code}]`, remedy: hint, table }
}

export async function captureFindings(
  session: Session,
  {
    installer,
    names,
    tables,
  }: { readonly installer: Installer; readonly names: AuditNames; readonly tables: readonly PostgresTable[] },
): Promise<readonly Finding[]> {
  try {
    const { relation, copied } = await readAuditState(session, names)
    const installable = await mayInstall(session, installer, tables)
    if (relation === undefined)
      return [
        installable ?? {
          id: 'source.capture',
          outcome: 'ok',
          message: 'Nothing is installed, and this role may install it',
        },
      ]
    const states = await installer.states(session, tables)
    const wrong = states
      .filter((state) => !isCaptured(state))
      .map((state) => captureFinding(state, installable === undefined))
    const right = states.filter(isCaptured)
    const ordinary = right.filter(({ triggers }) => triggers.some((trigger) => trigger.ordinary))
    return [
      ...(copied ? [copiedFinding] : []),
      ...wrong,
      ...(wrong.length > 0
        ? []
        : [
            {
              id: 'source.capture',
              outcome: 'ok',
              message: 'All changes of the selected tables are captured',
            } as const,
          ]),
      ...(ordinary.length === 0 ? [] : [ordinaryFinding(ordinary)]),
    ]
  } catch (error) {
    return [refusal('source.capture', error)]
  }
}

interface AuditContext {
  readonly names: AuditNames
  readonly auditSchema: string
  readonly limit: Pick<ProtectionOptions, 'auditBytesMax' | 'auditLimitPolicy'>
}

/** The size of the audit table, how fast it grows, and who keeps it from being pruned. */
export async function auditFindings(
  session: Session,
  { names, auditSchema, limit }: AuditContext,
): Promise<readonly Finding[]> {
  const status = await readStatusWithin(session, names, auditSchema)
  if (!status.installed) {
    const detached = await detachedError(session, names, undefined)
    return detached === undefined ? [] : [refusal('source.audit', detached)]
  }
  const { changes, pipelines } = status
  const [row] = await session.rows('reading the growth of the audit table', growthSql(names.changes))
  const [count, hours] = [Number(row?.[0] ?? 0), Number(row?.[1] ?? 0)]
  const growth =
    hours > 0
      ? `, and grows by about ${Math.round(count / Math.max(hours, 1 / 60)).toLocaleString('en-US')} an hour`
      : ''
  const holds = `holds about ${changes.toLocaleString('en-US')} changes${growth}`
  const idle = pipelines.filter(
    ({ running, seenAt }) => !running && Date.now() - Date.parse(seenAt) > limits.unseenMsMax,
  )
  const rights = await detachFindings(session, { names, auditSchema, limit })
  const detachable = rights.every(({ outcome }) => outcome === 'ok')
  return [
    ...rights,
    await sizeFinding(session, { names, limit, holds, detachable }),
    ...idle.map(({ id, seenAt }): Finding => {
      const message = `The pipeline ${id} has not been seen since ${seenAt}, and keeps changes from being pruned`
      return {
        id: 'source.consumers',
        outcome: 'warning',
        message,
        remedy: `Start it, or run: surreal-sync cleanup postgresql --forget ${id}`,
      }
    }),
  ]
}

/** Whether the policy `detach` can be followed, where it is the policy. */
async function detachFindings(
  session: Session,
  { names, auditSchema, limit }: AuditContext,
): Promise<readonly Finding[]> {
  if (limit.auditLimitPolicy !== 'detach') return []
  const id = 'source.rights.detach'
  try {
    await readRemovable(session, names, auditSchema)
    return [{ id, outcome: 'ok', message: 'This role may remove what is installed, as `auditLimitPolicy` says' }]
  } catch (error) {
    if (!(error instanceof SyncError && error.code === 'E_RIGHTS')) throw error
    const message =
      'This role may not remove what is installed: beyond `auditBytesMax` a run would only warn, and go on'
    const remedy =
      'Have `surreal-sync cleanup postgresql` with this limit and policy run now and then as the owner of the tables, or as a superuser.'
    return [{ id, outcome: 'problem', message, remedy }]
  }
}

interface SizeContext extends Pick<AuditContext, 'names' | 'limit'> {
  /** What it holds, for people. */
  readonly holds: string
  /** Whether this role may remove it. */
  readonly detachable: boolean
}

async function sizeFinding(session: Session, { names, limit, holds, detachable }: SizeContext): Promise<Finding> {
  const id = 'source.audit'
  const size = (await readAuditSize(session, names)) ?? { bytes: 0, neededBytes: 0, keptBytes: 0 }
  const { auditBytesMax: bytesMax = limits.bytesMax, auditLimitPolicy } = limit
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  if (size.bytes <= bytesMax)
    return { id, outcome: 'ok', message: `The audit table takes ${mib(size.bytes)}, ${holds}` }
  const message = `The audit table takes ${mib(size.bytes)}, more than ${mib(bytesMax)}, ${holds}`
  const remedy = 'Run: surreal-sync cleanup postgresql'
  const detaches = limit.auditBytesMax !== undefined && auditLimitPolicy === 'detach' && detachable
  if (!detaches || !isFull(size, bytesMax)) return { id, outcome: 'warning', message, remedy }
  return {
    ...{ id, outcome: 'problem', message: `${message}: a run would end at once, and remove it` },
    remedy: 'Raise `auditBytesMax` until the pipelines have caught up, or forget those that will not come back.',
  }
}

/** Of the newest thousand changes: their number by the time between the first and the last of them. */
const growthSql = (changes: string) => `
select pg_catalog.count(*), pg_catalog.date_part('epoch', pg_catalog.max(n.changed_at) - pg_catalog.min(n.changed_at)) / 3600
from (select c.changed_at from ${changes} c order by c.sequence_id desc limit 1000) n`

const copiedFinding: Finding = {
  ...{ id: 'source.audit', outcome: 'problem' },
  message: 'The audit table was copied here from another database [E_SOURCE_IDENTITY]',
  remedy: 'Connect to that one, or run a full sync here.',
}

/** Why what is missing cannot be installed by this role. `undefined`: it can, or nothing is missing. */
async function mayInstall(
  session: Session,
  installer: Installer,
  tables: readonly PostgresTable[],
): Promise<Finding | undefined> {
  try {
    await installer.check(session, tables)
    return undefined
  } catch (error) {
    return refusal('source.rights.install', error)
  }
}

function captureFinding(state: CaptureState, installable: boolean): Finding {
  const { label } = state.table
  const disabled = state.triggers.find((trigger) => trigger.state === 'disabled')
  const missing = state.triggers.find((trigger) => trigger.state === 'missing')
  const what =
    state.function === 'missing'
      ? 'has no capture function'
      : disabled !== undefined
        ? `has a disabled trigger ${disabled.form.name} on ${disabled.relation.name}`
        : missing !== undefined
          ? `lacks the trigger ${missing.form.name} on ${missing.relation.name}`
          : 'has a capture function of another release, or of before it was altered'
  const complete = isCapturingRows(state)
  return {
    id: state.function === 'different' ? 'source.capture.function' : 'source.capture.trigger',
    outcome: installable || complete ? 'warning' : 'problem',
    message: `${label} ${what}`,
    remedy: installable
      ? 'Nothing need be done: the next run completes it, and copies the table again if changes may be missing.'
      : byScript,
    table: label,
  }
}

function ordinaryFinding(states: readonly CaptureState[]): Finding {
  const [first, ...others] = states.map(({ table }) => table.label)
  return {
    ...{ id: 'source.capture.replicated', outcome: 'warning' },
    message: `Triggers on ${first}${others.length === 0 ? '' : ` and ${others.length} others`} do not fire for replicated writes (session_replication_role = replica, logical replication)`,
    remedy: 'Have an owner, or a DBA, run what `surreal-sync plan postgresql --sql` prints.',
  }
}
