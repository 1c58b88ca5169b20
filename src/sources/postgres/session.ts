/** One connection in exclusive use: queries, and transactions with settings that end with them. */
import pg from 'pg'
import { sourceError } from '../../connections/postgres/errors.js'
import { watched } from '../../connections/postgres/watchdog.js'
import type { CopyRows } from './copy-rows.js'
import { type CopyOptions, copyRows } from './copy-stream.js'
import type { RateLimit } from './rate-limit.js'
import { readerSettings } from './reader-settings.js'

/** Cells as the text that PostgreSQL sends, or null. */
export type TextRow = readonly (string | null)[]

const asText = { getTypeParser: () => (text: string) => text }

const transactions = {
  /** Sees one state of the database, and cannot change it. */
  snapshot: 'begin isolation level repeatable read read only',
  /** Sees what is committed at each statement, and cannot change it. */
  look: 'begin isolation level read committed read only',
  /** May change the database. */
  change: 'begin isolation level read committed read write',
}

/** How long a statement waits for a lock, in milliseconds, unless the options say otherwise. */
export const lockTimeoutMs = 2_000

/** How long the server may send nothing while a statement runs. */
const silenceMs = 30_000
/** A COPY may have to pass over many dead rows first. */
const copySilenceFactor = 4

export interface SessionLimits {
  /** How long a statement of a transaction waits for a lock. @defaultValue 2,000 */
  readonly lockTimeoutMs?: number
  /** How long a statement of a transaction may take. @defaultValue no limit */
  readonly statementTimeoutMs?: number
  /** How many rows COPY may give in a second. @defaultValue no limit */
  readonly rate?: Pick<RateLimit, 'take'>
  /** How long the server may send nothing beyond that. @defaultValue 30,000 */
  readonly silenceMsMax?: number
}

/** Rows that a policy hides are an error, not an absence; and no limit of the role's own ends our transactions. */
const ownSettings: readonly (readonly [name: string, value: string])[] = [
  ['row_security', 'off'],
  ['idle_in_transaction_session_timeout', '0'],
]

export class Session {
  readonly client: pg.Client
  /** How long a statement of a transaction waits for a lock. */
  readonly lockTimeoutMs: number
  readonly #silenceMsMax: number
  readonly #statementTimeoutMs: number
  readonly #rate: Pick<RateLimit, 'take'> | undefined
  readonly #release: (broken: boolean) => void
  #released = false

  constructor(client: pg.Client, release: (broken: boolean) => void, limits: SessionLimits = {}) {
    this.client = client
    this.lockTimeoutMs = limits.lockTimeoutMs ?? lockTimeoutMs
    this.#silenceMsMax = (limits.silenceMsMax ?? silenceMs) + this.lockTimeoutMs
    this.#statementTimeoutMs = limits.statementTimeoutMs ?? 0
    this.#rate = limits.rate
    this.#release = release
  }

  /** The rows of one statement as text. @param doing Completes "While …". @throws SyncError */
  async rows(doing: string, text: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> {
    try {
      const query = { text, values: [...values], rowMode: 'array' as const, types: asText }
      const { rows } = await watched(this.client, this.#silenceMsMax, this.client.query<string[]>(query))
      return rows
    } catch (error) {
      throw sourceError(error, doing)
    }
  }

  /** Runs statements that return nothing of interest. Several are allowed, separated by semicolons. @throws SyncError */
  async run(doing: string, text: string): Promise<void> {
    try {
      await watched(this.client, this.#silenceMsMax, this.client.query(text))
    } catch (error) {
      throw sourceError(error, doing)
    }
  }

  /** A COPY statement in binary format; see {@link copyRows}. Its errors are PostgreSQL's own. */
  async *copy(sql: string, options: CopyOptions): AsyncGenerator<CopyRows, void, undefined> {
    const rows = copyRows(this.client, sql, options)
    try {
      for (;;) {
        const { done, value } = await watched(this.client, copySilenceFactor * this.#silenceMsMax, rows.next())
        if (done === true || value === undefined) return
        await this.#rate?.take(value.rowCount, options)
        yield value
      }
    } finally {
      await rows.return()
    }
  }

  /** Begins a transaction in which nothing of the connection's or the role's own settings matters. */
  begin(kind: keyof typeof transactions): Promise<void> {
    const timeouts = [
      ['lock_timeout', `${this.lockTimeoutMs}ms`],
      ['statement_timeout', `${this.#statementTimeoutMs}ms`],
    ] as const
    const locals = [...readerSettings, ...ownSettings, ...timeouts].map(
      ([name, value]) => `set local ${name} = ${pg.escapeLiteral(value)}`,
    )
    return this.run('beginning a transaction', [transactions[kind], ...locals].join('; '))
  }

  commit(): Promise<void> {
    return this.run('committing', 'commit')
  }

  /** Begins, works, and commits; a failure destroys the session and with it the transaction. */
  async within<T>(kind: keyof typeof transactions, work: () => Promise<T>): Promise<T> {
    await this.begin(kind)
    const result = await work()
    await this.commit()
    return result
  }

  /** Gives the connection back. Without an open transaction. */
  release(): void {
    this.#end(false)
  }

  /** Closes the connection, and so ends whatever it was doing. */
  destroy(): void {
    this.#end(true)
  }

  #end(broken: boolean): void {
    if (this.#released) return
    this.#released = true
    this.#release(broken)
  }
}
