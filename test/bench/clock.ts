/** Measures a piece of work in this process. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Sample } from './job.js'
import { serverCpuSeconds } from './server-cpu.js'

const rssEveryMs = 20

/** @param work Returns how many rows it handled. */
export async function timed(dataDir: string, work: () => Promise<number>): Promise<Sample> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const rssBefore = process.memoryUsage.rss()
  let rssMax = rssBefore
  const watch = setInterval(() => {
    rssMax = Math.max(rssMax, process.memoryUsage.rss())
  }, rssEveryMs)
  const serverBefore = await serverCpuSeconds(dataDir)
  delays.enable()
  const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()]
  const rows = await work()
  const [seconds, cpu] = [(performance.now() - startedAt) / 1_000, process.cpuUsage(cpuBefore)]
  delays.disable()
  clearInterval(watch)
  return {
    ...{ rows, seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6 },
    serverCpuSeconds: (await serverCpuSeconds(dataDir)) - serverBefore,
    rssAdded: rssMax - rssBefore,
    eventLoopDelayMs: delays.percentile(99) / 1e6,
  }
}
