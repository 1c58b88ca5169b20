/**
 * The role as which capture functions run: one that cannot log in and can do nothing but insert into the audit table. It
 * is made where the installer may make roles; elsewhere the functions run as the installer.
 */
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

/** What the installer may do about the role. */
interface DefinerState {
  /** `surreal_sync_<oid of the database>`: roles belong to the whole cluster. */
  readonly role: string
  readonly exists: boolean
  readonly superuser: boolean
  readonly version: number
  /** It is what this product makes: it cannot log in, has no special right and belongs to no other role. */
  readonly harmless: boolean
  /** This session may do what the role may. */
  readonly member: boolean
  readonly usable: boolean
  /** Nothing remains to be made or granted. */
  readonly ready: boolean
}

/**
 * The name is no secret, so somebody else may have made the role: one that can do more is not used.
 * PostgreSQL 16 needs the admin option to join a role, which whoever creates it has; before, CREATEROLE was enough.
 */
export const definerStateSql = `
with own as (
  select 'surreal_sync_' || d.oid as name, r.rolsuper, r.rolcreaterole,
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version
  from pg_catalog.pg_database d, pg_catalog.pg_roles r
  where d.datname = pg_catalog.current_database() and r.rolname = current_user
)
select o.name, r.oid is not null, o.rolsuper, o.version,
  r.oid is null or not (r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls
    or exists (select from pg_catalog.pg_auth_members m where m.member = r.oid)),
  r.oid is not null and pg_catalog.pg_has_role(r.oid, 'USAGE'),
  case when r.oid is null then o.rolsuper or o.rolcreaterole
    else o.rolsuper or pg_catalog.pg_has_role(r.oid, 'USAGE') or o.version < 160000 and o.rolcreaterole
      or o.version >= 160000 and pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') end
  and (o.rolsuper or r.oid is not null and pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')
    or pg_catalog.has_schema_privilege(n.oid, 'CREATE WITH GRANT OPTION'))
  and (o.rolsuper or r.oid is not null and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
    or pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION'))
  and (pg_catalog.has_table_privilege($2::pg_catalog.regclass, 'INSERT WITH GRANT OPTION')
    or r.oid is not null and pg_catalog.has_table_privilege(r.oid, $2::pg_catalog.regclass, 'INSERT')),
  r.oid is not null and (o.rolsuper or pg_catalog.pg_has_role(r.oid, 'USAGE'))
    and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
    and pg_catalog.has_table_privilege(r.oid, $2::pg_catalog.regclass, 'INSERT')
from own o
join pg_catalog.pg_namespace n on n.nspname = $1
left join pg_catalog.pg_roles r on r.rolname = o.name`

const rightsSql = `
select pg_catalog.has_schema_privilege($1::pg_catalog.name, $2, 'USAGE'), pg_catalog.has_table_privilege($1::pg_catalog.name, $3, 'INSERT'),
  pg_catalog.has_schema_privilege($1::pg_catalog.name, $2, 'CREATE')`

export class Definer {
  /** The role's name, which needs no quotes. */
  readonly role: string
  /** It is there, with the rights that it needs. */
  readonly ready: boolean
  readonly #names: AuditNames
  readonly #auditSchema: string
  readonly #superuser: boolean

  private constructor(
    { role, ready, superuser }: DefinerState,
    options: { readonly names: AuditNames; readonly auditSchema: string },
  ) {
    this.role = role
    this.ready = ready
    this.#names = options.names
    this.#auditSchema = options.auditSchema
    this.#superuser = superuser
  }

  /** The role if this session may use it for functions, whether or not it is there yet. The audit table must exist. */
  static async find(session: Session, names: AuditNames, auditSchema: string): Promise<Definer | undefined> {
    const state = await readState(session, names, auditSchema)
    if (!state.usable || !state.harmless) return undefined
    return new Definer(state, { names, auditSchema })
  }

  /** Makes the role ready, within the session's transaction. */
  async ensure(session: Session): Promise<void> {
    const doing = 'making the role of the capture functions'
    const { schema, changes } = this.#names
    const state = await readState(session, this.#names, this.#auditSchema)
    if (!state.exists) await session.run(doing, `create role ${this.role} nologin`)
    if (!state.superuser && !state.member) {
      const options = state.version >= 160_000 ? ' with inherit true, set true' : ''
      await session.run(doing, `grant ${this.role} to current_user${options}`)
    }
    const [usage, insert] = await this.#rights(session)
    if (usage !== 't') await session.run(doing, `grant usage on schema ${schema} to ${this.role}`)
    if (insert !== 't') await session.run(doing, `grant insert on ${changes} to ${this.role}`)
  }

  /** Gives functions to the role, within the session's transaction. For that moment it may create in the schema. */
  async adopt(session: Session, functions: readonly string[]): Promise<void> {
    const doing = 'giving the capture functions to their role'
    const { schema } = this.#names
    const [, , create] = await this.#rights(session)
    const lent = !this.#superuser && create !== 't'
    if (lent) await session.run(doing, `grant create on schema ${schema} to ${this.role}`)
    for (const name of functions) await session.run(doing, `alter function ${name}() owner to ${this.role}`)
    if (lent) await session.run(doing, `revoke create on schema ${schema} from ${this.role}`)
  }

  async #rights(session: Session): Promise<readonly (string | null)[]> {
    const { changes } = this.#names
    const [rights] = await session.rows('looking at the role of the capture functions', rightsSql, [
      this.role,
      this.#auditSchema,
      changes,
    ])
    return rights ?? []
  }
}

async function readState(session: Session, { changes }: AuditNames, auditSchema: string): Promise<DefinerState> {
  const rows = await session.rows('looking at the role of the capture functions', definerStateSql, [
    auditSchema,
    changes,
  ])
  const [role, exists, superuser, version, harmless, member, usable, ready] = rows[0] ?? []
  return {
    role: role ?? '',
    exists: exists === 't',
    superuser: superuser === 't',
    version: Number(version),
    harmless: harmless === 't',
    member: member === 't',
    usable: usable === 't',
    ready: ready === 't',
  }
}
