/** A connection for comparisons: what a pipeline wrote where, and in which forms. What it reads others decode. */
import { CborCodec } from 'surrealdb'
import { Connection } from '../../connections/surreal/connection.js'
import { toSyncError } from '../../connections/surreal/errors.js'
import { ask } from '../../connections/surreal/query.js'
import type { Key } from '../../core/batch.js'
import type { Checkpoint } from '../../core/checkpoint.js'
import { SyncError } from '../../core/errors.js'
import type { Column, Table } from '../../core/schema.js'
import type { Abortable } from '../../core/source.js'
import { findEncoding } from './encoding.js'
import { readKey } from './key-reader.js'
import type { SinkConfig } from './options.js'
import { type Holding, Ownership } from './ownership.js'
import { checkpointIn, readPipelineState } from './progress.js'
import { type QuarantinedRow, quarantineId, readEntries } from './quarantine-entries.js'
import { recordShape } from './record-id.js'
import { isThere } from './rehearsal.js'
import type { ValueForms } from './types.js'

const codec = new CborCodec({})

export class Inspection implements AsyncDisposable {
  readonly #config: SinkConfig
  readonly #connection: Connection
  readonly #pipeline: string
  readonly #options: Abortable

  private constructor(config: SinkConfig, connection: Connection, pipeline: string, options: Abortable) {
    this.#config = config
    this.#connection = connection
    this.#pipeline = pipeline
    this.#options = options
  }

  /** @throws SyncError `E_UNKNOWN_DATABASE`, `E_TARGET_PROTOCOL` below SurrealDB 3.0 */
  static async open(config: SinkConfig, pipeline: string, options: Abortable): Promise<Inspection> {
    const connection = new Connection(config.dial, { callTimeoutMs: config.callTimeoutMs, address: config.address })
    const inspection = new Inspection(config, connection, pipeline, options)
    try {
      await connection.open(options)
      if (!(await isThere(connection, config, options))) {
        throw new SyncError('E_UNKNOWN_DATABASE', `There is no database ${config.database} in SurrealDB`, {
          hint: 'Check the namespace and the database, or run a full sync first.',
        })
      }
      if ((await findEncoding(connection, options)) !== 'function') {
        throw new SyncError('E_TARGET_PROTOCOL', 'This version of SurrealDB cannot say what it holds without loss', {
          hint: 'Comparing needs SurrealDB 3.0 or newer.',
        })
      }
      return inspection
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  /** The results of all statements of a query. @throws SyncError */
  async query(text: string, bindings: Record<string, unknown> = {}): Promise<readonly unknown[]> {
    const { results, failure } = await this.#connection.call((db) => ask(db, text, bindings), this.#options)
    if (failure !== undefined) throw toSyncError(failure)
    return results
  }

  tableName(table: Table): string {
    return this.#config.tableName(table)
  }

  forms(table: Table, column: Column): ValueForms {
    return this.#config.choices.forms(table, column)
  }

  /** The rows that are kept aside. */
  quarantined(): Promise<readonly QuarantinedRow[]> {
    return readEntries(this.#connection, this.#pipeline, this.#options)
  }

  /** Forgets some of them. No run of the pipeline may be going on. */
  async releaseQuarantined(records: readonly string[]): Promise<void> {
    await this.query('DELETE $released RETURN NONE;', {
      released: records.map((record) => quarantineId(this.#pipeline, record)),
    })
  }

  async checkpoint(): Promise<Checkpoint | undefined> {
    return checkpointIn(await readPipelineState(this.#connection, this.#pipeline, this.#options), this.#pipeline)
  }

  /** The target tables that the pipeline writes to. */
  async holdings(): Promise<ReadonlyMap<string, Holding>> {
    const ownership = new Ownership(this.#connection, this.#pipeline)
    await ownership.load(this.#options)
    return ownership.holdings
  }

  /** The key behind the CBOR of the key part of a record id. Undefined: no row of the table can have it. */
  keyOf(table: Table, id: Uint8Array): Key | undefined {
    const [first] = table.key
    if (first === undefined) return undefined
    const { bare } = recordShape(table, this.tableName(table), this.forms(table, first))
    return readKey(table, bare, codec.decode(id))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close()
  }
}
