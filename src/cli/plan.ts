/** What a dry run prints. */
import type { Plan, Table, TableShape } from '../index.js'
import { isEmbedded } from './connections.js'
import { formatExactly, plural } from './figures.js'
import { padEnd, printable, widthOf } from './printable.js'
import type { Settings } from './settings.js'

/** Several lines for people, or one JSON object on one line. */
export function describePlan(plan: Plan, settings: Settings): string {
  return settings.logFormat === 'json' ? planAsJson(plan, settings) : planAsText(plan, settings)
}

function planAsText(plan: Plan, settings: Settings): string {
  const { phases, tables, from } = plan
  const { sink, checkpointDir, id } = settings
  const steps = phases.map((phase) => (phase === 'full' ? fullStep(plan, settings) : incrementalStep(from, settings)))
  const names = Math.max(0, ...tables.map(({ label }) => widthOf(printable(label))))
  const lines = [
    isEmbedded(sink.url)
      ? 'Dry run: the source was checked, the target was not opened, and nothing was written.'
      : 'Dry run: both sides were checked and nothing was written.',
    '',
    `Pipeline     ${id}`,
    `Target       namespace ${sink.namespace}, database ${sink.database}`,
    `Checkpoints  ${checkpointDir ?? 'none'}`,
    '',
    'A run would',
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    '',
    `${plural(tables.length, 'table')}:`,
    ...tables.map((table) => `  ${padEnd(printable(table.label), names)}  ${describeTable(table)}`),
  ]
  return `${lines.map(printable).join('\n')}\n`
}

function planAsJson(
  { phases, tables, from, resumes }: Plan,
  { sink, checkpointDir, id, incrementalTo }: Settings,
): string {
  const plan = {
    event: 'plan',
    id,
    namespace: sink.namespace,
    database: sink.database,
    checkpoint_dir: checkpointDir,
    phases,
    resumes,
    from,
    to: incrementalTo,
    tables: tables.map(({ label, key, columns, rowCountEstimate, shape }) => ({
      table: label,
      as: shape?.as,
      filtered: shape?.where === undefined ? undefined : true,
      key: key.map(({ name }) => name),
      columns: columns.length,
      rows_expected: rowCountEstimate,
    })),
  }
  return `${JSON.stringify(plan)}\n`
}

function fullStep({ tables, resumes }: Plan, { checkpointDir }: Settings): string {
  const capture = checkpointDir === undefined ? '' : 'capture changes, and '
  return `${capture}${resumes ? 'go on with the copy of' : 'copy'} ${plural(tables.length, 'table')}`
}

function incrementalStep(from: string | undefined, { incrementalTo, timeoutMs }: Settings): string {
  const start = from === undefined ? 'since the copy began' : `after ${from}`
  const end = incrementalTo === undefined ? '' : `, up to ${incrementalTo}`
  return `apply the changes made ${start}${end}${timeoutMs === undefined ? '' : ', until the timeout'}`
}

function describeTable({ key, columns, rowCountEstimate, shape }: Table): string {
  const rows = rowCountEstimate === undefined ? '' : `, about ${formatExactly(rowCountEstimate)} rows`
  const names = key.map(({ name }) => name).join(', ')
  const parts = [`${plural(columns.length, 'column')}${rows}`, names === '' ? 'no key' : `key ${names}`]
  return [...parts, ...shapeParts(shape)].join(', ')
}

/** In a few words: filters and masks may tell what nobody needs to read in a log. */
function shapeParts(shape: TableShape | undefined): readonly string[] {
  if (shape === undefined) return []
  const { as, where, mask = {}, deletes = 'hard' } = shape
  const masks = Object.keys(mask).length
  return [
    ...(as === undefined ? [] : [`as ${as}`]),
    ...(where === undefined ? [] : ['filtered']),
    ...(masks === 0 ? [] : [plural(masks, 'mask')]),
    ...(deletes === 'hard' ? [] : [typeof deletes === 'string' ? `deletes ${deletes}` : 'deletes soft']),
  ]
}
