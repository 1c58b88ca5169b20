/** Tables that need not be looked at as a whole again before each chunk of theirs is read. */
import { SyncError } from '../../core/errors.js'
import { introspectTables } from './introspect.js'
import { isKeyedByAddress, keyedByAddress } from './keyless-table.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'
import { readMarks } from './table-marks.js'
import type { TableShaper } from './table-shape.js'

interface KnownTable {
  readonly table: PostgresTable
  readonly mark: string
}

const namesSql = 'select pg_catalog.to_regclass($1)::pg_catalog.oid'

export class KnownTables {
  readonly #known = new Map<number, KnownTable>()

  readonly #shaper: TableShaper

  private constructor(shaper: TableShaper) {
    this.#shaper = shaper
  }

  /** Looks at all of them at once. The marks come first: what changes in between is found by them. */
  static async load(session: Session, tables: readonly PostgresTable[], shaper: TableShaper): Promise<KnownTables> {
    const made = new KnownTables(shaper)
    if (tables.length === 0) return made
    const marks = await readMarks(session, tables)
    for (const table of await asTheyAre(session, tables, shaper)) {
      const mark = marks.get(table.oid)
      if (mark !== undefined) made.#known.set(table.oid, { table, mark: mark.whole })
    }
    return made
  }

  /** The table as it was at the beginning. @throws SyncError `E_TABLE_GONE` */
  at(table: PostgresTable): PostgresTable {
    const known = this.#known.get(table.oid)?.table
    if (known?.relation === table.relation) return known
    throw tableGone(table)
  }

  /**
   * How the table's rows are to be decoded now. The session must have locked it.
   * @throws SyncError `E_TABLE_GONE`
   */
  async current(session: Session, table: PostgresTable): Promise<PostgresTable> {
    const known = this.#known.get(table.oid)
    if (known?.table.relation === table.relation && (await this.#isSame(session, known))) return known.table
    const [now] = await asTheyAre(session, [table], this.#shaper)
    if (now?.relation === table.relation) return now
    throw tableGone(table)
  }

  /** A schema's new name leaves no mark at its tables. */
  async #isSame(session: Session, { table, mark }: KnownTable): Promise<boolean> {
    const [named] = await session.rows('looking at names of tables', namesSql, [table.relation])
    if (Number(named?.[0]) !== table.oid) return false
    return (await readMarks(session, [table])).get(table.oid)?.whole === mark
  }
}

export function tableGone({ label }: PostgresTable, cause?: unknown): SyncError {
  return new SyncError('E_TABLE_GONE', `${label} was dropped or renamed while it was copied`, {
    table: label,
    hint: 'Run the full sync again.',
    cause,
  })
}

/** The same tables as they are now; the same objects where nothing has changed, because sinks know tables by the object. */
async function asTheyAre(
  session: Session,
  tables: readonly PostgresTable[],
  shaper: TableShaper,
): Promise<readonly PostgresTable[]> {
  const current: PostgresTable[] = []
  for (const keyless of [false, true]) {
    const before = new Map(tables.filter((it) => isKeyedByAddress(it) === keyless).map((table) => [table.oid, table]))
    if (before.size === 0) continue
    const found = await introspectTables(session.client, [...before.keys()], keyless)
    for (const now of await shaper.shapeAll(session, found)) {
      const table = before.get(now.oid)
      if (table?.fingerprint === now.fingerprint) current.push(table)
      else current.push(keyless ? keyedByAddress(now) : now)
    }
  }
  return current
}
