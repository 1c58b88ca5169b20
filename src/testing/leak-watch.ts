/** Finds what a component opens and does not close: sockets, timers, open files. */
import { readdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { demand } from './suite.js'

const cycles = 4
const pollMs = 50
const pollsMax = 100

/**
 * Uses a component and closes it, again and again. What grows each time is a leak; what grows once (a cache, a module) is
 * not. @throws InvariantError for L2
 */
export async function demandNoLeaks(use: () => Promise<void>): Promise<void> {
  await use()
  const before = await openResources()
  for (let cycle = 0; cycle < cycles; cycle += 1) await use()
  let grown: readonly string[] = []
  // What was closed may take a few turns to go.
  for (let poll = 0; poll < pollsMax; poll += 1) {
    const after = await openResources()
    grown = [...after].filter(([kind, count]) => count - (before.get(kind) ?? 0) >= cycles).map(([kind]) => kind)
    if (grown.length === 0) return
    await delay(pollMs)
  }
  demand('L2', false, `after close() something is still open, and more each time: ${grown.join(', ')}`)
}

async function openResources(): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  // Only Linux says which files are open.
  const files = await readdir('/proc/self/fd').catch(() => [])
  counts.set('open files', files.length)
  return counts
}
