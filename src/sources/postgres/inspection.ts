/** A connection for comparisons: what is replicated, and which changes a transaction sees. What it reads others decode. */
import type { Position } from '../../core/checkpoint.js'
import type { Table } from '../../core/schema.js'
import type { Abortable } from '../../core/source.js'
import { readAuditState } from './audit-schema.js'
import type { Connections } from './connections.js'
import { decode, encode } from './position.js'
import type { AuditNames } from './schema.sql.js'
import type { Session, TextRow } from './session.js'
import type { TableSelection } from './table-pattern.js'
import { type KeylessTables, selectTables } from './table-selection.js'
import type { TableShaper } from './table-shape.js'

/** One connection, in nobody else's use, until it is disposed of. */
export interface SourceInspection extends AsyncDisposable {
  /** The tables that are replicated. */
  readonly tables: readonly Table[]
  /** The newest change that the connection's transaction sees. Undefined: nothing is captured. */
  readonly latest: (() => Promise<Position>) | undefined
  /** Runs one statement, in whatever transaction is open. @throws SyncError */
  readonly run: (text: string, values?: readonly unknown[]) => Promise<readonly TextRow[]>
  /** Negative: `a` is before `b`. Zero: the same point. */
  compare(a: Position, b: Position): number
}

export class Inspection implements SourceInspection {
  readonly tables: readonly Table[]
  readonly latest: (() => Promise<Position>) | undefined
  readonly #connections: Connections
  readonly #session: Session

  private constructor(
    connections: Connections,
    session: Session,
    tables: readonly Table[],
    names: AuditNames | undefined,
  ) {
    this.#connections = connections
    this.#session = session
    this.tables = tables
    this.latest = names === undefined ? undefined : () => this.#latest(names)
  }

  static async open(
    connections: Connections,
    names: AuditNames,
    selection: TableSelection & { readonly keyless?: KeylessTables; readonly shaper: TableShaper },
    { signal }: Abortable,
  ): Promise<Inspection> {
    signal?.throwIfAborted()
    const session = await connections.session()
    try {
      return await session.within('look', async () => {
        const keyless = selection.keyless ?? 'refuse'
        const tables = await selectTables(session, selection, { keyless, warn: () => {}, shaper: selection.shaper })
        const { relation } = await readAuditState(session, names)
        return new Inspection(connections, session, tables, relation === undefined ? undefined : names)
      })
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  readonly run = (text: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> =>
    this.#session.rows('comparing', text, values)

  compare(a: Position, b: Position): number {
    return decode(a).sequence - decode(b).sequence
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy()
    await this.#connections.close()
  }

  async #latest({ changes }: AuditNames): Promise<Position> {
    const [row] = await this.run(`select pg_catalog.max(sequence_id) from ${changes}`)
    return encode(decode(row?.[0] ?? '0'))
  }
}
