/** `COPY … TO STDOUT (FORMAT binary)` as an iteration over chunks of rows. */
import type { Client } from 'pg'
import type { BatchLimits } from '../../core/source.js'
import { CopyQuery } from './copy-query.js'
import type { CopyRows } from './copy-rows.js'

export type { CopyRows }

export interface CopyOptions extends BatchLimits {
  /** Ends the iteration by throwing the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * How many chunks may wait to be taken before the socket is paused.
   * @defaultValue 24, or as many as hold 8 MiB if those are fewer
   */
  readonly chunksMax?: number
  /** The names of the columns, for the refusal of a row that is too large. */
  readonly columnNames?: readonly string[]
}

/**
 * Runs a COPY statement in binary format, perhaps between `savepoint` and `release`, and gives its rows in chunks, reading
 * ahead by a few of them.
 *
 * A stream that ends early is an error, never the end of a table: the last chunk comes only after the trailer, the
 * CommandComplete message and the same number of rows in all three. PostgreSQL's own errors are thrown as they are (pg's
 * `DatabaseError`), and the connection can be used on. Whoever stops early, by `break`, `return()` or the signal, and
 * whoever gets a `SyncError`, **loses the connection**: it is closed by then, and a pool drops it at its release. There is
 * no cheaper way: a COPY that runs can only be read to its end or cancelled through a second connection.
 *
 * @throws SyncError `E_CONNECTION_LOST`, `E_SOURCE_PROTOCOL`, `E_ROW_TOO_LARGE`
 */
export async function* copyRows(
  client: Client,
  sql: string,
  options: CopyOptions,
): AsyncGenerator<CopyRows, void, undefined> {
  options.signal?.throwIfAborted()
  const query = new CopyQuery(client, sql, options)
  const abort = () => query.abort(options.signal?.reason)
  options.signal?.addEventListener('abort', abort, { once: true })
  try {
    client.query(query)
    for (;;) {
      const rows = await query.next()
      if (rows === undefined) return
      yield rows
    }
  } finally {
    await query.close()
    options.signal?.removeEventListener('abort', abort)
  }
}
