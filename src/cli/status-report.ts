/** What `status` prints. */
import type { CapturedTable, PipelineStatus, SourceStatus, WriterStatus } from '../index.js'
import { afterwards, describeDetachment } from './audit-limit-report.js'
import { formatBytes, formatDuration, formatExactly, plural } from './figures.js'
import { padEnd, printable, widthOf } from './printable.js'
import { wrapped } from './wrapped.js'

interface StatusContext {
  readonly address: string
  /** What the audit table may take. Undefined: nobody said so. */
  readonly auditBytesMax: number | undefined
  /** Of the terminal, if there is one. */
  readonly columns: number | undefined
}

/** Several lines for people. */
export function describeStatus(status: SourceStatus, context: StatusContext): string {
  const { address, columns } = context
  const lines = [
    `Source    ${address}`,
    ...(status.installed ? installed(status, context) : notInstalled(status.detached)),
  ]
  const fitting = lines.flatMap((line) => wrapped(printable(line), { columns, indent: indent(line) }))
  return `${fitting.join('\n')}\n`
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

/** What is said of something goes on beneath it; tables are as wide as they may be already. */
function indent(line: string): number {
  return /^(?:Source|Capture|Limit|Next|Unseen) +/.exec(line)?.[0].length ?? 0
}

function notInstalled(detached: SourceStatus['detached']): readonly string[] {
  if (detached === undefined) return ['Capture   nothing is installed']
  return [`Capture   ${describeDetachment(detached)}`, `Next      ${afterwards}`]
}

function installed(
  { sequence, changes, bytes, tables, pipelines, oldestWriter }: SourceStatus,
  { auditBytesMax, columns }: StatusContext,
): readonly string[] {
  return [
    `Capture   ${plural(changes, 'change')} kept in ${formatBytes(bytes)}, newest number ${formatExactly(sequence)}`,
    ...(auditBytesMax === undefined ? [] : [limit(bytes, auditBytesMax)]),
    ...(oldestWriter === undefined ? [] : [`Unseen    ${writer(oldestWriter)}`]),
    '',
    ...(pipelines.length === 0 ? ['No pipeline is registered.'] : pipelineLines(pipelines, columns)),
    ...(tables.length === 0 ? [] : ['', ...tableLines(tables, pipelines, columns)]),
  ]
}

function pipelineLines(pipelines: readonly PipelineStatus[], columns: number | undefined): readonly string[] {
  const failures = pipelines.flatMap(({ id, lastError }) =>
    lastError === undefined ? [] : [`Last error of ${id}: ${lastError.code}, ${lastError.at}`],
  )
  const rows = pipelines.map(({ id, position, behind, lagMs, running, seenAt, phase }) => [
    id,
    formatExactly(position),
    lagMs === undefined ? 'nothing' : `${plural(behind, 'change')}, ${formatDuration(lagMs)}`,
    `${running ? 'running' : 'stopped'}${phase === undefined ? '' : phases[phase]}${running ? '' : `, last seen ${seenAt}`}`,
  ])
  return [...aligned([['pipeline', 'position', 'behind', 'state'], ...rows], columns), ...failures]
}

function limit(bytes: number, bytesMax: number): string {
  const share = bytes > bytesMax ? 'EXCEEDED' : `${Math.floor((bytes / bytesMax) * 100)} % of it taken`
  return `Limit     ${formatBytes(bytesMax)}, ${share}`
}

const phases = { full: ' (copying)', incremental: ' (following)' } as const

/** With what pipelines do with a table, where they are copying it. */
function tableLines(
  tables: readonly CapturedTable[],
  pipelines: readonly PipelineStatus[],
  columns: number | undefined,
): readonly string[] {
  const copying = pipelines.filter(({ phase }) => phase === 'full')
  const copied = (label: string) =>
    copying.flatMap(({ id, tables: reported }) => {
      const found = reported.find((table) => table.label === label)
      return found === undefined ? [] : [`${id}: ${found.state}, ${plural(found.rows, 'row')} copied`]
    })
  const rows = tables.map(({ label, rows: count, changes, captured }) => [
    label,
    count === undefined ? 'unknown' : formatExactly(count),
    formatExactly(changes),
    [captured ? 'captured' : 'NOT CAPTURED', ...copied(label)].join('; '),
  ])
  return aligned([['table', 'rows, about', 'changes kept', 'state'], ...rows], columns)
}

/** Rows of a name, a figure and two texts. On a terminal what follows a long name, and the last text, go on beneath. */
function aligned(rows: readonly (readonly string[])[], columns: number | undefined): readonly string[] {
  const cells = rows.map((row) => row.map(printable))
  const [name = 0, figure = 0, text = 0] = [0, 1, 2].map((at) =>
    Math.max(...cells.map((row) => widthOf(row[at] ?? ''))),
  )
  const others = figure + text + 3 * '  '.length
  const first = columns === undefined ? name : Math.min(name, Math.max(nameMin, columns - others - stateMin))
  return cells.flatMap(([label = '', number = '', words = '', state = '']) => {
    const isLong = widthOf(label) > first
    const line = [padEnd(isLong ? '' : label, first), number.padStart(figure), padEnd(words, text), state].join('  ')
    return [...(isLong ? [label] : []), ...wrapped(line.trimEnd(), { columns, indent: first + others })]
  })
}

const nameMin = 20
const stateMin = 30

function writer({ pid, gid, user, state, ageMs }: WriterStatus): string {
  const who = pid === undefined ? `prepared transaction ${gid}` : `session ${pid}, ${state}`
  return `changes of an open transaction of ${user}, ${formatDuration(ageMs)} old (${who})`
}
