/** What is measured: each a ratio of two jobs that run in turn, or a figure of one. */
import type { Job, JobKind, Sample, Target } from './job.js'
import { cpuMicros, percentile, rate, runJob, runPairs, type Spread, spreadOf } from './pairs.js'
import type { ShapeName } from './tables.js'

/** How much of everything. */
export interface Sizes {
  readonly pairs: number
  readonly rows: Readonly<Record<ShapeName, number>>
  readonly drainRows: number
  readonly ticks: number
}

export interface Bench {
  readonly sizes: Sizes
  readonly postgres: Job['postgres']
}

export interface Result {
  readonly name: string
  readonly unit: '' | 'µs' | 'ms' | 'MB'
  readonly value: Spread
  readonly target: { readonly atLeast: number } | { readonly atMost: number }
}

export interface Measure {
  /** For `--only`. */
  readonly id: string
  run(bench: Bench): Promise<readonly Result[]>
}

export function isReached({ value, target }: Result): boolean {
  return 'atLeast' in target ? value.median >= target.atLeast : value.median <= target.atMost
}

type PairFigure = (a: Sample, b: Sample) => number
const wall: PairFigure = (a, b) => rate(a) / rate(b)
const cpu: PairFigure = (a, b) => cpuMicros(b) / cpuMicros(a)

function jobOf({ sizes, postgres }: Bench, kind: JobKind, shape: ShapeName, target: Target): Job {
  return { kind, postgres, table: shape, target, rows: sizes.rows[shape] }
}

function spread(pairs: readonly (readonly [Sample, Sample])[], figure: PairFigure): Spread {
  return spreadOf(pairs.map(([a, b]) => figure(a, b)))
}

/** A full sync against what the target takes at most. */
function ingest(target: Target, shape: ShapeName, atLeast: number): Measure {
  return {
    id: `ingest-${target}-${shape}`,
    async run(bench) {
      const pairs = await runPairs(
        jobOf(bench, 'sync', shape, target),
        jobOf(bench, 'pure', shape, target),
        bench.sizes.pairs,
      )
      const name = `full sync ÷ pure ingest, ${target}, ${shape}`
      const rows: Result[] = [{ name, unit: '', value: spread(pairs, wall), target: { atLeast } }]
      if (target === 'ws') return rows
      rows.push({ name: `${name}, CPU`, unit: '', value: spread(pairs, cpu), target: { atLeast: 0.9 } })
      if (shape !== 'mixed') return rows
      const delay = spreadOf(pairs.map(([sync]) => sync.eventLoopDelayMs))
      return [...rows, { name: `event loop delay, p99, ${target}`, unit: 'ms', value: delay, target: { atMost: 20 } }]
    },
  }
}

const naive: Measure = {
  id: 'naive',
  async run(bench) {
    const pairs = await runPairs(
      jobOf(bench, 'sync', 'mixed', 'surrealkv'),
      jobOf(bench, 'naive', 'mixed', 'surrealkv'),
      bench.sizes.pairs,
    )
    return [
      { name: 'full sync ÷ naive pipeline', unit: '', value: spread(pairs, wall), target: { atLeast: 2.1 } },
      { name: 'full sync ÷ naive pipeline, CPU', unit: '', value: spread(pairs, cpu), target: { atLeast: 2 } },
    ]
  },
}

function transcoder(shape: ShapeName, atLeast: number): Measure {
  return {
    id: `transcoder-${shape}`,
    async run(bench) {
      const pairs = await runPairs(
        jobOf(bench, 'encode', shape, 'mem'),
        jobOf(bench, 'encodeNaive', shape, 'mem'),
        bench.sizes.pairs,
      )
      const name = `transcoder ÷ naive encoding, ${shape}`
      const ratio: Result = { name, unit: '', value: spread(pairs, wall), target: { atLeast } }
      if (shape !== 'mixed') return [ratio]
      const micros = spreadOf(pairs.map(([ours]) => (ours.cpuSeconds * 1e6) / ours.rows))
      return [ratio, { name: 'transcoder, CPU of a row', unit: 'µs', value: micros, target: { atMost: 2 } }]
    },
  }
}

const objects: Measure = {
  id: 'objects',
  async run(bench) {
    const [a, b] = [jobOf(bench, 'objects', 'mixed', 'surrealkv'), jobOf(bench, 'pure', 'mixed', 'surrealkv')]
    const pairs = await runPairs(a, b, bench.sizes.pairs)
    const value = spread(pairs, wall)
    return [{ name: 'full sync with a transform ÷ pure ingest', unit: '', value, target: { atLeast: 0.7 } }]
  },
}

const drain: Measure = {
  id: 'drain',
  async run(bench) {
    const job = (kind: JobKind): Job => ({
      ...{ kind, postgres: bench.postgres, table: 'changing', target: 'surrealkv' },
      rows: bench.sizes.drainRows,
    })
    const value = spread(await runPairs(job('drain'), job('apply'), bench.sizes.pairs), wall)
    return [{ name: 'incremental sync ÷ pure apply', unit: '', value, target: { atLeast: 0.85 } }]
  },
}

const latency: Measure = {
  id: 'latency',
  async run({ sizes, postgres }) {
    const job: Job = { kind: 'latency', postgres, table: 'ticks', target: 'mem', rows: sizes.ticks }
    const { latenciesMs = [] } = await runJob(job)
    const figure = (percent: number): Spread => ({
      median: percentile(latenciesMs, percent),
      least: Math.min(...latenciesMs),
      most: Math.max(...latenciesMs),
    })
    return [
      { name: 'from commit to target, p50', unit: 'ms', value: figure(50), target: { atMost: 30 } },
      { name: 'from commit to target, p99', unit: 'ms', value: figure(99), target: { atMost: 100 } },
    ]
  },
}

const growth: Measure = {
  id: 'growth',
  async run({ sizes, postgres }) {
    const job = (rows: number): Job => ({ kind: 'sync', postgres, table: `narrow_${rows}`, target: 'surrealkv', rows })
    const few = sizes.rows.narrow / 10
    const pairs = await runPairs(job(sizes.rows.narrow), job(few), sizes.pairs)
    const value = spread(pairs, (many, one) => many.seconds / one.seconds)
    return [{ name: 'time for ten times the rows ÷ time', unit: '', value, target: { atMost: 10.5 } }]
  },
}

const memory: Measure = {
  id: 'memory',
  async run(bench) {
    const samples: Sample[] = []
    for (let run = 0; run < Math.min(3, bench.sizes.pairs); run += 1) {
      samples.push(await runJob(jobOf(bench, 'sync', 'wide', 'ws')))
    }
    const value = spreadOf(samples.map(({ rssAdded }) => rssAdded / 2 ** 20))
    return [{ name: 'memory that a full sync adds, 60 columns, ws', unit: 'MB', value, target: { atMost: 100 } }]
  },
}

export const measures: readonly Measure[] = [
  ...(['surrealkv', 'rocksdb'] as const).flatMap((target) => [
    ingest(target, 'mixed', 0.92),
    ingest(target, 'wide', 0.92),
    ingest(target, 'narrow', 0.95),
  ]),
  ingest('ws', 'mixed', 0.9),
  naive,
  transcoder('mixed', 15),
  transcoder('narrow', 20),
  transcoder('wide', 20),
  objects,
  drain,
  latency,
  growth,
  memory,
]
