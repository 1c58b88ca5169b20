/** The connection of a {@link PostgresCheckpointStore} that has a url: opened when it is used, and again after any doubt. */
import type { Client } from 'pg'
import type { ConnectionSettings } from '../connections/postgres/connection-settings.js'
import type { Dial } from '../connections/postgres/dial.js'
import { watched } from '../connections/postgres/watchdog.js'
import type { SyncWarning } from '../core/events.js'
import type { PostgresQueries } from './postgres.js'

/** How long the server may send nothing while a statement runs. */
const silenceMsMax = 30_000

export class PostgresClient {
  readonly #settings: ConnectionSettings
  /** Hears of a connection that others may read along, or answer. */
  warn: (warning: SyncWarning) => void = () => {}
  #dial: Dial | undefined
  #client: Client | undefined

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
  }

  /** @throws SyncError */
  async queries(): Promise<PostgresQueries> {
    this.#dial ??= await this.#makeDial()
    this.#client ??= await this.#dial.connect()
    const client = this.#client
    return { query: (text, values) => watched(client, silenceMsMax, client.query(text, values)) }
  }

  /** Ends the connection, if there is one, without a failure. The next use opens another. */
  async close(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => undefined)
  }

  async #makeDial(): Promise<Dial> {
    const { Dial } = await import('../connections/postgres/dial.js')
    return new Dial(this.#settings, {
      applicationName: 'surreal-sync',
      purpose: 'for checkpoints',
      warn: ({ code, message }) => this.warn({ code, message: `Where checkpoints are kept: ${message}` }),
      onBroken: (client) => {
        if (this.#client === client) void this.close()
      },
    })
  }
}
