/** The program of Prometheus that judges metrics and rules, where this machine has it. */
import { spawnSync } from 'node:child_process'

/** To be given to `skip` of a test, with the reason. */
export const noPromtool = [
  spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status !== 0,
  'promtool, of Prometheus, is not on the PATH',
] as const

/** What it says of a file or of its input. Status 0: it has nothing to say against it. */
export function promtool(
  args: readonly string[],
  { input, cwd }: { readonly input?: string; readonly cwd?: string } = {},
): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, cwd, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}
