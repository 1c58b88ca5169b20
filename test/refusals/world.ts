/** A source and a target of its own for each refusal, and everything that the target holds, as text to compare. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import type { Surreal } from 'surrealdb'
import {
  PostgresTriggerSource,
  type PostgresTriggerSourceOptions,
  SurrealSink,
  type SurrealSinkSettings,
  SyncEngine,
  type SyncEngineOptions,
} from '../../src/index.js'
import { openServer } from '../e2e/target.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import type { SurrealServer } from '../support/surreal-server.js'

/** A value that no message may show. */
export const canary = 'c4nary-cell'
/** A password that no message may show. */
export const wrongPassword = 'c4nary-s3cret'

/** What to make an engine of: each may differ from what works. */
export interface Made {
  readonly source?: Partial<PostgresTriggerSourceOptions>
  readonly sink?: SurrealSinkSettings
  /** Where and as whom the sink connects. */
  readonly target?: Partial<Record<'url' | 'namespace' | 'database' | 'username' | 'password', string>>
  readonly engine?: Partial<SyncEngineOptions>
}

let count = 0

export class World implements AsyncDisposable {
  readonly database: TestDatabase
  /** A superuser's session at the source. */
  readonly client: pg.Client
  readonly server: SurrealServer
  /** The root user's session at the target. */
  db: Surreal
  readonly place: { readonly namespace: string; readonly database: string }
  /** An empty directory. */
  readonly directory: string
  readonly #ends: (() => Promise<unknown>)[] = []
  #copied: Promise<void> | undefined

  private constructor(made: Pick<World, 'database' | 'client' | 'server' | 'db' | 'place' | 'directory'>) {
    this.database = made.database
    this.client = made.client
    this.server = made.server
    this.db = made.db
    this.place = made.place
    this.directory = made.directory
  }

  static async open(server: SurrealServer): Promise<World> {
    count += 1
    const place = { namespace: `refusal_${count}`, database: 'd' }
    const [database, { db }, directory] = await Promise.all([
      createDatabase(),
      openServer(server.ws, place),
      mkdtemp(join(tmpdir(), 'surreal-sync-refusal-')),
    ])
    const client = await database.client()
    client.on('error', () => {})
    await client.query(`create table t (id int primary key, v text, at timestamptz);
      insert into t select n, '${canary}', '2024-01-01Z' from generate_series(1, 10) n`)
    return new World({ database, client, server, db, place, directory })
  }

  get url(): string {
    return `${this.database.url}?sslmode=disable`
  }

  /** To be done before the source and the target go. */
  later(end: () => Promise<unknown>): void {
    this.#ends.push(end)
  }

  engine({ source, sink, target, engine }: Made = {}): SyncEngine {
    const surreal = new SurrealSink({
      ...{ url: this.server.ws, username: 'root', password: 'root', ...this.place, ...target },
      ...sink,
    })
    return new SyncEngine({
      source: new PostgresTriggerSource({ url: this.url, ...source }),
      sink: surreal,
      checkpoints: surreal,
      retry: { attemptsMax: 3, delayMs: 1, delayMsMax: 1 },
      ...engine,
    })
  }

  /** A pipeline that has copied everything and applied a change. */
  async copied(made: Made = {}): Promise<void> {
    await this.engine(made).run({ phase: 'full' })
    await this.client.query(`update t set v = '${canary} 2' where id = 2`)
    await this.engine(made).run({ phase: 'incremental' })
  }

  /** The same for whichever of several refusals comes first. */
  async copiedOnce(): Promise<void> {
    this.#copied ??= this.copied()
    await this.#copied
  }

  /** Begins to follow, and resolves to the end of that run once it has caught up. */
  async following(made: Made = {}): Promise<{ readonly ended: Promise<unknown> }> {
    const engine = this.engine(made)
    const stop = new AbortController()
    const caughtUp = new Promise<void>((resolve) => engine.once('caughtUp', () => resolve()))
    const ended = engine.run({ phase: 'incremental', follow: true, signal: stop.signal })
    this.later(async () => {
      stop.abort()
      await ended.catch(() => undefined)
    })
    await Promise.race([caughtUp, ended])
    return { ended }
  }

  /** Destroys all connections of the target, ours too, so that whoever goes on signs in again. */
  async cut(): Promise<void> {
    await this.server.cutAll()
    this.db = (await openServer(this.server.ws, this.place)).db
  }

  /** As whoever may do so: past the guard of the audit table. */
  async unguarded(sql: string): Promise<void> {
    await this.client.query(`alter table surreal_sync_changes disable trigger all; ${sql};
      do $$ declare t name; begin for t in select tgname from pg_trigger where tgrelid = 'surreal_sync_changes'::regclass loop
        execute format('alter table surreal_sync_changes enable always trigger %I', t); end loop; end $$`)
  }

  /** Every definition and record of the target's database: of each table, its records as SurrealQL prints them. */
  async observe(): Promise<ReadonlyMap<string, string>> {
    const [definitions, names] = await this.db.query<[Record<string, unknown>, string[]]>(
      'INFO FOR DB; object::keys((INFO FOR DB).tables)',
    )
    const seen = new Map([['definitions', JSON.stringify(definitions)]])
    for (const name of names) {
      const [text] = await this.db.query<[string]>('RETURN <string>(SELECT * FROM type::table($name))', { name })
      seen.set(name, text)
    }
    return seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.reverse()) await end()
    await this.db.close()
    await this.database[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true, force: true })
  }
}
