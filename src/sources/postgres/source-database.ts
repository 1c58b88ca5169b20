/** Where a source is, and how it is connected to. */

import { type ConnectionSettings, parseConnection } from '../../connections/postgres/connection-settings.js'
import type { SyncWarning } from '../../core/events.js'
import { Connections } from './connections.js'
import { Installer } from './installer.js'
import { checkProtection } from './protection.js'
import { RateLimit } from './rate-limit.js'
import { type AuditNames, auditNames } from './schema.sql.js'
import type { PostgresTriggerSourceOptions } from './source-options.js'

export class SourceDatabase {
  readonly settings: ConnectionSettings
  readonly auditSchema: string
  readonly names: AuditNames
  readonly #options: PostgresTriggerSourceOptions
  readonly #rate: RateLimit | undefined

  /** Connects to nothing. @throws SyncError `E_CONFIG` */
  constructor(options: PostgresTriggerSourceOptions) {
    checkProtection(options)
    this.#options = options
    this.#rate = options.maxRowsPerSecond === undefined ? undefined : new RateLimit(options.maxRowsPerSecond)
    this.settings = parseConnection(options.url, options)
    this.auditSchema = options.auditSchema ?? 'public'
    this.names = auditNames(this.auditSchema)
  }

  connect(warn: (warning: SyncWarning) => void, applicationName?: string): Connections {
    const { lockTimeoutMs, statementTimeoutMs } = this.#options
    return new Connections(this.settings, warn, {
      lockTimeoutMs,
      statementTimeoutMs,
      rate: this.#rate,
      applicationName,
    })
  }

  installer(connections: Connections, warn: (warning: SyncWarning) => void): Installer {
    return new Installer(connections, this.auditSchema, warn, this.#options)
  }

  /** Works with connections of its own, whether or not a run is going on. */
  async apart<T>(work: (connections: Connections) => Promise<T>): Promise<T> {
    const connections = this.connect(() => {})
    try {
      return await work(connections)
    } finally {
      await connections.close()
    }
  }
}
