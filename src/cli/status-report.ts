/** What `status` prints. */
import type { CapturedTable, PipelineStatus, SourceStatus, WriterStatus } from '../index.js'
import { afterwards, describeDetachment } from './audit-limit-report.js'
import { formatBytes, formatDuration, formatExactly, plural } from './figures.js'
import { padEnd, printable, widthOf } from './printable.js'

interface StatusContext {
  readonly address: string
  /** What the audit table may take. Undefined: nobody said so. */
  readonly auditBytesMax: number | undefined
}

/** Several lines for people. */
export function describeStatus(status: SourceStatus, { address, auditBytesMax }: StatusContext): string {
  const lines = [
    `Source    ${address}`,
    ...(status.installed ? installed(status, auditBytesMax) : notInstalled(status.detached)),
  ]
  return `${lines.map(printable).join('\n')}\n`
}

/** One line for scripts, with the names of the library in snake case. */
export function statusAsJson(status: SourceStatus, auditBytesMax: number | undefined): string {
  const { oldestWriter: writer, detached } = status
  return JSON.stringify({
    event: 'status',
    installed: status.installed,
    position: status.sequence,
    changes: status.changes,
    bytes: status.bytes,
    bytes_max: auditBytesMax,
    tables: status.tables,
    pipelines: status.pipelines.map(({ seenAt, lagMs, lastError, ...rest }) => ({
      ...{ ...rest, seen_at: seenAt, lag_ms: lagMs, last_error: lastError },
    })),
    detached: detached && { at: detached.at, bytes: detached.bytes, bytes_max: detached.bytesMax },
    oldest_writer: writer && { ...writer, ageMs: undefined, age_ms: writer.ageMs },
  })
}

function notInstalled(detached: SourceStatus['detached']): readonly string[] {
  if (detached === undefined) return ['Capture   nothing is installed']
  return [`Capture   ${describeDetachment(detached)}`, `Next      ${afterwards}`]
}

function installed(
  { sequence, changes, bytes, tables, pipelines, oldestWriter }: SourceStatus,
  auditBytesMax: number | undefined,
): readonly string[] {
  return [
    `Capture   ${plural(changes, 'change')} kept in ${formatBytes(bytes)}, newest number ${formatExactly(sequence)}`,
    ...(auditBytesMax === undefined ? [] : [limit(bytes, auditBytesMax)]),
    ...(oldestWriter === undefined ? [] : [`Unseen    ${writer(oldestWriter)}`]),
    '',
    ...(pipelines.length === 0 ? ['No pipeline is registered.'] : pipelineLines(pipelines)),
    ...(tables.length === 0 ? [] : ['', ...tableLines(tables, pipelines)]),
  ]
}

function pipelineLines(pipelines: readonly PipelineStatus[]): readonly string[] {
  const width = widthOfAll(
    'pipeline',
    pipelines.map(({ id }) => id),
  )
  const line = (id: string, position: string, behind: string, state: string) =>
    `${padEnd(printable(id), width)}  ${position.padStart(14)}  ${padEnd(behind, 26)}  ${state}`.trimEnd()
  const failures = pipelines.flatMap(({ id, lastError }) =>
    lastError === undefined ? [] : [`Last error of ${id}: ${lastError.code}, ${lastError.at}`],
  )
  return [
    line('pipeline', 'position', 'behind', 'state'),
    ...pipelines.map(({ id, position, behind, lagMs, running, seenAt, phase }) =>
      line(
        id,
        formatExactly(position),
        lagMs === undefined ? 'nothing' : `${plural(behind, 'change')}, ${formatDuration(lagMs)}`,
        `${running ? 'running' : 'stopped'}${phase === undefined ? '' : phases[phase]}${running ? '' : `, last seen ${seenAt}`}`,
      ),
    ),
    ...failures,
  ]
}

function limit(bytes: number, bytesMax: number): string {
  const share = bytes > bytesMax ? 'EXCEEDED' : `${Math.floor((bytes / bytesMax) * 100)} % of it taken`
  return `Limit     ${formatBytes(bytesMax)}, ${share}`
}

const phases = { full: ' (copying)', incremental: ' (following)' } as const

/** With what pipelines do with a table, where they are copying it. */
function tableLines(tables: readonly CapturedTable[], pipelines: readonly PipelineStatus[]): readonly string[] {
  const width = widthOfAll(
    'table',
    tables.map(({ label }) => label),
  )
  const copying = pipelines.filter(({ phase }) => phase === 'full')
  const line = (label: string, rows: string, changes: string, state: string) =>
    `${padEnd(printable(label), width)}  ${rows.padStart(14)}  ${padEnd(changes, 26)}  ${state}`.trimEnd()
  const copied = (label: string) =>
    copying.flatMap(({ id, tables: reported }) => {
      const found = reported.find((table) => table.label === label)
      return found === undefined ? [] : [`${id}: ${found.state}, ${plural(found.rows, 'row')} copied`]
    })
  return [
    line('table', 'rows, about', 'changes kept', 'state'),
    ...tables.map(({ label, rows, changes, captured }) =>
      line(
        label,
        rows === undefined ? 'unknown' : formatExactly(rows),
        formatExactly(changes),
        [captured ? 'captured' : 'NOT CAPTURED', ...copied(label)].join('; '),
      ),
    ),
  ]
}

function widthOfAll(title: string, names: readonly string[]): number {
  return Math.max(title.length, ...names.map((name) => widthOf(printable(name))))
}

function writer({ pid, gid, user, state, ageMs }: WriterStatus): string {
  const who = pid === undefined ? `prepared transaction ${gid}` : `session ${pid}, ${state}`
  return `changes of an open transaction of ${user}, ${formatDuration(ageMs)} old (${who})`
}
