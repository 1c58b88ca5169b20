/** Shell scripts as users type them, with the product's command and jq on the PATH. */
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface ShellResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const repository = fileURLToPath(new URL('../..', import.meta.url))
const tsx = join(repository, 'node_modules/tsx/dist/cli.mjs')

/** A temporary working directory in which scripts run. */
export class Shell implements AsyncDisposable {
  readonly directory: string
  readonly #bin: string

  private constructor(directory: string, bin: string) {
    this.directory = directory
    this.#bin = bin
  }

  static async open(): Promise<Shell> {
    const directory = await mkdtemp(join(tmpdir(), 'surreal-sync-shell-'))
    const bin = await mkdtemp(join(tmpdir(), 'surreal-sync-bin-'))
    await script(join(bin, 'surreal-sync'), `exec "${process.execPath}" "${tsx}" "${repository}/src/cli/main.ts" "$@"`)
    // Stands in for `jq -r .a.b.c` where jq is not installed.
    const find = `process.argv[2].split('.').filter(Boolean).reduce((value, name) => value[name], JSON.parse(require('fs').readFileSync(0)))`
    await writeFile(join(bin, 'jq.cjs'), `console.log(${find})\n`)
    await script(
      join(bin, 'jq'),
      `real=$(PATH="$SYSTEM_PATH" command -v jq) && exec "$real" "$@"; exec "${process.execPath}" "${bin}/jq.cjs" "$2"`,
    )
    return new Shell(directory, bin)
  }

  /** Runs a script as `bash -euo pipefail` would. */
  run(text: string, environment: Readonly<Record<string, string>> = {}): Promise<ShellResult> {
    const path = `${this.#bin}${delimiter}${process.env.PATH}`
    const env = { ...process.env, NO_COLOR: '1', SYSTEM_PATH: process.env.PATH, ...environment, PATH: path }
    const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
      cwd: this.directory,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      stdout += part
    })
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      stderr += part
    })
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout, stderr }))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.directory, this.#bin].map((path) => rm(path, { recursive: true, force: true })))
  }
}

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`)
  await chmod(path, 0o755)
}
