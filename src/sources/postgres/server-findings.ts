/** What the server and its settings mean for a run. Reads only, outside of any transaction: those have settings of their own. */
import type { Finding } from '../../core/finding.js'
import type { Session } from './session.js'

export interface ServerNeeds {
  /** How many parts of tables are to be read at once. */
  readonly concurrency: number
  /** How many tables are selected. */
  readonly tables: number
  /** From which age on an open transaction is warned of. @defaultValue five minutes */
  readonly openTransactionMsMax?: number
}

/** Beside the readers: the lease, the audit table, an acknowledgement, the structure of tables. */
const ownConnections = 4
const limits = { skewMsMax: 5_000, openMsMax: 5 * 60_000, timeoutMsMin: 30_000 }

const settingsSql = `
select s.name, s.setting from pg_catalog.pg_settings s where s.name in ('statement_timeout', 'idle_session_timeout',
  'transaction_timeout', 'fsync', 'max_connections', 'superuser_reserved_connections', 'reserved_connections',
  'max_locks_per_transaction', 'max_prepared_transactions', 'server_version')`

const roleSql = `
select r.rolname, r.rolsuper, r.rolconnlimit, d.datconnlimit,
  (select pg_catalog.count(*) from pg_catalog.pg_stat_activity a where a.backend_type = 'client backend'),
  (select pg_catalog.count(*) from pg_catalog.pg_stat_activity a where a.usesysid = r.oid),
  (select pg_catalog.count(*) from pg_catalog.pg_stat_activity a where a.datname = d.datname),
  exists (select from pg_catalog.pg_db_role_setting x where x.setconfig::pg_catalog.text ~ 'session_replication_role=(replica|local)')
from pg_catalog.pg_roles r, pg_catalog.pg_database d
where r.rolname = current_user and d.datname = pg_catalog.current_database()`

/** Sessions of others are seen without their times by roles that are not members of pg_read_all_stats. */
const openSql = `
select a.pid::pg_catalog.text, a.usename, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start) * 1000
from pg_catalog.pg_stat_activity a where a.xact_start is not null and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
union all
select p.gid, p.owner, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - p.prepared) * 1000 from pg_catalog.pg_prepared_xacts p
order by 3 desc limit 1`

export async function serverFindings(session: Session, needs: ServerNeeds): Promise<readonly Finding[]> {
  const doing = 'looking at settings of the server'
  const rows = await session.rows(doing, settingsSql)
  const settings = new Map(rows.map(([name, setting]) => [name ?? '', setting ?? '']))
  const [role] = await session.rows(doing, roleSql)
  const [open] = await session.rows(doing, openSql)
  const [name = '', superuser, ...counts] = role ?? []
  return [
    timeouts(settings, name ?? ''),
    durability(settings),
    connections(settings, { superuser: superuser === 't', counts: counts.map(Number) }, needs),
    locks(settings, needs),
    transactions(open, needs),
    replicationRole(counts.at(-1) === 't'),
    superuserFinding(name ?? '', superuser === 't'),
    await clock(session),
  ]
}

/** Transactions of ours have no limit of the role's; what is between them does. */
function timeouts(settings: ReadonlyMap<string, string>, role: string): Finding {
  const id = 'source.timeouts'
  const names = ['statement_timeout', 'idle_session_timeout', 'transaction_timeout']
  const short = names.filter((name) => {
    const ms = Number(settings.get(name) ?? 0)
    return ms > 0 && (name !== 'statement_timeout' || ms < limits.timeoutMsMin)
  })
  if (short.length === 0)
    return { id, outcome: 'ok', message: 'No timeout of the role ends sessions or transactions of a run' }
  return {
    ...{ id, outcome: 'warning' },
    message: `${short.map((name) => `${name} is ${settings.get(name)} ms`).join(', ')}: sessions of a run may be ended by it and begin again`,
    remedy: `Run: ${short.map((name) => `alter role ${role} set ${name} = 0`).join('; ')}`,
  }
}

function durability(settings: ReadonlyMap<string, string>): Finding {
  const id = 'source.durability'
  if (settings.get('fsync') !== 'off')
    return { id, outcome: 'ok', message: 'Committed changes survive a crash of the server' }
  const message = 'fsync is off: after a crash of the server the target may have changes that the source has lost'
  return { id, outcome: 'warning', message, remedy: 'Set fsync = on, or run a full sync after every crash.' }
}

