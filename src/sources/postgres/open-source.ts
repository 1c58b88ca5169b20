/** What a source has while a run goes on. */
import type { SyncWarning } from '../../core/events.js'
import type { Connections } from './connections.js'
import type { Consumer } from './consumers.js'
import type { Installer } from './installer.js'
import type { PostgresTable } from './postgres-table.js'
import type { Pruner } from './pruning.js'

export interface OpenSource {
  readonly connections: Connections
  readonly installer: Installer
  readonly consumer: Consumer
  readonly pruner: Pruner | undefined
  readonly warn: (warning: SyncWarning) => void
  tables: readonly PostgresTable[]
  readonly syncId: string
  /** Names the run. */
  readonly run: string
}
