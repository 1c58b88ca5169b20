/**
 * Notices changes that no row trigger sees: altered columns, rewritten, recreated and renamed tables, attached and
 * detached partitions, disabled triggers. Such a table is captured again and replaced as a whole.
 */
import type { SyncWarning } from '../../core/events.js'
import { isCaptured } from './capture-state.js'
import type { Connections } from './connections.js'
import type { Installer } from './installer.js'
import { introspectTables } from './introspect.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'

/**
 * Changes whenever the catalog's rows about a table do; `VACUUM` and `ANALYZE` leave it alone. Cheap, and good for
 * nothing but noticing: what really changed is then found by introspection.
 */
const marksSql = `
select o.oid, pg_catalog.md5(pg_catalog.concat_ws('|',
  (select pg_catalog.string_agg(pg_catalog.concat_ws(':', c.oid, c.xmin, c.relfilenode), ',' order by c.oid)
     from pg_catalog.pg_class c where c.oid = o.oid or c.oid in (select t.relid from pg_catalog.pg_partition_tree(o.oid) t)),
  (select n.xmin || n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = o.oid),
  (select pg_catalog.string_agg(a.attnum || ':' || a.xmin, ',' order by a.attnum) from pg_catalog.pg_attribute a where a.attrelid = o.oid and a.attnum > 0),
  (select pg_catalog.string_agg(i.indexrelid || ':' || i.xmin, ',' order by i.indexrelid) from pg_catalog.pg_index i where i.indrelid = o.oid),
  (select pg_catalog.string_agg(g.oid || ':' || g.xmin, ',' order by g.oid) from pg_catalog.pg_trigger g
    where g.tgname like 'surreal\\_sync\\_%' and (g.tgrelid = o.oid or g.tgrelid in (select t.relid from pg_catalog.pg_partition_tree(o.oid) t)))
))
from pg_catalog.unnest($1::oid[]) as o(oid)`

export class StructureWatch {
  readonly #connections: Connections
  readonly #installer: Installer
  readonly #warn: (warning: SyncWarning) => void
  readonly #tables = new Map<number, PostgresTable>()
  #marks: ReadonlyMap<number, string> = new Map()
  #pending = new Set<number>()

  constructor(
    connections: Connections,
    installer: Installer,
    tables: readonly PostgresTable[],
    warn: (warning: SyncWarning) => void,
  ) {
    this.#connections = connections
    this.#installer = installer
    this.#warn = warn
    for (const table of tables) this.#tables.set(table.oid, table)
  }

  /** The tables that are followed, by oid, as they must be decoded. */
  get tables(): ReadonlyMap<number, PostgresTable> {
    return this.#tables
  }

  /** Tables that must be replaced as a whole before anything else is believed about them. */
  get pending(): ReadonlySet<number> {
    return this.#pending
  }

  /** These tables have been replaced. */
  replaced(oids: Iterable<number>): void {
    for (const oid of oids) this.#pending.delete(oid)
  }

  /** How each table is read now, for positions: what is still to be replaced is left out on purpose. */
  structures(): Readonly<Record<string, string>> {
    const settled = [...this.#tables.values()].filter(({ oid }) => !this.#pending.has(oid))
    return Object.fromEntries(settled.map(({ oid, fingerprint }) => [String(oid), fingerprint]))
  }

  /** Whether these tables are still what they were at the last {@link look}, in the session's snapshot. */
  async same(session: Session, oids: Iterable<number>): Promise<boolean> {
    const marks = await readMarks(session, [...oids])
    return [...marks].every(([oid, mark]) => this.#marks.get(oid) === mark)
  }

  /**
   * Looks at every table. One whose structure differs from `known` (by oid, from a position) or from the last look is
   * captured again and marked as pending; one that is gone is no longer followed.
   */
  async look(known: Readonly<Record<string, string>> = {}): Promise<void> {
    const marks = await this.#connections.use((session) => readMarks(session, [...this.#tables.keys()]))
    const moved = [...this.#tables.keys()].filter((oid) => this.#marks.get(oid) !== marks.get(oid))
    if (moved.length > 0) await this.#inspect(moved, known)
    this.#marks = marks
  }

  async #inspect(oids: readonly number[], known: Readonly<Record<string, string>>): Promise<void> {
    const { current, states } = await this.#connections.use((session) =>
      session.within('look', async () => {
        const found = await introspectTables(session.client, oids)
        return { current: found, states: await this.#installer.states(session, found) }
      }),
    )
    const uncaptured = states.filter((state) => !isCaptured(state)).map(({ table }) => table)
    if (uncaptured.length > 0) await this.#installer.install(uncaptured)
    const found = new Map(current.map((table) => [table.oid, table]))
    for (const oid of oids) {
      const before = this.#tables.get(oid)
      const after = found.get(oid)
      if (before === undefined) continue
      if (after === undefined) this.#gone(before)
      else this.#compare(before, after, known[String(oid)] ?? before.fingerprint, uncaptured.includes(after))
    }
  }

  #gone(table: PostgresTable): void {
    this.#tables.delete(table.oid)
    this.#pending.delete(table.oid)
    this.#warn({
      code: 'table_gone',
      table: table.label,
      message: `${table.label} no longer exists or can no longer be followed; its records stay in the target`,
    })
  }

  #compare(before: PostgresTable, after: PostgresTable, fingerprint: string, uncaptured: boolean): void {
    this.#tables.set(after.oid, after)
    if (after.fingerprint === fingerprint && before.label === after.label && !uncaptured) return
    this.#pending.add(after.oid)
    this.#warn({
      code: 'table_replaced',
      table: after.label,
      message: `${after.label} was altered, rewritten or not captured for a while: it is copied again as a whole`,
    })
  }
}

async function readMarks(session: Session, oids: readonly number[]): Promise<ReadonlyMap<number, string>> {
  const rows = await session.rows('looking at the structure of tables', marksSql, [oids])
  return new Map(rows.map(([oid, mark]) => [Number(oid), mark ?? '']))
}
