/** Which rights a run needs that this role does not have. Reads the catalog only. */
import { SyncError } from '../../core/errors.js'
import type { Finding } from '../../core/finding.js'
import type { PostgresTable } from './postgres-table.js'
import { quoteName } from './quoted-name.js'
import type { Session } from './session.js'
import { checkReading } from './table-selection.js'

/** Of the audit schema's objects as the catalog has them: names cannot be looked up in a schema that one may not use. */
const auditSql = `
with object as (
  select c.oid, c.relname as name from pg_catalog.pg_class c
  where c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = $1)
    and c.relname in ('surreal_sync_changes', 'surreal_sync_consumers', 'surreal_sync_meta')
  union all
  select d.objid, 'sequence' from pg_catalog.pg_depend d
  join pg_catalog.pg_class c on c.oid = d.refobjid and c.relname = 'surreal_sync_changes'
  join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
  where c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = $1) and d.deptype = 'i'
)
select o.name, pg_catalog.has_table_privilege(o.oid, 'select'), pg_catalog.has_table_privilege(o.oid, 'insert'),
  pg_catalog.has_table_privilege(o.oid, 'update'), pg_catalog.has_table_privilege(o.oid, 'delete'), o.oid::pg_catalog.regclass
from object o`

const schemaSql = `
select pg_catalog.has_schema_privilege(n.oid, 'usage'), current_user from pg_catalog.pg_namespace n where n.nspname = $1`

const columnOf = { select: 1, insert: 2, update: 3, delete: 4 } as const

interface Need {
  readonly id: string
  readonly object: string
  readonly rights: readonly (keyof typeof columnOf)[]
  /** What fails without it. */
  readonly use: string
  readonly outcome: 'warning' | 'problem'
}

const needs: readonly Need[] = [
  {
    id: 'source.rights.changes',
    object: 'surreal_sync_changes',
    rights: ['select'],
    use: 'read changes',
    outcome: 'problem',
  },
  {
    id: 'source.rights.sequence',
    object: 'sequence',
    rights: ['select'],
    use: 'know where the source is',
    outcome: 'problem',
  },
  {
    id: 'source.rights.meta',
    object: 'surreal_sync_meta',
    rights: ['select'],
    use: 'recognise the audit table',
    outcome: 'problem',
  },
  {
    ...{ id: 'source.rights.position', object: 'surreal_sync_consumers', rights: ['select', 'insert', 'update'] },
    ...{ use: 'write down how far it has come', outcome: 'problem' },
  },
  {
    id: 'source.rights.prune',
    object: 'surreal_sync_changes',
    rights: ['delete'],
    use: 'remove changes that were applied',
    outcome: 'warning',
  },
  {
    id: 'source.rights.forget',
    object: 'surreal_sync_consumers',
    rights: ['delete'],
    use: 'forget a pipeline',
    outcome: 'warning',
  },
]

/** Rights on what is installed; none of it is, or all findings. */
export async function auditRights(session: Session, auditSchema: string): Promise<readonly Finding[]> {
  const doing = 'looking at rights'
  const [schema] = await session.rows(doing, schemaSql, [auditSchema])
  if (schema === undefined) return []
  const [usable, role] = schema
  const to = quoteName(role ?? '')
  const usage: Finding =
    usable === 't'
      ? {
          id: 'source.rights.schema',
          outcome: 'ok',
          message: `${role} may use the schema ${auditSchema} of the audit table`,
        }
      : {
          ...{ id: 'source.rights.schema', outcome: 'problem' },
          message: `${role} may not use the schema ${auditSchema} of the audit table`,
          remedy: `Run: grant usage on schema ${quoteName(auditSchema)} to ${to}`,
        }
  const objects = new Map((await session.rows(doing, auditSql, [auditSchema])).map((row) => [row[0], row]))
  return [
    usage,
    ...needs.flatMap(({ id, object, rights, use, outcome }): readonly Finding[] => {
      const found = objects.get(object)
      if (found === undefined) return []
      const missing = rights.filter((right) => found[columnOf[right]] !== 't')
      if (missing.length === 0) return [{ id, outcome: 'ok', message: `${role} may ${use}` }]
      const kind = object === 'sequence' ? 'sequence ' : ''
      const remedy = `Run: grant ${missing.join(', ')} on ${kind}${found[5]} to ${to}`
      return [{ id, outcome, message: `${role} may not ${use}`, remedy }]
    }),
  ]
}

/** For each table that cannot be read as a whole one finding, else one for all. */
export function readingRights(tables: readonly PostgresTable[]): readonly Finding[] {
  const problems = tables.flatMap((table): readonly Finding[] => {
    try {
      checkReading([table])
      return []
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      const id = error.code === 'E_RLS_FILTERED' ? 'source.rights.row_security' : 'source.rights.read'
      return [{ id, outcome: 'problem', message: error.message, remedy: error.details.hint, table: table.label }]
    }
  })
  if (problems.length > 0) return problems
  return [{ id: 'source.rights.read', outcome: 'ok', message: 'All rows of the selected tables may be read' }]
}
