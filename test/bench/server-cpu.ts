/** The CPU time of a PostgreSQL server, as the kernel counts it. Linux only. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Seconds that the server's processes have used so far, those that have ended included. */
export async function serverCpuSeconds(dataDir: string): Promise<number> {
  const postmaster = Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0])
  let ticks = 0
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    // After the command's name in parentheses: state, parent, … user, system, and both of children that were waited for.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [user, system, childUser, childSystem] = fields.slice(11, 15).map(Number)
    if (Number(name) === postmaster) ticks += (childUser ?? 0) + (childSystem ?? 0)
    else if (Number(fields[1]) === postmaster) ticks += (user ?? 0) + (system ?? 0)
  }
  return ticks / 100
}
