/** SQL of the configuration: expressions that stand in the statements which read rows, in both phases. */

import { publicMessage, sourceError, stateOf } from '../../connections/postgres/errors.js'
import { SyncError } from '../../core/errors.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'
import { type SqlToken, tokensOf } from './sql-tokens.js'

export interface RowExpression {
  readonly sql: string
  /** `undefined`: it is the table's filter. */
  readonly field?: string
}

/** On lines of its own, so that nothing before it can reach it. */
export function inParentheses(sql: string): string {
  return `(\n${sql}\n)`
}

/** The table as it stands in FROM where expressions are to be evaluated. */
export function fromOf({ relation, only }: Pick<PostgresTable, 'relation' | 'only'>): string {
  return `${only ? 'only ' : ''}${relation} t`
}

/** The expressions of a table's shape. */
export function expressionsOf({ shape }: PostgresTable): readonly RowExpression[] {
  const { where, compute = {} } = shape ?? {}
  const fields = Object.entries(compute).flatMap(([field, how]) =>
    typeof how === 'function' ? [] : [{ field, sql: how.sql }],
  )
  return [...(where === undefined ? [] : [{ sql: where }]), ...fields]
}

/**
 * Whether the expression can be kept: what it says of a row may depend on nothing but the row, because nobody logs when
 * anything else changes. Within a transaction; changes nothing.
 * @throws SyncError `E_CONFIG`
 */
export async function checkExpression(
  session: Session,
  table: PostgresTable,
  expression: RowExpression,
): Promise<void> {
  const tokens = typeof expression.sql === 'string' ? tokensOf(expression.sql) : 'it is no text'
  const flaw = typeof tokens === 'string' ? tokens : (shapeFlaw(tokens) ?? (await functionFlaw(session, tokens)))
  if (flaw !== undefined) throw refusedExpression(table, expression, flaw)
  // In a WHERE there are no aggregates, and nothing that makes several rows of one.
  const condition = inParentheses(expression.sql) + (expression.field === undefined ? '' : ' is not null')
  await judged(table, expression, () =>
    session.rows(
      `checking ${nameOf(expression)} of ${table.label}`,
      `explain select 1 from ${fromOf(table)} where ${condition}`,
    ),
  )
}

/** Where PostgreSQL refuses the expression, that is said. @throws SyncError `E_CONFIG` */
export async function judged<T>(table: PostgresTable, expression: RowExpression, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!/^(22|42(?!501)|0A)/.test(stateOf(error) ?? '')) throw error
    throw refusedExpression(table, expression, publicMessage(error instanceof SyncError ? error.cause : error), error)
  }
}

export function refusedExpression(
  { label }: PostgresTable,
  expression: RowExpression,
  flaw: string,
  cause?: unknown,
): SyncError {
  const name = nameOf(expression)
  const example = expression.field === undefined ? 'active and amount > 0' : 'price * quantity'
  return new SyncError(
    'E_CONFIG',
    `${name.charAt(0).toUpperCase()}${name.slice(1)} of ${label} cannot be used: ${flaw}`,
    {
      table: label,
      column: expression.field,
      hint: `Write an expression of its columns, like "${example}"; qualify what is not in pg_catalog.`,
      cause,
    },
  )
}

/** What a statement that reads rows of the table failed with: it may have been an expression, for the values of some row. */
export function readingError(error: unknown, table: PostgresTable, doing = 'reading'): SyncError {
  const { label } = table
  const expressions = expressionsOf(table)
  if (expressions.length === 0 || !/^(22|38|42|P0)/.test(stateOf(error) ?? '')) {
    return sourceError(error, `${doing} ${label}`, { table: label })
  }
  const [only] = expressions.length === 1 ? expressions : []
  return sourceError(error, `${doing} ${label} and working out ${expressions.map(nameOf).join(', ')}`, {
    table: label,
    column: only?.field,
    hint: 'Write SQL in a shape so that it holds for every row, like "amount / nullif(count, 0)".',
  })
}

/** Whether it takes the row as a whole, and so says something else when a column comes or goes. In doubt it does. */
export function usesWholeRow({ sql }: RowExpression): boolean {
  const tokens = tokensOf(sql)
  if (typeof tokens === 'string') return true
  return tokens.some(({ kind, text }, index) => {
    if ((kind !== 'word' && kind !== 'quoted') || text !== 't') return false
    const column = tokens[index + 1]?.text === '.' ? tokens[index + 2]?.kind : undefined
    return column !== 'word' && column !== 'quoted'
  })
}

function nameOf({ field }: RowExpression): string {
  return field === undefined ? 'the filter' : `the field ${field}`
}

/** Words that stand for the moment or for who asks. */
const momentary = new Set(
  `current_catalog current_date current_role current_schema current_time current_timestamp current_user localtime
  localtimestamp session_user system_user user`.split(/\s+/),
)
/** Columns that change when no trigger fires. */
const systemColumns = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax'])

/** What is wrong by its form. */
function shapeFlaw(tokens: readonly SqlToken[]): string | undefined {
  if (tokens.length === 0) return 'it is empty'
  let depth = 0
  for (const [index, { kind, text }] of tokens.entries()) {
    if (text === '(') depth += 1
    if (text === ')') depth -= 1
    if (depth < 0) return 'it closes a parenthesis that it has not opened'
    if (text === ';') return 'it contains a semicolon'
    if (kind !== 'word') continue
    const subquery = text === 'select' || text === 'table' || (text === 'values' && tokens[index + 1]?.text === '(')
    if (subquery) return 'it contains a subquery, whose rows change without a change of the row'
    if (momentary.has(text)) return `it contains ${text}, which changes without a change of the row`
    if (systemColumns.has(text)) return `it contains ${text}, which changes without a change of the row`
  }
  return depth === 0 ? undefined : 'it opens a parenthesis that it does not close'
}

/** Names are enough: where one of that name is volatile, all are taken to be; where it is stable without arguments, such calls. */
const functionsSql = `
select n.nspname, p.proname, pg_catalog.bool_and(p.provolatile = 's' and n.nspname = 'pg_catalog' and p.pronargs = 0
  and p.proname <> 'current_setting')
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.proname = any($1::pg_catalog.name[]) and (p.provolatile = 'v'
  or p.provolatile = 's' and (p.pronargs = 0 or n.nspname <> 'pg_catalog' or p.proname = 'current_setting'))
group by 1, 2`

async function functionFlaw(session: Session, tokens: readonly SqlToken[]): Promise<string | undefined> {
  const calls = tokens.flatMap(({ kind, text }, index) => {
    if ((kind !== 'word' && kind !== 'quoted') || tokens[index + 1]?.text !== '(') return []
    const qualified = tokens[index - 1]?.text === '.' && tokens[index - 2]?.kind !== 'other'
    const empty = tokens[index + 2]?.text === ')'
    return [{ schema: qualified ? (tokens[index - 2]?.text ?? '') : 'pg_catalog', name: text, empty }]
  })
  if (calls.length === 0) return undefined
  const rows = await session.rows('looking at the functions of an expression', functionsSql, [
    calls.map(({ name }) => name),
  ])
  const found = calls.find((call) =>
    rows.some(([schema, name, onlyEmpty]) => {
      return call.schema === schema && call.name === name && (call.empty || onlyEmpty !== 't')
    }),
  )
  return found && `it calls ${found.name}, which is not immutable: its result changes without a change of the row`
}
