/** The report that the scripts write: one section at a time, the others stay as they are. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { cpus, platform, release, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Figure, SectionResult } from './section.js'

export interface SectionRun {
  readonly name: string
  readonly short: boolean
  readonly seed: number
  /** What repeats it. */
  readonly command: string
  /** The file to merge the section into. */
  readonly file: string
  readonly run: (log: (line: string) => void) => Promise<SectionResult>
}

type Entry = { readonly [name: string]: Figure }

const repository = fileURLToPath(new URL('../..', import.meta.url))
const failuresMax = 20

/** Runs a section, prints and records what came out, also of one that failed. Returns whether it passed. */
export async function addToReport({ name, short, seed, command, file, run }: SectionRun): Promise<boolean> {
  console.log(`${name}: seed ${seed}${short ? ', short form' : ''}`)
  const [startedAt, commit] = [new Date(), await commitOf(repository)]
  const seconds = () => Math.round((Date.now() - startedAt.getTime()) / 100) / 10
  const log = (line: string) => console.log(`${seconds().toFixed(1).padStart(8)} s  ${line}`)
  const { what, figures, failures, versions = {} } = await run(log).catch(failed)
  const passed = failures.length === 0
  const entry: Entry = {
    what,
    result: passed ? 'passed' : 'failed',
    ...(passed ? {} : { failures: failures.slice(0, failuresMax) }),
    figures,
    form: short ? 'short' : 'long',
    command,
    seed,
    startedAt: startedAt.toISOString(),
    wallSeconds: seconds(),
    versions: { surrealSync: commit, node: process.versions.node, ...versions },
    machine: `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${release()}`,
  }
  console.log(JSON.stringify({ [name]: entry }, null, 2))
  await merge(file, name, entry)
  return passed
}

function failed(error: unknown): SectionResult {
  console.error(error)
  const [reason = ''] = String(error).split('\n')
  return { what: 'It ended early.', figures: {}, failures: [reason] }
}

async function merge(file: string, name: string, entry: Entry): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const sections = JSON.parse(text) as Record<string, Entry>
  if (sections[name]?.form === 'long' && entry.form === 'short') {
    console.log(`${name}: the report keeps the long form`)
    return
  }
  sections[name] = entry
  const sorted = Object.fromEntries(Object.entries(sections).sort(([a], [b]) => (a < b ? -1 : 1)))
  await mkdir(dirname(file), { recursive: true })
  await writeFile(`${file}.new`, `${JSON.stringify(sorted, null, 2)}\n`)
  await rename(`${file}.new`, file)
}

/** `0123456789ab`, with `+` when the product differs from it. */
async function commitOf(directory: string): Promise<string> {
  const git = async (...args: readonly string[]) =>
    (await promisify(execFile)('git', ['-C', directory, ...args])).stdout.trim()
  try {
    const changed = await git('status', '--porcelain', '--', 'src', 'package-lock.json')
    return `${await git('rev-parse', '--short=12', 'HEAD')}${changed === '' ? '' : '+'}`
  } catch {
    return 'unknown'
  }
}
