/** How large a process is, as the kernel counts it. Linux only. */
import { readFile } from 'node:fs/promises'

export interface ProcessMemory {
  readonly megabytes: number
  /** The most since it began. */
  readonly peakMegabytes: number
}

/** Undefined once it has ended. */
export async function processMemory(pid: number): Promise<ProcessMemory | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN)
  const [megabytes, peakMegabytes] = [field('VmRSS') * 1_024, field('VmHWM') * 1_024].map((bytes) => bytes / 1e6)
  if (megabytes === undefined || peakMegabytes === undefined || Number.isNaN(megabytes)) return undefined
  return { megabytes: Math.round(megabytes * 10) / 10, peakMegabytes: Math.round(peakMegabytes * 10) / 10 }
}
