/** A copy of the sources and tests in a temporary directory, where a file may be altered, and tests be run. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Which tests to run: those of a file whose names match. */
export interface Tests {
  readonly file: string
  readonly named: string
}

/** A test that ran. */
export interface TestEnded {
  /** From the root of the repository. */
  readonly file: string
  readonly title: string
  readonly passed: boolean
}

const repository = fileURLToPath(new URL('../..', import.meta.url))
const copied = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts']
const runMsMax = 600_000

export class MutatedBuild implements AsyncDisposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async open(): Promise<MutatedBuild> {
    const directory = await realpath(await mkdtemp(join(tmpdir(), 'surreal-sync-mutants-')))
    for (const name of copied) await cp(join(repository, name), join(directory, name), { recursive: true })
    await symlink(join(repository, 'node_modules'), join(directory, 'node_modules'))
    return new MutatedBuild(directory)
  }

  /** Alters files until the returned function is called. @throws Error unless each text is there exactly once */
  async alter(
    changes: readonly { readonly file: string; readonly from: string; readonly to: string }[],
  ): Promise<() => Promise<void>> {
    const originals = new Map<string, string>()
    for (const { file, from, to } of changes) {
      const path = join(this.#directory, file)
      const text = await readFile(path, 'utf8')
      const count = text.split(from).length - 1
      if (count !== 1) throw new Error(`${file} has ${JSON.stringify(from)} ${count} times`)
      if (!originals.has(path)) originals.set(path, text)
      await writeFile(
        path,
        text.replace(from, () => to),
      )
    }
    return async () => {
      for (const [path, text] of originals) await writeFile(path, text)
    }
  }

  /** Runs the tests of all these files whose names match any of these. @throws Error when there are none */
  async test(some: readonly Tests[]): Promise<readonly TestEnded[]> {
    const report = join(this.#directory, 'report.json')
    await rm(report, { force: true })
    const program = join(repository, 'node_modules/vitest/vitest.mjs')
    const files = [...new Set(some.map(({ file }) => file))]
    const names = some.map(({ named }) => named).join('|')
    const args = [program, 'run', ...files, '-t', names, '--reporter=json', `--outputFile=${report}`]
    await new Promise<void>((resolve) => {
      execFile(process.execPath, args, { cwd: this.#directory, timeout: runMsMax, maxBuffer: 2 ** 28 }, () => resolve())
    })
    const { testResults } = JSON.parse(await readFile(report, 'utf8')) as Report
    const ended = testResults.flatMap(({ name, assertionResults }) =>
      assertionResults
        .filter(({ status }) => status === 'passed' || status === 'failed')
        .map(({ status, fullName }) => ({
          file: relative(this.#directory, name),
          title: fullName,
          passed: status === 'passed',
        })),
    )
    if (ended.length === 0) throw new Error(`No test of ${files.join(', ')} ran`)
    return ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}

interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}
