/** How fast a backlog of the audit table is read, into a sink that decodes every row and keeps none. */
import pg from 'pg'
import type { Batch } from '../../src/core/batch.js'
import type { Sink } from '../../src/core/sink.js'
import type { PostgresServer } from '../../src/demo/postgres-server.js'
import { SyncEngine } from '../../src/engine/sync-engine.js'
import { PostgresTriggerSource } from '../../src/sources/postgres/trigger-source.js'
import { MemorySink } from '../../src/testing/index.js'
import { serverCpuSeconds } from './server-cpu.js'

export interface DrainFigures {
  readonly keys: 'uniform' | 'skewed'
  readonly auditRows: number
  /** What reached the sink: a key that changed often is written once for each delta. */
  readonly upserts: number
  readonly seconds: number
  readonly nodeCpuSeconds: number
  readonly serverCpuSeconds: number
  readonly rssMegabytes: number
}

const skews = { uniform: 1, skewed: 4 } as const

/** @param rowCount Rows of the table, and of each backlog. */
export async function measureDrain(server: PostgresServer, rowCount: number): Promise<readonly DrainFigures[]> {
  const url = await server.createDatabase('drain')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(
      `create table d (id int primary key, a bigint, b text, c numeric(12,2), d float8, e boolean, f timestamptz, g date, h uuid, i jsonb)`,
    )
    await client.query(
      `insert into d select i, i, 'name of row ' || i, i / 100.0, i / 3.0, i % 2 = 0, timestamptz '2024-01-01' + i * interval '1 s',
         date '2024-01-01' + i % 365, md5(i::text)::uuid, jsonb_build_object('n', i, 'tags', array['a', 'b']) from generate_series(1, ${rowCount}) i`,
    )
    await client.query('vacuum analyze d')
    const checkpoints = new MemorySink()
    const run = (sink: Sink, options: Parameters<SyncEngine['run']>[0]) =>
      new SyncEngine({ source: new PostgresTriggerSource({ url, tables: ['d'] }), sink, checkpoints }).run(options)
    await run(new CountingSink(), { phase: 'full' })
    const figures: DrainFigures[] = []
    for (const [keys, power] of Object.entries(skews) as [keyof typeof skews, number][]) {
      await client.query(
        `insert into surreal_sync_changes (table_id, table_name, operation, row_id)
         select 'd'::regclass, 'public.d', 'UPDATE', jsonb_build_array(1 + floor(power(random(), ${power}) * ${rowCount})::int)
         from generate_series(1, ${rowCount})`,
      )
      await client.query('analyze surreal_sync_changes')
      const sink = new CountingSink()
      const [cpu, serverCpu, startedAt] = [
        process.cpuUsage(),
        await serverCpuSeconds(server.dataDir),
        performance.now(),
      ]
      await run(sink, { phase: 'incremental' })
      const used = process.cpuUsage(cpu)
      figures.push({
        ...{ keys, auditRows: rowCount, upserts: sink.rows },
        seconds: (performance.now() - startedAt) / 1_000,
        nodeCpuSeconds: (used.user + used.system) / 1e6,
        serverCpuSeconds: (await serverCpuSeconds(server.dataDir)) - serverCpu,
        rssMegabytes: sink.rssMax / 2 ** 20,
      })
    }
    return figures
  } finally {
    await client.end()
  }
}

class CountingSink implements Sink {
  readonly name = 'counting'
  rows = 0
  rssMax = 0

  async write(batch: Batch): Promise<void> {
    if (batch.op === 'truncate' || batch.op === 'replace') return
    for (const _ of batch.rows()) this.rows += 1
    this.rssMax = Math.max(this.rssMax, process.memoryUsage.rss())
  }
}
