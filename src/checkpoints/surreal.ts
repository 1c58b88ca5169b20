/** Checkpoints in a table of SurrealDB. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Surreal } from 'surrealdb'
import type { Checkpoint, CheckpointStore } from '../core/checkpoint.js'
import { SyncError } from '../core/errors.js'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-text.js'
import { InTurn } from './in-turn.js'
import { isMissing, surrealError } from './surreal-errors.js'

const conflictAttemptsMax = 10
const conflictDelayMs = 15

/** Where a {@link SurrealCheckpointStore} keeps checkpoints: an address, or a connection of the program. */
export type SurrealCheckpointStoreOptions =
  | {
      /**
       * `http://`, `https://`, `ws://`, `wss://` and a host, or `mem://`, `surrealkv://PATH`, `rocksdb://PATH`. A server is
       * spoken to by HTTP in any case.
       */
      readonly url: string
      readonly namespace: string
      readonly database: string
      readonly username?: string
      readonly password?: string
      /** Where the user is defined. By default the root, the namespace and the database are tried in turn. */
      readonly authLevel?: 'root' | 'namespace' | 'database'
      readonly connect?: undefined
    }
  | {
      /** Returns a connected, signed-in instance that uses a database. Called again after a failure. The caller closes it. */
      readonly connect: () => Promise<Surreal>
      readonly url?: undefined
    }

const callMsMax = 30_000
const closeMsMax = 5_000
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
  readonly #options: SurrealCheckpointStoreOptions
  readonly #turns = new InTurn()
  #db: Surreal | undefined
  /** Whether the connection uses the database. Not while there is none. */
  #selected = false

  /** @throws SyncError `E_CONFIG` */
  constructor(options: SurrealCheckpointStoreOptions) {
    if (options.url === undefined && typeof options.connect !== 'function') {
      throw new SyncError('E_CONFIG', 'The SurrealDB checkpoint store has neither a url nor a connect function')
    }
    if (options.url !== undefined && (options.username === undefined) !== (options.password === undefined)) {
      throw new SyncError('E_CONFIG', 'A username needs a password, and a password a username')
    }
    this.#options = options
  }

  /** @throws SyncError `E_CHECKPOINT_CORRUPT`, or what kept it from reading */
  async load(syncId: string): Promise<Checkpoint | undefined> {
    const { result, failure } = await this.#ask('SELECT VALUE checkpoint FROM $record;', { syncId })
    if (isMissing(failure)) return undefined
    if (failure !== undefined) throw surrealError(failure)
    const [text] = Array.isArray(result) ? result : []
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
    throw verdict.includes('surreal_sync: forbidden') ? notApplied() : surrealError(failure)
  }

  async save(syncId: string, checkpoint: Checkpoint): Promise<void> {
    const text = encodeCheckpoint(checkpoint, syncId)
    await this.#turns.run(async () => {
      for (let attempt = 1; ; attempt += 1) {
        const { result, failure } = await this.#answer(upsert, { syncId, text, define: true })
        const error = failure === undefined ? undefined : surrealError(failure)
        if (error === undefined && (!Array.isArray(result) || result[0] !== text)) throw notApplied()
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
  #ask(query: string, question: Question): Promise<Answer> {
    return this.#turns.run(() => this.#answer(query, question))
  }

  async #answer(query: string, { syncId, text, define = false }: Question): Promise<Answer> {
    try {
      const { RecordId } = await import('surrealdb')
      const db = await this.#connected()
      const bindings = { record: new RecordId(ownTable, syncId), text }
      if (!this.#selected) {
        if (!define) return { absent: true }
        await inTime(this.#makeDatabase(db))
      }
      const answer = await inTime(ask(db, query, bindings))
      if (answer.failure !== undefined && surrealError(answer.failure).code === 'E_CONNECTION_LOST') await this.#drop()
      if (!define || !isMissing(answer.failure)) return answer
      const { failure } = await inTime(ask(db, definition))
      return failure === undefined ? await inTime(ask(db, query, bindings)) : { failure }
    } catch (error) {
      await this.#drop()
      throw surrealError(error)
    }
  }

  async #connected(): Promise<Surreal> {
    if (this.#db !== undefined) return this.#db
    const options = this.#options
    if (options.url === undefined) {
      this.#db = await inTime(options.connect())
      this.#selected = true
    } else {
      const { openSurreal } = await import('./surreal-connection.js')
      this.#db = await openSurreal(options, inTime)
      this.#selected = await inTime(selectExisting(this.#db, options))
    }
    return this.#db
  }

  /** A user of the database alone may not make it, and need not. */
  async #makeDatabase(db: Surreal): Promise<void> {
    if (this.#options.url === undefined) return
    const { namespace, database } = this.#options
    await ask(db, `DEFINE NAMESPACE IF NOT EXISTS ${quoted(namespace)};`)
    await db.use({ namespace })
    await ask(db, `DEFINE DATABASE IF NOT EXISTS ${quoted(database)};`)
    await db.use({ namespace, database })
    this.#selected = true
  }

  /** Those that the caller connected are the caller's to close. */
  async #drop(): Promise<void> {
    const db = this.#db
    this.#db = undefined
    if (db !== undefined && this.#options.url !== undefined) await inTime(db.close(), closeMsMax).catch(() => undefined)
  }
}

