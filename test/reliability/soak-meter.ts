/** How far behind and how large a run is, looked at from outside. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RecordId } from 'surrealdb'
import { percentile } from '../bench/pairs.js'
import { withClient } from '../e2e/shop.js'
import { openTarget } from '../e2e/target.js'
import type { Place } from './place.js'
import { processMemory } from './process-memory.js'
import type { Figure } from './section.js'

export interface Sample {
  readonly atMs: number
  /** Since the newest time that the source was told and the target has; while the target cannot be asked, since the last seen. */
  readonly lagMs: number
  /** Changes after the position in the target; undefined while a side cannot be asked. */
  readonly lagChanges: number | undefined
  readonly auditRows: number | undefined
  readonly rssMegabytes: number
  readonly heapMegabytes: number | undefined
}

const heapFile = 'heap.txt'
/** Arguments of `node`: writes the size of the heap in use into the working directory, every second. */
export const heapProbe: readonly string[] = [
  '--import',
  `data:text/javascript,${encodeURIComponent(
    `import { writeFileSync } from 'node:fs'
     setInterval(() => writeFileSync('${heapFile}', String(process.memoryUsage().heapUsed)), 1000).unref()`,
  )}`,
]

export class SoakMeter {
  readonly samples: Sample[] = []
  readonly #place: Place
  readonly #id: string
  readonly #pid: number
  readonly #startedAt = Date.now()
  #newestAtMs = Date.now()

  constructor(place: Place, id: string, pid: number) {
    this.#place = place
    this.#id = id
    this.#pid = pid
  }

  get last(): Sample | undefined {
    return this.samples.at(-1)
  }

  async sample(): Promise<void> {
    const memory = await processMemory(this.#pid)
    if (memory === undefined) throw new Error('The process has ended.')
    const target = await this.#target().catch(() => undefined)
    const source = await this.#source().catch(() => undefined)
    this.#newestAtMs = Math.max(this.#newestAtMs, target?.at_ms ?? 0)
    const known = target !== undefined && source !== undefined
    const heap = Number(await readFile(join(this.#place.directory, heapFile), 'utf8').catch(() => '')) / 1e6
    this.samples.push({
      atMs: Date.now() - this.#startedAt,
      lagMs: Date.now() - this.#newestAtMs,
      lagChanges: known ? Math.max(0, source.last - target.sequence) : undefined,
      auditRows: source?.rows,
      rssMegabytes: memory.megabytes,
      heapMegabytes: heap === 0 ? undefined : heap,
    })
  }

  /** What the target has. */
  async position(): Promise<number> {
    return (await this.#target().catch(() => undefined))?.sequence ?? 0
  }

  figures(): { readonly [name: string]: Figure } {
    const { samples } = this
    const values = (of: (sample: Sample) => number | undefined) =>
      samples.map(of).filter((value) => value !== undefined)
    const minutes = Math.ceil((samples.at(-1)?.atMs ?? 0) / 60_000)
    const rssByMinute = Array.from({ length: minutes }, (_, minute) =>
      percentile(
        samples.filter(({ atMs }) => Math.floor(atMs / 60_000) === minute).map(({ rssMegabytes }) => rssMegabytes),
        50,
      ),
    )
    return {
      samples: samples.length,
      lagMs: spread(values(({ lagMs }) => lagMs)),
      lagChanges: spread(values(({ lagChanges }) => lagChanges)),
      auditRows: spread(values(({ auditRows }) => auditRows)),
      rssMegabytes: spread(values(({ rssMegabytes }) => rssMegabytes)),
      heapMegabytes: spread(values(({ heapMegabytes }) => heapMegabytes)),
      rssMegabytesByMinute: rssByMinute.join(' '),
    }
  }

  async #target(): Promise<{ readonly sequence: number; readonly at_ms: number }> {
    await using target = await openTarget(this.#place.target)
    const [seen] = await target.db.query<[{ readonly sequence: number; readonly at_ms: number }]>(
      `RETURN {
        sequence: (SELECT VALUE checkpoint.described.PostgreSQL.sequence FROM ONLY $record),
        at_ms: (SELECT VALUE at_ms FROM ONLY heartbeat:1)
      }`,
      { record: new RecordId('surreal_sync_state', [this.#id, 0]) },
    )
    return seen
  }

  async #source(): Promise<{ readonly last: number; readonly rows: number }> {
    return await withClient(this.#place.source, async (client) => {
      const { rows } = await client.query<{ readonly last: string; readonly rows: string }>(
        'select coalesce(max(sequence_id), 0) as last, count(*) as rows from surreal_sync_changes',
      )
      return { last: Number(rows[0]?.last), rows: Number(rows[0]?.rows) }
    })
  }
}

function spread(values: readonly number[]): Figure {
  const round = (value: number) => Math.round(value * 10) / 10
  return {
    p50: round(percentile(values, 50)),
    p99: round(percentile(values, 99)),
    most: round(percentile(values, 100)),
  }
}
