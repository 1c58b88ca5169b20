/** What a source has while a run goes on. */
import type { Position } from '../../core/checkpoint.js'
import type { SyncWarning } from '../../core/events.js'
import type { Connections } from './connections.js'
import { type Consumer, isTolerable } from './consumers.js'
import { type AuditDetachment, notDetached } from './detachment.js'
import type { Installer } from './installer.js'
import { decode } from './position.js'
import type { PostgresTable } from './postgres-table.js'
import type { Pruner } from './pruning.js'
import type { SourceGuard } from './source-guard.js'

export interface OpenSource {
  readonly connections: Connections
  readonly installer: Installer
  readonly consumer: Consumer
  readonly pruner: Pruner | undefined
  readonly guard: SourceGuard
  readonly warn: (warning: SyncWarning) => void
  tables: readonly PostgresTable[]
  readonly syncId: string
  /** Names the run. */
  readonly run: string
}

/** Everything up to there is in the target. That it cannot be written down is no reason to stop. */
export async function acknowledge({ consumer, pruner, warn }: OpenSource, position: Position): Promise<void> {
  try {
    await consumer.advance(decode(position))
    await pruner?.advance()
  } catch (error) {
    if (!isTolerable(error)) throw error
    const message = `The position could not be recorded in the source: ${error.message}`
    warn({ code: 'position_not_recorded', message })
  }
}

/** At the end of a run. @param remove Removes what is installed: so late, because tables that are being read are locked. */
export async function endSource(
  { connections, consumer, guard, warn }: OpenSource,
  remove: (why: AuditDetachment) => Promise<void>,
): Promise<void> {
  await guard.stop()
  await consumer.flush().catch(() => undefined)
  await connections.close()
  if (guard.detachment === undefined) return
  try {
    await remove(guard.detachment)
  } catch (error) {
    warn(notDetached(error))
  }
}
