/** Checkpoints in a table of PostgreSQL, beside what is replicated or elsewhere. */
import { type PostgresPassword, parseConnection } from '../connections/postgres/connection-settings.js'
import type { PostgresTlsOptions } from '../connections/postgres/tls-settings.js'
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { RunContext } from '../core/source.js'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-text.js'
import { InTurn } from './in-turn.js'
import { PostgresClient } from './postgres-client.js'
import { isAlreadyMade, isMissingRelation, storeError } from './postgres-errors.js'

/** What is needed of a client or a pool of the package `pg`, or of another that fits. */
export interface PostgresQueries {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly object[] }>
}

/** Where a {@link PostgresCheckpointStore} keeps checkpoints: an address, or a client or pool of the program. */
export type PostgresCheckpointStoreOptions = {
  /** Where the table `surreal_sync_checkpoints` is. Made at the first save. @defaultValue `surreal_sync` */
  readonly schema?: string
} & (
  | {
      /**
       * `postgresql://user:password@host:5432/database`, read as the `url` of a {@link PostgresTriggerSource} is: what is missing
       * comes from `PGHOST`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE` or `~/.pgpass`, `PGSSLMODE` and so on, and `sslmode` means
       * what it means to libpq. Without one the server is verified in full, and only hosts near by may offer no TLS.
       */
      readonly url: string
      /** In place of those in the connection string. */
      readonly database?: string
      readonly user?: string
      /** Or a function that gets it: it is called for every new connection. */
      readonly password?: PostgresPassword
      /** In place of the parameters `sslmode`, `sslrootcert` and so on of the connection string. */
      readonly tls?: PostgresTlsOptions
      readonly client?: undefined
    }
  | {
      /** A connected client or a pool. The caller closes it. Its queries must not be within a transaction of the caller's. */
      readonly client: PostgresQueries
      readonly url?: undefined
    }
)

/** How often others may make the table, or remove it, while a statement needs it. */
const definitionsMax = 5
const ownTable = 'surreal_sync_checkpoints'

/**
 * Keeps checkpoints in the table `surreal_sync.surreal_sync_checkpoints` (`id`, `checkpoint`, `saved_at`), one row a pipeline.
 * A save is one statement that is durable when it resolves, also where the role or the server has `synchronous_commit = off`.
 * Saves of one store take effect in the order of the calls.
 *
 * The table is never replicated, whatever a source's options select. To look at it:
 * `select id, checkpoint::jsonb -> 'checkpoint', saved_at from surreal_sync.surreal_sync_checkpoints`.
 */
export class PostgresCheckpointStore implements CheckpointStore {
  readonly #queries: () => Promise<PostgresQueries>
  /** Undefined where the caller gave a client. */
  readonly #own: PostgresClient | undefined
  readonly #schema: string
  readonly #table: string
  readonly #turns = new InTurn()

  /** @throws SyncError `E_CONFIG` */
  constructor({ client, schema = 'surreal_sync', ...place }: PostgresCheckpointStoreOptions) {
    if (client !== undefined) {
      this.#queries = async () => client
    } else if (place.url !== undefined) {
      const own = new PostgresClient(parseConnection(place.url, place))
      this.#own = own
      this.#queries = () => own.queries()
    } else {
      throw new SyncError('E_CONFIG', 'The PostgreSQL checkpoint store has neither a url nor a client')
    }
    this.#schema = quoted(schema)
    this.#table = `${this.#schema}.${ownTable}`
  }

  /** From now on hears of a connection that others may read along (`plaintext`), or answer (`tls_unverified`). */
  async open({ warn }: Pick<RunContext, 'warn'>): Promise<void> {
    if (this.#own !== undefined) this.#own.warn = warn
  }

  /** @throws SyncError `E_CHECKPOINT_CORRUPT`, or what kept it from reading */
  async load(syncId: string): Promise<Checkpoint | undefined> {
    const rows = await this.#rows(`select checkpoint from ${this.#table} where id = $1`, [syncId]).catch(
      (error: unknown) => {
        if (isMissingRelation(error)) return []
        throw error
      },
    )
    const [row] = rows
    if (row === undefined) return undefined
    const text: unknown = Reflect.get(row, 'checkpoint')
    return decodeCheckpoint(typeof text === 'string' ? text : '', syncId)
  }

