/** Who reads the audit table, and how far they have come, so that nobody prunes what they still need. */
import { SyncError } from '../../core/errors.js'
import type { Connections } from './connections.js'
import type { AuditNames } from './schema.sql.js'

/** How often a position is written while it moves. */
const intervalMs = 1_000

export class Consumer {
  readonly #connections: Connections
  readonly #names: AuditNames
  readonly #id: string
  #latest: number | undefined
  #written: number | undefined
  #writtenAt = Number.NEGATIVE_INFINITY

  constructor(connections: Connections, names: AuditNames, id: string) {
    this.#connections = connections
    this.#names = names
    this.#id = id
  }

  /** Everything up to this number is durable in the sink. Written at once at first, then now and then. */
  async advance(sequence: number): Promise<void> {
    this.#latest = sequence
    if (performance.now() - this.#writtenAt >= intervalMs) await this.flush()
  }

  /** Writes the latest position if it is not yet written. */
  async flush(): Promise<void> {
    const sequence = this.#latest
    if (sequence === undefined || sequence === this.#written) return
    await this.#connections.use((session) =>
      session.rows(
        'recording the position',
        `insert into ${this.#names.consumers} as c (id, position) values ($1, $2)
         on conflict (id) do update set position = excluded.position, seen_at = pg_catalog.now()`,
        [this.#id, sequence],
      ),
    )
    this.#written = sequence
    this.#writtenAt = performance.now()
  }
}

/** Errors of which a run need not die: the position in the sink's checkpoint is what counts. */
export function isTolerable(error: unknown): error is SyncError {
  return error instanceof SyncError && (error.retryable || error.code === 'E_RIGHTS')
}
