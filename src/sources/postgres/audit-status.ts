/** What an operator wants to know of the audit table and of who reads it. Reads only. */
import type { SyncErrorCode } from '../../core/errors.js'
import type { Phase } from '../../core/events.js'
import type { TableReport } from '../../core/source.js'
import { type CapturedTable, readCapturedTables } from './captured-tables.js'
import type { Connections } from './connections.js'
import { type AuditDetachment, readDetachment } from './detachment.js'
import { lastSequence } from './fence.js'
import { isRunning } from './pipeline-lease.js'
import { readReport } from './run-report.js'
import type { AuditNames } from './schema.sql.js'
import type { Session } from './session.js'

/** What is captured, and who reads it. */
export interface SourceStatus {
  /** False: nothing is installed, and everything else but `detached` is empty. */
  readonly installed: boolean
  /** The number of the newest change, committed or not. */
  readonly sequence: number
  /** What the audit table takes, its index included. */
  readonly bytes: number
  /** Changes that are kept. Counted up to a million. */
  readonly changes: number
  /** Tables whose changes are captured, or were, by name. */
  readonly tables: readonly CapturedTable[]
  /** By id. */
  readonly pipelines: readonly PipelineStatus[]
  /** The transaction that has been holding unseen changes for longest. */
  readonly oldestWriter: WriterStatus | undefined
  /** When and why everything was removed by the policy `detach`. Undefined: it was not, or was installed again. */
  readonly detached: AuditDetachment | undefined
}

/** How far one pipeline has come. */
export interface PipelineStatus {
  readonly id: string
  /** Everything up to this number is in its target. Written about once a second while it moves. */
  readonly position: number
  /** When it said so, ISO 8601. */
  readonly seenAt: string
  /** Changes after its position. Counted up to a million. */
  readonly behind: number
  /** The age of the oldest of them, in milliseconds. Undefined: there is none. */
  readonly lagMs: number | undefined
  /** Whether a run of it holds its lease now. */
  readonly running: boolean
  /** Of the last run. Undefined: it did not get that far. */
  readonly phase: Phase | undefined
  /** How far the last run came with each table, by name: up to 1,000 of them, and up to five seconds old. */
  readonly tables: readonly TableReport[]
  /** Of the last run that failed, where the source could be told. */
  readonly lastError: { readonly code: SyncErrorCode; readonly at: string } | undefined
}

/** A transaction that holds up whoever waits for its end. */
export interface WriterStatus {
  /** Undefined: a prepared transaction, which belongs to no session. */
  readonly pid: number | undefined
  /** Of a prepared transaction. */
  readonly gid: string | undefined
  readonly user: string
  /** `active`, `idle in transaction`, …, or `prepared`. */
  readonly state: string
  readonly ageMs: number
}

/** Counting has to end. */
const countMax = 1_000_000

const installedSql = 'select pg_catalog.to_regclass($1) is not null and pg_catalog.to_regclass($2) is not null'

const summarySql = ({ changes }: AuditNames) => `
select pg_catalog.pg_total_relation_size($1::pg_catalog.regclass),
  (select pg_catalog.count(*) from (select 1 from ${changes} limit ${countMax}) counted)`

const pipelinesSql = ({ changes, consumers }: AuditNames) => `
select r.id, r.position, pg_catalog.to_char(r.seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  (select pg_catalog.count(*) from (select 1 from ${changes} c where c.sequence_id > r.position limit ${countMax}) counted),
  (select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - c.changed_at) * 1000
    from ${changes} c where c.sequence_id > r.position order by c.sequence_id limit 1), r.report::pg_catalog.text
from ${consumers} r order by r.id`

/** Whoever has changes that nobody sees yet holds a lock on the audit table until the end of the transaction. */
const writerSql = `
select a.pid, p.gid, coalesce(a.usename, p.owner), coalesce(a.state, 'prepared'),
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
left join pg_catalog.pg_prepared_xacts p on l.pid is null and l.virtualtransaction = '-1/' || p.transaction::pg_catalog.text
where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
  and l.relation = $1::pg_catalog.regclass
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
order by 5 desc nulls last limit 1`

const nothing: SourceStatus = {
  installed: false,
  sequence: 0,
  bytes: 0,
  changes: 0,
  tables: [],
  pipelines: [],
  oldestWriter: undefined,
  detached: undefined,
}

export function readStatus(connections: Connections, names: AuditNames, auditSchema: string): Promise<SourceStatus> {
  return connections.use((session) => session.within('look', () => readStatusWithin(session, names, auditSchema)))
}

async function detachment(session: Session, names: AuditNames): Promise<AuditDetachment | undefined> {
  const mark = await readDetachment(session, names)
  return mark && { at: mark.at, bytes: mark.bytes, bytesMax: mark.bytesMax }
}

/** The same within a transaction. */
export async function readStatusWithin(
  session: Session,
  names: AuditNames,
  auditSchema: string,
): Promise<SourceStatus> {
  const doing = 'reading the status'
  const { changes, consumers } = names
  const [installed] = await session.rows(doing, installedSql, [changes, consumers])
  if (installed?.[0] !== 't') return { ...nothing, detached: await detachment(session, names) }
  const [summary] = await session.rows(doing, summarySql(names), [changes])
  const rows = await session.rows(doing, pipelinesSql(names))
  const pipelines: PipelineStatus[] = []
  for (const [id, position, seenAt, behind, lagMs, report] of rows) {
    pipelines.push({
      id: id ?? '',
      position: Number(position),
      seenAt: seenAt ?? '',
      behind: Number(behind),
      lagMs: lagMs == null ? undefined : Math.max(0, Math.round(Number(lagMs))),
      running: await isRunning(session, id ?? ''),
      ...readReport(report),
    })
  }
  const [writer] = await session.rows(doing, writerSql, [changes])
  return {
    installed: true,
    sequence: await lastSequence(session, names),
    bytes: Number(summary?.[0] ?? 0),
    changes: Number(summary?.[1] ?? 0),
    tables: await readCapturedTables(session, names, auditSchema),
    pipelines,
    oldestWriter: writer && {
      pid: writer[0] == null ? undefined : Number(writer[0]),
      gid: writer[1] ?? undefined,
      user: writer[2] ?? '',
      state: writer[3] ?? '',
      ageMs: Math.max(0, Math.round(Number(writer[4] ?? 0))),
    },
    detached: undefined,
  }
}