  /** @throws SyncError `E_RIGHTS` if the role may not write the table, or not make it */
  async probe(): Promise<void> {
    const [row] = await this.#rows(
      `select pg_catalog.current_setting('transaction_read_only') = 'on' as read_only,
        case
          when t.oid is not null then pg_catalog.has_table_privilege(t.oid, 'select')
            and pg_catalog.has_table_privilege(t.oid, 'insert') and pg_catalog.has_table_privilege(t.oid, 'update')
            and pg_catalog.has_schema_privilege(n.oid, 'usage')
          when n.oid is not null then pg_catalog.has_schema_privilege(n.oid, 'create')
          else pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')
        end as allowed
      from (select 1) as one
      left join pg_catalog.pg_namespace n on pg_catalog.quote_ident(n.nspname) = pg_catalog.quote_ident($1)
      left join pg_catalog.pg_class t on t.relnamespace = n.oid and t.relname = $2`,
      [unquoted(this.#schema), ownTable],
    )
    if (row !== undefined && Reflect.get(row, 'read_only') === true) {
      throw new SyncError(
        'E_CONFIG',
        'The PostgreSQL server for checkpoints takes no writes: it is a standby or read-only',
      )
    }
    if (row !== undefined && Reflect.get(row, 'allowed') === true) return
    throw new SyncError('E_RIGHTS', `The role may not keep checkpoints in ${this.#table}`, {
      hint: `Run as an owner: create schema if not exists ${this.#schema}; grant usage, create on schema ${this.#schema} to the role.`,
    })
  }

  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    const text = encodeCheckpoint(checkpoint, syncId)
    await this.#rows(this.#upsert(), [syncId, text], (client) => this.#define(client))
  }

  async close(): Promise<void> {
    await this.#turns.run(async () => this.#own?.close())
  }

  /**
   * The result of one statement.
   * @param define makes what the statement needs, where that is missing
   */
  #rows(
    text: string,
    values: unknown[],
    define?: (client: PostgresQueries) => Promise<void>,
  ): Promise<readonly object[]> {
    return this.#turns.run(async () => {
      try {
        const client = await this.#queries()
        for (let attempt = 1; ; attempt += 1) {
          try {
            const { rows } = await client.query(text, values)
            return rows
          } catch (error) {
            if (define === undefined || !isMissingRelation(error) || attempt === definitionsMax) throw error
            await define(client)
          }
        }
      } catch (error) {
        const known = storeError(error)
        if (known.retryable) void this.#own?.close()
        throw known
      }
    })
  }

  /** Where another store makes the same at this moment, one of the two fails, and what it wanted is there. */
  async #define(client: PostgresQueries): Promise<void> {
    const table = `create table if not exists ${this.#table}
      (id text primary key, checkpoint text not null, saved_at timestamptz not null)`
    try {
      // A role that may not make schemas may not say `create schema if not exists` either, even if there is one.
      await client.query(table).catch(async (error: unknown) => {
        if (!isMissingRelation(error)) throw error
        await client.query(`create schema if not exists ${this.#schema}`)
        await client.query(table)
      })
    } catch (error) {
      if (!isAlreadyMade(error)) throw error
    }
  }

  /** The setting lasts for this statement, which is a transaction of its own. */
  #upsert(): string {
    return `insert into ${this.#table} (id, checkpoint, saved_at)
      select $1, $2, pg_catalog.now()
      from (
        select pg_catalog.set_config('synchronous_commit',
          case pg_catalog.current_setting('synchronous_commit')
            when 'off' then 'on' else pg_catalog.current_setting('synchronous_commit') end, true) as mode
      ) as durable
      where durable.mode is not null
      on conflict (id) do update set checkpoint = excluded.checkpoint, saved_at = excluded.saved_at`
  }
}

function quoted(name: string): string {
  if (name === '' || name.includes('\0')) throw new SyncError('E_CONFIG', 'The schema for checkpoints has no name')
  return `"${name.replaceAll('"', '""')}"`
}

function unquoted(name: string): string {
  return name.slice(1, -1).replaceAll('""', '"')
}