function connections(
  settings: ReadonlyMap<string, string>,
  { superuser, counts }: { readonly superuser: boolean; readonly counts: readonly number[] },
  { concurrency }: ServerNeeds,
): Finding {
  const id = 'source.connections'
  const [roleMax = -1, databaseMax = -1, used = 0, ofRole = 0, ofDatabase = 0] = counts
  const number = (name: string) => Number(settings.get(name) ?? 0)
  const reserved = superuser ? 0 : number('superuser_reserved_connections') + number('reserved_connections')
  const free = Math.min(
    number('max_connections') - reserved - used,
    roleMax < 0 ? Number.POSITIVE_INFINITY : roleMax - ofRole,
    databaseMax < 0 ? Number.POSITIVE_INFINITY : databaseMax - ofDatabase,
  )
  const needed = concurrency + ownConnections
  const message = `${Math.max(0, free)} connections are free, and a run takes up to ${needed}`
  if (free >= needed) return { id, outcome: 'ok', message }
  const remedy = 'Raise max_connections or the limit of the role, or lower `concurrency`.'
  return { id, outcome: free < ownConnections ? 'problem' : 'warning', message, remedy }
}

/** A copy in one snapshot locks all tables at once. */
function locks(settings: ReadonlyMap<string, string>, { tables }: ServerNeeds): Finding {
  const id = 'source.locks'
  const number = (name: string) => Number(settings.get(name) ?? 0)
  const slots = number('max_locks_per_transaction') * (number('max_connections') + number('max_prepared_transactions'))
  const message = `The server has room for ${slots} locks, tables selected: ${tables}`
  if (tables * 2 <= slots) return { id, outcome: 'ok', message }
  return { id, outcome: 'warning', message, remedy: "Raise max_locks_per_transaction, or use `snapshot: 'chunked'`." }
}

function transactions(
  open: readonly (string | null)[] | undefined,
  { openTransactionMsMax = limits.openMsMax }: ServerNeeds,
): Finding {
  const id = 'source.transactions'
  const [name, user, age] = open ?? []
  const minutes = Math.floor(Number(age ?? 0) / 60_000)
  if (open === undefined || Number(age ?? 0) < openTransactionMsMax)
    return { id, outcome: 'ok', message: 'No transaction that this role sees has been open for long' }
  return {
    ...{ id, outcome: 'warning' },
    message: `A transaction of ${user} (${name}) has been open for ${minutes} min: its own changes, and tables that it has locked, wait for it`,
    remedy: 'Find it in pg_stat_activity or pg_prepared_xacts, and end it if nobody needs it.',
  }
}

function replicationRole(set: boolean): Finding {
  const id = 'source.replication_role'
  if (!set) return { id, outcome: 'ok', message: 'No role or database has session_replication_role set' }
  const message =
    'session_replication_role is set for a role or a database: triggers that are not ENABLE ALWAYS do not fire for its writes'
  return {
    id,
    outcome: 'warning',
    message,
    remedy: 'Have an owner install (see source.capture), or take the setting back.',
  }
}

function superuserFinding(role: string, superuser: boolean): Finding {
  const id = 'source.role'
  if (!superuser) return { id, outcome: 'ok', message: `${role} is an ordinary role` }
  const message = `${role} is a superuser, who may do far more than a run takes`
  return {
    id,
    outcome: 'warning',
    message,
    remedy: 'Use a role of its own: see `surreal-sync plan postgresql --sql --role NAME`.',
  }
}

/** Half of what the question took may be on the way. */
async function clock(session: Session): Promise<Finding> {
  const before = Date.now()
  const [row] = await session.rows(
    'reading the clock',
    `select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000`,
  )
  const after = Date.now()
  return clockFinding('source.clock', Number(row?.[0]) - (before + after) / 2)
}

function clockFinding(id: string, skewMs: number): Finding {
  const seconds = (Math.abs(skewMs) / 1_000).toFixed(1)
  const message = `The clock of PostgreSQL is ${seconds} s ${skewMs < 0 ? 'behind' : 'ahead of'} this machine's`
  if (Math.abs(skewMs) <= limits.skewMsMax) return { id, outcome: 'ok', message }
  return {
    id,
    outcome: 'warning',
    message,
    remedy: 'Set the clocks by NTP: nothing but figures of lag depends on them.',
  }
}
