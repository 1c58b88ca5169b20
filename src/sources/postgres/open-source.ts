/** What a source has while a run goes on. */
import type { SyncWarning } from '../../core/events.js'
import type { Connections } from './connections.js'
import type { Consumer } from './consumers.js'
import type { Installer } from './installer.js'
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

/** At the end of a run. @param teardown Removes what is installed: so late, because tables that are being read are locked. */
export async function endSource(
  { connections, consumer, guard, warn }: OpenSource,
  teardown: () => Promise<void>,
): Promise<void> {
  await guard.stop()
  await consumer.flush().catch(() => undefined)
  await connections.close()
  if (!guard.detached) return
  try {
    await teardown()
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown failure'
    warn({
      code: 'audit_not_detached',
      message: `The audit table could not be removed, and goes on growing: ${reason}`,
    })
  }
}
