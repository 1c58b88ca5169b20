/**
 * Who reads the audit table, and how far they have come: nobody prunes what they still need, and who starts again from a
 * bare number knows what the tables were.
 */
import { SyncError } from '../../core/errors.js'
import type { RunReport } from '../../core/source.js'
import type { Connections } from './connections.js'
import { withAudit } from './identity.js'
import type { AuditPosition } from './position.js'
import { writeReport } from './run-report.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

/** How often a position is written while it moves. */
const intervalMs = 1_000

export class Consumer {
  readonly #connections: Connections
  readonly #names: AuditNames
  readonly #id: string
  #latest: AuditPosition | undefined
  #written: number | undefined
  #writtenStructures: string | undefined
  #writtenAt = Number.NEGATIVE_INFINITY
  /** One after another: an older position must not be written over a newer one. */
  #writing: Promise<void> = Promise.resolve()
  /** Writes the latest position when it is time, though nothing follows it. */
  #due: NodeJS.Timeout | undefined

  constructor(connections: Connections, names: AuditNames, id: string) {
    this.#connections = connections
    this.#names = names
    this.#id = id
  }

  /** Everything up to this position is durable in the sink. Written at once at first, then about once a second. */
  async advance(position: AuditPosition): Promise<void> {
    this.#latest = position
    const waitMs = this.#writtenAt + intervalMs - performance.now()
    if (waitMs <= 0) await this.flush()
    // If the source is away just then, the next position is written, or the last one at the end.
    else this.#due ??= setTimeout(() => void this.flush().catch(() => undefined), waitMs).unref()
  }

  /** Writes the latest position if it is not yet written. */
  flush(): Promise<void> {
    clearTimeout(this.#due)
    this.#due = undefined
    const written = this.#writing.then(() => this.#write())
    this.#writing = written.catch(() => undefined)
    return written
  }

  async #write(): Promise<void> {
    if (this.#latest === undefined) return
    const { sequence, structures, incarnation } = this.#latest
    const text = structures === undefined ? undefined : JSON.stringify(structures)
    const moved = text !== undefined && text !== this.#writtenStructures
    if (sequence === this.#written && !moved) return
    await withAudit(this.#connections, this.#names, incarnation, (session) =>
      session.rows(
        'recording the position',
        `insert into ${this.#names.consumers} as c (id, position, structures) values ($1, $2, $3)
         on conflict (id) do update set position = excluded.position, seen_at = pg_catalog.now(),
           structures = coalesce(excluded.structures, c.structures)`,
        [this.#id, sequence, moved ? text : null],
      ),
    )
    this.#written = sequence
    this.#writtenStructures = text ?? this.#writtenStructures
    this.#writtenAt = performance.now()
  }

  /**
   * Writes how the run stands, where the pipeline is known. An error stays, with its time, until another one comes.
   */
  async report(report: RunReport): Promise<void> {
    await this.#connections.use((session) =>
      session.rows(
        'recording how the run stands',
        `update ${this.#names.consumers} as c set report = coalesce(c.report, '{}') || $2::pg_catalog.jsonb where c.id = $1`,
        [this.#id, writeReport(report)],
      ),
    )
  }

  /** What the tables were at the position that was recorded last, by oid. `undefined`: none was recorded. */
  async structures(session: Session): Promise<AuditPosition['structures']> {
    const sql = `select c.structures::pg_catalog.text from ${this.#names.consumers} c where c.id = $1`
    const [row] = await session.rows('reading the position', sql, [this.#id])
    const text = row?.[0]
    return text == null ? undefined : (JSON.parse(text) as AuditPosition['structures'])
  }
}

/** Errors of which a run need not die: the position in the sink's checkpoint is what counts. */
export function isTolerable(error: unknown): error is SyncError {
  return error instanceof SyncError && (error.retryable || error.code === 'E_RIGHTS')
}
