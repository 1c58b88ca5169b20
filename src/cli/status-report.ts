/** What `status` prints. */
import type { PipelineStatus, SourceStatus, WriterStatus } from '../index.js'
import { formatBytes, formatDuration, formatExactly, plural } from './figures.js'
import { padEnd, printable, widthOf } from './printable.js'

/** Several lines for people. */
export function describeStatus(status: SourceStatus, address: string): string {
  const lines = [`Source    ${address}`, ...(status.installed ? installed(status) : ['Capture   nothing is installed'])]
  return `${lines.map(printable).join('\n')}\n`
}

/** One line for scripts, with the names of the library in snake case. */
export function statusAsJson(status: SourceStatus): string {
  const { oldestWriter: writer } = status
  return JSON.stringify({
    event: 'status',
    installed: status.installed,
    position: status.sequence,
    changes: status.changes,
    bytes: status.bytes,
    pipelines: status.pipelines.map(({ id, position, seenAt, behind, lagMs, running }) => ({
      ...{ id, position, seen_at: seenAt, behind, lag_ms: lagMs, running },
    })),
    oldest_writer: writer && { ...writer, ageMs: undefined, age_ms: writer.ageMs },
  })
}

function installed({ sequence, changes, bytes, pipelines, oldestWriter }: SourceStatus): readonly string[] {
  return [
    `Capture   ${plural(changes, 'change')} kept in ${formatBytes(bytes)}, newest number ${formatExactly(sequence)}`,
    ...(oldestWriter === undefined ? [] : [`Unseen    ${writer(oldestWriter)}`]),
    '',
    ...(pipelines.length === 0 ? ['No pipeline is registered.'] : table(pipelines)),
  ]
}

function table(pipelines: readonly PipelineStatus[]): readonly string[] {
  const width = Math.max(8, ...pipelines.map(({ id }) => widthOf(printable(id))))
  const line = (id: string, position: string, behind: string, state: string) =>
    `${padEnd(printable(id), width)}  ${position.padStart(14)}  ${padEnd(behind, 26)}  ${state}`.trimEnd()
  return [
    line('pipeline', 'position', 'behind', 'state'),
    ...pipelines.map(({ id, position, behind, lagMs, running, seenAt }) =>
      line(
        id,
        formatExactly(position),
        lagMs === undefined ? 'nothing' : `${plural(behind, 'change')}, ${formatDuration(lagMs)}`,
        running ? 'running' : `stopped, last seen ${seenAt}`,
      ),
    ),
  ]
}

function writer({ pid, gid, user, state, ageMs }: WriterStatus): string {
  const who = pid === undefined ? `prepared transaction ${gid}` : `session ${pid}, ${state}`
  return `changes of an open transaction of ${user}, ${formatDuration(ageMs)} old (${who})`
}
