/**
 * `npm run bench:growth -- [--quick | --large] [--json]`
 *
 * Time and memory of a full sync for more and more rows, and for more and more tables, into a SurrealDB server of its own on
 * files. Each in a fresh process. Writes docs/growth.svg, but not with `--quick`. Linux only.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { growthSvg, type Panel } from './growth-chart.js'
import type { Sample } from './job.js'
import { runJob } from './pairs.js'
import { createTable } from './tables.js'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const rowsPerTable = 100
const rowCounts = flags.quick ? [1_000, 10_000] : [10_000, 100_000, 1_000_000, ...(flags.large ? [10_000_000] : [])]
const tableCounts = flags.quick ? [1, 10] : [10, 100, 1_000]

interface Figure {
  readonly size: number
  readonly sample: Sample
}

await using server = await startPostgres({ settings: { max_wal_size: '8GB', shared_buffers: '256MB' } })
const report = flags.json ? console.error : console.log
const rows: Figure[] = []
for (const size of rowCounts) {
  const url = await server.createDatabase(`rows_${size}`)
  await within(url, (client) => createTable(client, 'narrow', 'narrow', size))
  rows.push(await measure(url, 'narrow', size, size, 'rows'))
}
const tables: Figure[] = []
for (const size of tableCounts) {
  const url = await server.createDatabase(`tables_${size}`)
  await within(url, async (client) => {
    for (let table = 1; table <= size; table += 1) await createTable(client, `narrow_${table}`, 'narrow', rowsPerTable)
  })
  tables.push(await measure(url, 'narrow_*', size, size * rowsPerTable, 'tables'))
}
if (flags.json) console.log(JSON.stringify({ rows, tables }, null, 2))
if (!flags.quick) {
  const path = fileURLToPath(new URL('../../docs/growth.svg', import.meta.url))
  const panels = [...panelsOf(rows, 'rows'), ...panelsOf(tables, `tables of ${rowsPerTable} rows`)]
  await writeFile(path, growthSvg(panels, 'Time and memory of a full sync by the number of rows and of tables'))
}

async function within(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await work(client)
  await client.end()
}

async function measure(url: string, table: string, size: number, rowCount: number, unit: string): Promise<Figure> {
  const postgres = { url, dataDir: server.dataDir }
  const sample = await runJob({ kind: 'sync', postgres, table, target: 'wskv', rows: rowCount })
  const { seconds, cpuSeconds, rssAdded } = sample
  const figures = [
    `${seconds.toFixed(2)} s`,
    `${((seconds * 1e6) / size).toFixed(1)} µs each`,
    `${cpuSeconds.toFixed(2)} s of CPU`,
    `${mebibytes(rssAdded).toFixed(0)} MiB more`,
  ]
  report(`${size.toLocaleString('en').padStart(12)} ${unit.padEnd(6)} ${figures.join(', ')}`)
  return { size, sample }
}

function mebibytes(bytes: number): number {
  return bytes / 2 ** 20
}

function panelsOf(figures: readonly Figure[], xLabel: string): readonly Panel[] {
  const points = (figure: (sample: Sample) => number) =>
    figures.map(({ size, sample }) => ({ x: size, y: figure(sample) }))
  return [
    { title: 'Time', xLabel, yLabel: 'seconds', points: points(({ seconds }) => seconds) },
    {
      title: 'Memory that the sync adds',
      xLabel,
      yLabel: 'MiB',
      points: points(({ rssAdded }) => mebibytes(rssAdded)),
    },
  ]
}
