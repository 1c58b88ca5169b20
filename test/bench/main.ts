/**
 * `npm run bench -- [--quick] [--json] [--only ID,ID] [--pairs 5] [--write]`
 *
 * Prints every ratio of docs/performance.md, each the median of pairs of fresh processes that run in turn, with the least and
 * the most. `--write` puts the table into docs/performance.md. Linux only: CPU is what the kernel counted.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../../src/demo/postgres-server.js'
import { isReached, measures, type Result, type Sizes } from './measures.js'
import type { Spread } from './pairs.js'
import { createTable, shapes } from './tables.js'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    pairs: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const pairs = flags.pairs === undefined ? undefined : Number(flags.pairs)
const sizes: Sizes = flags.quick
  ? { pairs: pairs ?? 1, rows: { mixed: 60_000, narrow: 200_000, wide: 20_000 }, drainRows: 30_000, ticks: 15 }
  : { pairs: pairs ?? 5, rows: { mixed: 300_000, narrow: 1_000_000, wide: 100_000 }, drainRows: 200_000, ticks: 100 }
const wanted = measures.filter(({ id }) => flags.only === undefined || flags.only.split(',').includes(id))
if (wanted.length === 0) throw new Error(`--only knows ${measures.map(({ id }) => id).join(', ')}`)

await using server = await startPostgres({ settings: { max_wal_size: '8GB', shared_buffers: '256MB' } })
const url = await server.createDatabase('bench')
await fill(url)
const results: Result[] = []
const report = flags.json ? console.error : console.log
for (const { id, run } of wanted) {
  const startedAt = performance.now()
  const found = await run({ sizes, postgres: { url, dataDir: server.dataDir } })
  results.push(...found)
  for (const result of found) report(lineOf(result))
  report(`  (${id}: ${((performance.now() - startedAt) / 1_000).toFixed(0)} s)`)
}
const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB; Node.js ${process.versions.node}, PostgreSQL ${server.version}, SurrealDB ${await surrealVersion()} embedded`
if (flags.json) console.log(JSON.stringify({ machine, sizes, results }, null, 2))
else console.log(`\n${machine}`)
if (flags.write) await writeTable(results, machine)

async function fill(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (const shape of shapes) await createTable(client, shape, shape, sizes.rows[shape])
  for (const rows of [sizes.rows.narrow, sizes.rows.narrow / 10])
    await createTable(client, `narrow_${rows}`, 'narrow', rows)
  await createTable(client, 'changing', 'mixed', sizes.drainRows)
  await client.end()
}

async function surrealVersion(): Promise<string> {
  const path = fileURLToPath(new URL('../../node_modules/@surrealdb/node/package.json', import.meta.url))
  const { version } = JSON.parse(await readFile(path, 'utf8')) as { readonly version: string }
  return `(@surrealdb/node ${version})`
}

function number(value: number): string {
  return value.toFixed(value < 10 ? 3 : 1)
}

function cells({ name, unit, value, target }: Result): readonly string[] {
  const suffix = unit === '' ? '' : ` ${unit}`
  const shown = ({ median, least, most }: Spread) => [
    `${number(median)}${suffix}`,
    `${number(least)} – ${number(most)}`,
  ]
  return [name, ...shown(value), 'atLeast' in target ? `≥ ${target.atLeast}${suffix}` : `≤ ${target.atMost}${suffix}`]
}

function lineOf(result: Result): string {
  const [name = '', median = '', spread = '', target = ''] = cells(result)
  const verdict = isReached(result) ? 'reached' : 'NOT REACHED'
  return `${name.padEnd(50)} ${median.padStart(10)}  (${spread.padEnd(17)})  ${target.padEnd(10)} ${verdict}`
}

/** Between the two marks of the page. */
async function writeTable(results: readonly Result[], machine: string): Promise<void> {
  const path = fileURLToPath(new URL('../../docs/performance.md', import.meta.url))
  const page = await readFile(path, 'utf8')
  const [before, rest] = page.split('<!-- bench -->\n')
  const after = rest?.split('<!-- /bench -->')[1]
  if (before === undefined || after === undefined) throw new Error('docs/performance.md has lost its marks')
  const rows = results.map((result) => `| ${[...cells(result), isReached(result) ? 'yes' : 'no'].join(' | ')} |`)
  const table = ['| measure | median | spread | target | reached |', '|---|---|---|---|---|', ...rows].join('\n')
  const text = `${before}<!-- bench -->\n${table}\n\n${machine}; medians of ${sizes.pairs} pairs.\n<!-- /bench -->${after}`
  await writeFile(path, text)
}
