/** What a pipeline runs between and how it is started: servers of its own that can be ended, and the command as it ships. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'
import { type PostgresServer, startPostgres } from '../../src/demo/postgres-server.js'
import { type Command, startProgram } from '../e2e/command.js'
import { connectionFlags } from '../e2e/flags.js'
import { type SurrealServer, startSurreal } from '../support/surreal-server.js'

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

export interface PlaceOptions {
  /** Parameters of PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>
  /** Arguments of `node` for every command. */
  readonly node?: readonly string[]
}

/** Everything is gone at the end of its scope. */
export class Place implements AsyncDisposable {
  readonly postgres: PostgresServer
  /** The url of the source. */
  readonly source: string
  /** The working directory of every command. */
  readonly directory: string
  readonly versions: { readonly postgresql: string; readonly surrealdb: string }
  #surreal: SurrealServer
  readonly #cli: string
  readonly #node: readonly string[]

  private constructor(given: {
    readonly postgres: PostgresServer
    readonly source: string
    readonly directory: string
    readonly surreal: SurrealServer
    readonly cli: string
    readonly node: readonly string[]
    readonly surrealVersion: string
  }) {
    this.postgres = given.postgres
    this.source = given.source
    this.directory = given.directory
    this.versions = { postgresql: given.postgres.version, surrealdb: given.surrealVersion }
    this.#surreal = given.surreal
    this.#cli = given.cli
    this.#node = given.node
  }

  static async open({ settings = {}, node = [] }: PlaceOptions = {}): Promise<Place> {
    const directory = await mkdtemp(join(tmpdir(), 'surreal-sync-reliability-'))
    const cli = await buildCommand()
    const postgres = await startPostgres({ settings })
    const source = await postgres.createDatabase('source')
    const surreal = await startSurreal({ storage: storageIn(directory) })
    const surrealVersion = await versionOf(surreal)
    return new Place({ directory, cli, postgres, source, surreal, node, surrealVersion })
  }

  /** The address of the target. */
  get target(): string {
    return this.#surreal.ws
  }

  get surreal(): SurrealServer {
    return this.#surreal
  }

  /** Starts `surreal-sync COMMAND postgresql`. */
  start(command: string, flags: readonly string[], timeoutMs?: number): Command {
    const args = [...this.#node, join(this.#cli, 'cli.js'), command, 'postgresql']
    return startProgram(process.execPath, [...args, ...connectionFlags(this.source, this.target), ...flags], {
      cwd: this.directory,
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
  }

  /** Kills the target's process and starts another one on the same files, at the same address. */
  async killTarget(): Promise<void> {
    await this.#surreal.kill()
    this.#surreal = await startSurreal({ storage: storageIn(this.directory), port: this.#surreal.port })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#surreal.stop()
    await this.postgres.stop()
    await rm(this.#cli, { recursive: true, force: true })
    await rm(this.directory, { recursive: true, force: true })
  }
}

function storageIn(directory: string): string {
  return `surrealkv://${join(directory, 'target')}`
}

/** Bundles the command below the repository, where it finds its packages; the sources themselves take seconds to start. */
async function buildCommand(): Promise<string> {
  await mkdir(file('reports'), { recursive: true })
  const folder = await mkdtemp(file('reports/cli-'))
  const settings = { platform: 'node', target: 'node20', format: 'esm', splitting: true, silent: true } as const
  await build({ ...settings, entry: { cli: file('src/cli/main.ts') }, outDir: folder, config: false })
  return folder
}

async function versionOf(server: SurrealServer): Promise<string> {
  const answer = await fetch(`${server.http}/version`)
  const version = (await answer.text()).replace('surrealdb-', '')
  if (process.env.SURREAL_BIN) return version
  const { version: npm } = JSON.parse(await readFile(file('node_modules/@surrealdb/node/package.json'), 'utf8')) as {
    readonly version: string
  }
  return `${version}, the engine of @surrealdb/node ${npm} behind a WebSocket server in a process of its own`
}
