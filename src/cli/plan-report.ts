/** What `plan` prints. */
import type { Mapping, PlannedTable, SourcePlan, TargetContent, TargetField, TargetTable } from '../index.js'
import { formatBytes, formatExactly, plural } from './figures.js'
import { inFlags } from './flag-names.js'
import { padEnd, printable, widthOf } from './printable.js'
import type { Settings } from './settings.js'
import { wrapped } from './wrapped.js'

export interface PlanParts {
  readonly address: string
  readonly plan: SourcePlan
  readonly mapping: Mapping
  /** Undefined: none was named. */
  readonly target: Settings['sink'] | undefined
  /** Undefined: the target was not looked at. */
  readonly content: readonly TargetContent[] | undefined
}

/** Several lines for people. @param columns Of the terminal, if there is one. */
export function planReport(parts: PlanParts, columns: number | undefined): string {
  const { address, plan, target, content } = parts
  const { tables, leftOut } = plan
  const where = target === undefined ? 'none named' : `namespace ${target.namespace}, database ${target.database}`
  const unseen = target !== undefined && content === undefined ? ' (an embedded target is not opened)' : ''
  const lines = [
    'Plan: nothing was changed on either side.',
    '',
    `Source   ${address}`,
    `Target   ${where}${unseen}`,
    '',
    ...installation(plan),
    '',
    `${plural(tables.length, 'table')}, ${rowsOf(tables)}, ${formatBytes(sum(tables.map(({ bytes }) => bytes)))}:`,
    ...tables.flatMap((table, index) => tableLines(table, index, parts)),
    ...section(
      'Left out:',
      leftOut.map(({ message, hint }) => inFlags(`${message}. ${hint}`)),
    ),
    ...section(
      'Warnings:',
      warningsOf(parts).map(({ message }) => `! ${message}`),
    ),
  ]
  const fitting = lines.flatMap((line) => wrapped(printable(line).trimEnd(), { columns, indent: indentOf(line) }))
  return `${fitting.join('\n')}\n`
}

/** One line for scripts, with the names of the library in snake case. */
export function planReportAsJson(parts: PlanParts): string {
  const { plan, mapping, target, content } = parts
  return JSON.stringify({
    event: 'plan',
    database: plan.database,
    audit_schema: plan.auditSchema,
    installed: plan.installed,
    to_namespace: target?.namespace,
    to_database: target?.database,
    tables: plan.tables.map(({ table, bytes, followed, captured, readable }, index) => ({
      table: table.label,
      target: mapping.tables[index]?.name,
      record_id: mapping.tables[index]?.recordId,
      key: table.key.map(({ name }) => name),
      rows_expected: table.rowCountEstimate,
      ...{ bytes, followed, captured, readable },
      filtered: table.shape?.where === undefined ? undefined : true,
      content: content?.[index]?.content,
      owned: content?.[index]?.owned,
      columns: columnsOf(parts, index).map(({ column, nullable, sourceType, form }) => ({
        column,
        source_type: sourceType,
        nullable,
        field: form.field,
        type: form.type,
        note: form.note,
      })),
    })),
    left_out: plan.leftOut.map(({ label, reason, message, hint }) => ({ table: label, reason, message, hint })),
    warnings: warningsOf(parts),
  })
}

function installation({ installed, auditSchema, tables }: SourcePlan): readonly string[] {
  const followed = tables.filter((table) => table.followed)
  const of = (captured: PlannedTable['captured']) => followed.filter((table) => table.captured === captured)
  const missing = [
    ...(of('no').length === 0 ? [] : [`${plural(of('no').length, 'table')} to capture`]),
    ...(of('partly').length === 0 ? [] : [`${plural(of('partly').length, 'table')} to complete`]),
    ...(of('yes').length === 0 ? [] : [`${plural(of('yes').length, 'table')} captured already`]),
  ]
  return [
    `Capture  in schema ${auditSchema}: ${installed ? 'the audit table is there' : 'an audit table to create'}${missing.map((part) => `, ${part}`).join('')}`,
    '         (a function and triggers for each table; --sql prints the script)',
  ]
}

function tableLines(planned: PlannedTable, index: number, parts: PlanParts): readonly string[] {
  const { table, bytes, followed, readable } = planned
  const mapped = parts.mapping.tables[index]
  const facts = [
    rowsOf([planned]),
    formatBytes(bytes),
    table.key.length === 0 ? 'no key' : `key ${table.key.map(({ name }) => name).join(', ')}`,
    ...(table.shape?.where === undefined ? [] : ['filtered']),
    ...(followed ? [] : ['only full syncs']),
    ...(readable ? [] : ['not readable by this role']),
    ...contentFacts(parts.content?.[index]),
  ]
  const columns = columnsOf(parts, index)
  const names = widest(columns.map(({ column }) => column ?? ''))
  const types = widest(columns.map(({ sourceType }) => sourceType ?? ''))
  return [
    '',
    `  ${table.label} → ${mapped?.recordId ?? ''}`,
    `    ${facts.join(', ')}`,
    ...columns.map(
      ({ column, sourceType, form }) =>
        `      ${padEnd(printable(column ?? ''), names)}  ${padEnd(printable(sourceType ?? ''), types)}  ${formText(column, form)}`,
    ),
  ]
}

function contentFacts(content: TargetContent | undefined): readonly string[] {
  if (content === undefined) return []
  if (content.content !== 'records') return [content.content === 'empty' ? 'target empty' : 'target not there']
  return [content.owned ? 'target copied before' : 'target holds records of others']
}

function formText(column: string | undefined, { field, type, note }: TargetField): string {
  const name = field === undefined ? ' (the record id)' : field === column ? '' : ` as ${field}`
  return `${type}${name}${note === undefined ? '' : `; ${note}`}`
}

/** The table's columns beside what each becomes. */
function columnsOf({ plan, mapping }: PlanParts, index: number) {
  const columns = plan.tables[index]?.table.columns ?? []
  return (mapping.tables[index]?.fields ?? ([] as TargetTable['fields'])).map((form) => {
    const column = columns.find(({ name }) => name === form.column)
    return { column: form.column, sourceType: column?.sourceType, nullable: column?.nullable, form }
  })
}

function warningsOf({ plan, mapping, content }: PlanParts) {
  const foreign = (content ?? []).filter(({ content: held, owned }) => held === 'records' && !owned)
  return [
    ...plan.warnings,
    ...mapping.warnings,
    ...foreign.map(({ label, name }) => ({
      code: 'target_not_empty',
      table: label,
      message: `The target table ${name} holds records that this pipeline did not write: see --existing`,
    })),
  ]
}

function rowsOf(tables: readonly PlannedTable[]): string {
  const known = tables.flatMap(({ table }) => table.rowCountEstimate ?? [])
  if (known.length === 0) return 'an unknown number of rows'
  return `${known.length < tables.length ? 'at least' : 'about'} ${formatExactly(sum(known))} rows`
}

/** What is listed goes on beneath its first word. */
function indentOf(line: string): number {
  return /^ *(?:! )?/.exec(line)?.[0].length ?? 0
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => widthOf(printable(text))))
}
