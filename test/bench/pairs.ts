/** Runs jobs in fresh processes, one after the other, and compares them in pairs. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Job, Sample } from './job.js'

const child = fileURLToPath(new URL('child.ts', import.meta.url))
const outputMax = 64 * 1024 * 1024

export async function runJob(job: Job): Promise<Sample> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child, JSON.stringify(job)], {
    maxBuffer: outputMax,
  })
  const sample = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Sample
  if (sample.rows !== job.rows) throw new Error(`${job.kind} of ${job.rows} rows handled ${sample.rows}`)
  return sample
}

/** Each pair one after the other, in turns who goes first. */
export async function runPairs(a: Job, b: Job, pairs: number): Promise<readonly (readonly [Sample, Sample])[]> {
  const results: (readonly [Sample, Sample])[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    if (pair % 2 === 0) {
      const first = await runJob(a)
      results.push([first, await runJob(b)])
    } else {
      const first = await runJob(b)
      results.push([await runJob(a), first])
    }
  }
  return results
}

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: percentile(values, 50), least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN }
}

/** By the nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN
}

/** Rows in a second. */
export function rate({ rows, seconds }: Sample): number {
  return rows / seconds
}

/** CPU of both sides for each row, in microseconds. */
export function cpuMicros({ rows, cpuSeconds, serverCpuSeconds }: Sample): number {
  return ((cpuSeconds + serverCpuSeconds) * 1e6) / rows
}
