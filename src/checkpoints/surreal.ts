/** Checkpoints in a table of SurrealDB. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RecordId, type Surreal } from 'surrealdb'
import { dialAddress, type SurrealAddressOptions } from '../connections/surreal/access.js'
import { parseAddress } from '../connections/surreal/address.js'
import { Connection } from '../connections/surreal/connection.js'
import { customDial } from '../connections/surreal/dial.js'
import { toSyncError } from '../connections/surreal/errors.js'
import { type Answer, ask } from '../connections/surreal/query.js'
import { findSelected, selectExisting } from '../connections/surreal/select-database.js'
import { tlsWarning } from '../connections/surreal/tls.js'
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import type { SyncWarning } from '../core/events.js'
import type { RunContext } from '../core/source.js'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-text.js'
import { InTurn } from './in-turn.js'
import { isMissing, storeError } from './surreal-errors.js'

const conflictAttemptsMax = 10
const conflictDelayMs = 15

/**
 * Where a {@link SurrealCheckpointStore} keeps checkpoints: an address, or a connection of the program. A server is spoken to by
 * HTTP, or HTTPS where the address begins with `wss://`, in any case.
 */
export type SurrealCheckpointStoreOptions =
  | SurrealAddressOptions
  | {
      /** Returns a connected, signed-in instance that uses a database. Called again after a failure. The caller closes it. */
      readonly connect: () => Promise<Surreal>
      readonly url?: undefined
    }

const timeouts = { connectMsMax: 10_000, callMsMax: 30_000 }
const ownTable = 'surreal_sync_checkpoints'

/**
 * Keeps checkpoints in the table `surreal_sync_checkpoints`, one record a pipeline, named by its id. The table, and the database
 * if need be, are made at the first save. A save is one statement whose returned value proves that it took effect; saves of one
 * store take effect in the order of the calls.
 *
 * `SurrealSink` needs no such store: it keeps its checkpoint beside the rows. This one is for pipelines into other sinks. A
 * database file has one opener, so a sink and a store cannot both open one by its path.
 */
export class SurrealCheckpointStore implements CheckpointStore {
  readonly #connection: Connection
  /** Undefined where the caller connects. */
  readonly #place: Place | undefined
  /** What an operator should know of the address. */
  readonly #warning: SyncWarning | undefined
  readonly #turns = new InTurn()
  /** Whether anything has been answered since the connection was opened. */
  #proven = false
  /** The connection that is known to use the database. None does while there is no database. */
  #selectedOn: Surreal | undefined

  /** @throws SyncError `E_CONFIG` */
  constructor(options: SurrealCheckpointStoreOptions) {
    const { connectMsMax, callMsMax } = timeouts
    if (options.url !== undefined) {
      const given = parseAddress(options.url)
      const { label, embedded } = given
      // By HTTP every call is one request: there is no connection that could be lost between two saves.
      const address = { ...parseAddress(options.url.replace(/^ws(s?):/i, 'http$1:')), label }
      const { namespace, database, tls } = options
      this.#place = { namespace, database, embedded }
      this.#warning = tlsWarning(given, tls)
      const dial = dialAddress(options, address, connectMsMax)
      this.#connection = new Connection(dial, { callTimeoutMs: callMsMax, address: label })
    } else if (typeof options.connect === 'function') {
      const dial = customDial(options.connect, async () => undefined, connectMsMax)
      this.#connection = new Connection(dial, { callTimeoutMs: callMsMax })
    } else {
      throw new SyncError('E_CONFIG', 'The SurrealDB checkpoint store has neither a url nor a connect function')
    }
  }

