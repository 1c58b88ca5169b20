/** Why one table cannot be followed now. */
import { introspect, type SkippedTable } from './introspect.js'
import { quoteName } from './quoted-name.js'
import type { Session } from './session.js'

/** `undefined`: it does not exist; `none`: for no reason any more. */
export async function skipNow(session: Session, oid: number): Promise<SkippedTable | 'none' | undefined> {
  const sql = `select n.nspname, c.relname from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1`
  const [row] = await session.rows('looking at names of tables', sql, [oid])
  if (row === undefined) return undefined
  const { skipped } = await introspect(session.client, { tables: [row.map((name) => quoteName(name ?? '')).join('.')] })
  return skipped[0] ?? 'none'
}