interface Question {
  readonly syncId: string
  readonly text?: string
  /** Whether the table, and the database, are to be made where they are missing. */
  readonly define?: boolean
}

interface Answer {
  readonly result?: unknown
  readonly failure?: unknown
  /** There is no database that could be asked. */
  readonly absent?: true
}

interface Place {
  readonly namespace: string
  readonly database: string
}

const definition = `DEFINE TABLE IF NOT EXISTS ${ownTable} TYPE ANY SCHEMALESS;`
const upsert = 'UPSERT $record SET checkpoint = $text, saved_at = time::now() RETURN VALUE checkpoint;'
/** Fails at its end whatever happens before it, so that nothing is left of it. */
const rehearsal = `BEGIN;
${definition}
LET $written = (UPSERT $record SET checkpoint = $text RETURN VALUE checkpoint);
THROW 'surreal_sync: ' + (IF $written == [$text] { 'allowed' } ELSE { 'forbidden' });
COMMIT;`

async function ask(db: Surreal, query: string, bindings: Record<string, unknown> = {}): Promise<Answer> {
  const responses = await db.query(query, bindings).responses()
  const failures = responses.flatMap((response) => (response.success ? [] : [response.error]))
  const own = failures.find(({ message }) => !message.startsWith('The query was not executed due to')) ?? failures[0]
  if (own !== undefined) return { failure: own }
  const last = responses.at(-1)
  return { result: last?.success === true ? last.result : undefined }
}

/** SurrealDB 3 makes what is selected, and loading must not change anything. */
async function selectExisting(db: Surreal, { namespace, database }: Place): Promise<boolean> {
  if (await isAbsent(db, 'INFO FOR ROOT;', 'namespaces', namespace)) return false
  await db.use({ namespace })
  if (await isAbsent(db, 'INFO FOR NS;', 'databases', database)) return false
  await db.use({ namespace, database })
  return true
}

/** Users that may not know are users of something that is there. */
async function isAbsent(db: Surreal, query: string, kind: string, name: string): Promise<boolean> {
  const { result, failure } = await ask(db, query)
  const found: unknown = failure === undefined ? Reflect.get(Object(result), kind) : undefined
  return typeof found === 'object' && found !== null && !Object.hasOwn(found, name)
}

function quoted(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``
}

function notApplied(): SyncError {
  return new SyncError('E_WRITE_NOT_APPLIED', 'SurrealDB accepted a checkpoint without saving it', {
    hint: 'Give the user the role EDITOR or OWNER on the database.',
  })
}

/** @throws SyncError `E_CONNECTION_LOST` if the call does not settle in time */
async function inTime<T>(call: Promise<T>, timeoutMs = callMsMax): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new SyncError(
          'E_CONNECTION_LOST',
          `SurrealDB, where checkpoints are kept, did not answer within ${timeoutMs} ms`,
        ),
      )
    }, timeoutMs)
  })
  try {
    return await Promise.race([call, late])
  } finally {
    clearTimeout(timer)
  }
}