  /** Says if others may read the connection along (`plaintext`), or answer (`tls_unverified`). */
  async open({ warn }: Pick<RunContext, 'warn'>): Promise<void> {
    if (this.#warning === undefined) return
    const { code, message } = this.#warning
    warn({ code, message: `Where checkpoints are kept: ${message}` })
  }

  /** @throws SyncError `E_CHECKPOINT_CORRUPT`, or what kept it from reading */
  async load(syncId: string): Promise<Checkpoint | undefined> {
    const { results, failure } = await this.#ask('SELECT VALUE checkpoint FROM $record;', { syncId })
    if (isMissing(failure)) return undefined
    if (failure !== undefined) throw storeError(failure)
    const [text] = [results.at(-1)].flat()
    if (text === undefined) return undefined
    return decodeCheckpoint(typeof text === 'string' ? text : '', syncId)
  }

  /** @throws SyncError `E_RIGHTS` if the user may not write here, and what kept it from finding out */
  async probe(syncId: string): Promise<void> {
    const { failure, absent } = await this.#ask(rehearsal, { syncId, text: 'probe' })
    // A database that is not there yet can only be asked for by making it.
    if (absent === true) return
    const verdict = failure instanceof Error ? failure.message : ''
    if (verdict.includes('surreal_sync: allowed')) return
    throw verdict.includes('surreal_sync: forbidden') ? notApplied() : storeError(failure)
  }

  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    const text = encodeCheckpoint(checkpoint, syncId)
    await this.#turns.run(async () => {
      for (let attempt = 1; ; attempt += 1) {
        const { results, failure } = await this.#answer(upsert, { syncId, text, define: true })
        const error = failure === undefined ? undefined : storeError(failure)
        const [saved] = [results.at(-1)].flat()
        if (error === undefined && saved !== text) throw notApplied()
        if (error === undefined) return
        // Another store saves under the same id at the same time.
        if (error.code !== 'E_BUSY' || attempt === conflictAttemptsMax) throw error
        await sleep(conflictDelayMs * attempt * (0.5 + Math.random()))
      }
    })
  }

  async close(): Promise<void> {
    await this.#turns.run(() => this.#drop())
  }

  /** What one query answered: the result of its last statement, or the failure that is no consequence of another. */
  #ask(query: string, question: Question): Promise<StoreAnswer> {
    return this.#turns.run(() => this.#answer(query, question))
  }

  async #answer(query: string, question: Question): Promise<StoreAnswer> {
    for (;;) {
      const proven = this.#proven
      try {
        const answer = await this.#connection.call((db) => this.#exchange(db, query, question), {})
        this.#proven = true
        if (answer.failure !== undefined && toSyncError(answer.failure).code === 'E_CONNECTION_LOST') await this.#drop()
        return answer
      } catch (error) {
        const known = storeError(error)
        if (this.#place?.embedded !== true) await this.#drop()
        // By HTTP every request shows the token. When that has expired, whoever is let in once more gets another.
        if (!proven || known.code !== 'E_AUTH') throw known
        // Once: what is refused then stays refused.
        this.#proven = false
      }
    }
  }

  async #exchange(db: Surreal, query: string, { syncId, text, define = false }: Question): Promise<StoreAnswer> {
    const bindings = { record: new RecordId(ownTable, syncId), text }
    if (this.#place !== undefined && this.#selectedOn !== db) {
      if (!(await isSelected(db, this.#place))) {
        if (!define) return { results: [], absent: true }
        await makeDatabase(db, this.#place)
      }
      this.#selectedOn = db
    }
    const answer = await ask(db, query, bindings)
    if (!define || !isMissing(answer.failure)) return answer
    const defined = await ask(db, definition)
    return defined.failure === undefined ? ask(db, query, bindings) : defined
  }

  async #drop(): Promise<void> {
    this.#proven = false
    this.#selectedOn = undefined
    await this.#connection.close()
  }
}

interface StoreAnswer extends Answer {
  /** There is no database that could be asked. */
  readonly absent?: true
}

interface Question {
  readonly syncId: string
  readonly text?: string
  /** Whether the table, and the database, are to be made where they are missing. */
  readonly define?: boolean
}

interface Place {
  readonly namespace: string
  readonly database: string
  readonly embedded: boolean
}

const definition = `DEFINE TABLE IF NOT EXISTS ${ownTable} TYPE ANY SCHEMALESS;`
const upsert = 'UPSERT $record SET checkpoint = $text, saved_at = time::now() RETURN VALUE checkpoint;'
/** Fails at its end whatever happens before it, so that nothing is left of it. */
const rehearsal = `BEGIN;
${definition}
LET $written = (UPSERT $record SET checkpoint = $text RETURN VALUE checkpoint);
THROW 'surreal_sync: ' + (IF $written == [$text] { 'allowed' } ELSE { 'forbidden' });
COMMIT;`

/** By HTTP, what is asked without a database may be answered by SurrealDB's default one: so that is looked at. */
async function isSelected(db: Surreal, { namespace, database }: Place): Promise<boolean> {
  await selectExisting(db, { namespace, database })
  const selected = await findSelected(db)
  return selected.namespace === namespace && selected.database === database
}

/** A user of the database alone may not make it, and need not. */
async function makeDatabase(db: Surreal, { namespace, database }: Place): Promise<void> {
  await ask(db, `DEFINE NAMESPACE IF NOT EXISTS ${quoted(namespace)};`)
  await db.use({ namespace })
  await ask(db, `DEFINE DATABASE IF NOT EXISTS ${quoted(database)};`)
  await db.use({ namespace, database })
}

function quoted(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``
}

function notApplied(): SyncError {
  return new SyncError('E_WRITE_NOT_APPLIED', 'SurrealDB accepted a checkpoint without saving it', {
    hint: 'Give the user the role EDITOR or OWNER on the database.',
  })
}
