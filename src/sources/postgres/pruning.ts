/** Consumers of the audit table, and the removal of what all of them have passed. */
import type { Connections } from './connections.js'
import type { AuditNames } from './schema.sql.js'

/** Who reads the audit table. */
export interface AuditConsumer {
  /** The pipeline's id. */
  readonly id: string
  /** Everything up to this number is durable in its sink. */
  readonly position: number
  /** When it said so, ISO 8601. */
  readonly seenAt: string
}

export interface PruneOptions {
  readonly signal?: AbortSignal
  /** Keep what is younger than this. @defaultValue 0 */
  readonly olderThanMs?: number
  /** @defaultValue until nothing is left */
  readonly chunksMax?: number
}

const chunkRows = 10_000
/** Up to 300,000 rows a minute. */
const pruning = { intervalMs: 10_000, chunksMax: 5 }

export async function listConsumers(connections: Connections, { consumers }: AuditNames): Promise<AuditConsumer[]> {
  const sql = `select c.id, c.position, pg_catalog.to_char(c.seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    from ${consumers} c order by c.id`
  const rows = await connections.use((session) => session.rows('listing consumers', sql))
  return rows.map(([id, position, seenAt]) => ({ id: id ?? '', position: Number(position), seenAt: seenAt ?? '' }))
}

/** Says whether there was such a consumer. */
export async function forgetConsumer(
  connections: Connections,
  { consumers }: AuditNames,
  id: string,
): Promise<boolean> {
  const sql = `delete from ${consumers} where id = $1 returning id`
  const rows = await connections.use((session) => session.rows('forgetting a consumer', sql, [id]))
  return rows.length > 0
}

/**
 * Removes rows that every registered consumer has passed, in chunks, each in a transaction of its own. Without a consumer
 * nothing is removed. Returns how many.
 */
export async function prune(connections: Connections, names: AuditNames, options: PruneOptions = {}): Promise<number> {
  const { signal, olderThanMs = 0, chunksMax = Number.POSITIVE_INFINITY } = options
  const { changes, consumers } = names
  // Starting where the last chunk ended spares the search through rows that are already dead.
  const sql = `
with gone as (
  delete from ${changes} where sequence_id in (
    select c.sequence_id from ${changes} c
    where c.sequence_id > $1 and c.sequence_id <= (select pg_catalog.min(r.position) from ${consumers} r)
      and c.changed_at <= pg_catalog.now() - pg_catalog.make_interval(secs => $2 / 1000.0)
    order by c.sequence_id limit ${chunkRows})
  returning sequence_id
)
select pg_catalog.count(*), pg_catalog.max(sequence_id) from gone`
  let total = 0
  let after = 0
  for (let chunk = 0; chunk < chunksMax; chunk += 1) {
    signal?.throwIfAborted()
    const [row] = await connections.use((session) =>
      session.within('change', () => session.rows('pruning the audit table', sql, [after, olderThanMs])),
    )
    const count = Number(row?.[0] ?? 0)
    total += count
    if (count < chunkRows) break
    after = Number(row?.[1])
  }
  return total
}

/** Prunes a little now and then, so that no acknowledgement waits long for it. */
export class Pruner {
  readonly #connections: Connections
  readonly #names: AuditNames
  readonly #olderThanMs: number
  #prunedAt = Number.NEGATIVE_INFINITY

  constructor(connections: Connections, names: AuditNames, olderThanMs: number) {
    this.#connections = connections
    this.#names = names
    this.#olderThanMs = olderThanMs
  }

  async advance(): Promise<void> {
    if (performance.now() - this.#prunedAt < pruning.intervalMs) return
    this.#prunedAt = performance.now()
    const { chunksMax } = pruning
    await prune(this.#connections, this.#names, { olderThanMs: this.#olderThanMs, chunksMax })
  }
}
