/** Filters of rows: SQL expressions that stand in the statements which read, in both phases. */
import { SyncError } from '../../core/errors.js'
import { publicMessage, stateOf } from './errors.js'
import type { PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'
import { type SqlToken, tokensOf } from './sql-tokens.js'

/** The condition for a WHERE, none where there is no filter. On a line of its own, so that nothing before it can reach it. */
export function filterOf({ shape }: PostgresTable): readonly string[] {
  return shape?.where === undefined ? [] : [`(\n${shape.where}\n)`]
}

/**
 * Whether the filters of these tables can be kept: what they say of a row may depend on nothing but the row, because nobody
 * logs when anything else changes. Within a transaction; changes nothing.
 * @throws SyncError `E_CONFIG`
 */
export async function checkFilters(session: Session, tables: readonly PostgresTable[]): Promise<void> {
  for (const table of tables) {
    const where = table.shape?.where
    if (where === undefined) continue
    const tokens = tokensOf(where)
    const flaw = typeof tokens === 'string' ? tokens : (shapeFlaw(tokens) ?? (await functionFlaw(session, tokens)))
    if (flaw !== undefined) throw refused(table, flaw)
    await explain(session, table)
  }
}

/** PostgreSQL's own judgement on names and types. */
async function explain(session: Session, table: PostgresTable): Promise<void> {
  const from = `${table.only ? 'only ' : ''}${table.relation} t`
  try {
    await session.rows(
      `checking the filter of ${table.label}`,
      `explain select 1 from ${from} where ${filterOf(table)}`,
    )
  } catch (error) {
    if (!/^(22|42|0A)/.test(stateOf(error) ?? '')) throw error
    throw refused(table, publicMessage(error instanceof SyncError ? error.cause : error), error)
  }
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

/** Names are enough: where one of that name is volatile, or stable without arguments, all are taken to be. */
const functionsSql = `
select n.nspname, p.proname from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.proname = any($1::pg_catalog.name[]) and (p.provolatile = 'v'
  or p.provolatile = 's' and (p.pronargs = 0 or n.nspname <> 'pg_catalog' or p.proname = 'current_setting'))`

async function functionFlaw(session: Session, tokens: readonly SqlToken[]): Promise<string | undefined> {
  const calls = tokens.flatMap(({ kind, text }, index) => {
    if ((kind !== 'word' && kind !== 'quoted') || tokens[index + 1]?.text !== '(') return []
    const qualified = tokens[index - 1]?.text === '.' && tokens[index - 2]?.kind !== 'other'
    return [{ schema: qualified ? (tokens[index - 2]?.text ?? '') : 'pg_catalog', name: text }]
  })
  if (calls.length === 0) return undefined
  const rows = await session.rows('looking at the functions of a filter', functionsSql, [calls.map(({ name }) => name)])
  const found = calls.find((call) => rows.some(([schema, name]) => call.schema === schema && call.name === name))
  return found && `it calls ${found.name}, which is not immutable: its result changes without a change of the row`
}

function refused({ label }: PostgresTable, flaw: string, cause?: unknown): SyncError {
  return new SyncError('E_CONFIG', `The filter of ${label} cannot be used: ${flaw}`, {
    table: label,
    hint: 'Write an expression of its columns, like "active and amount > 0"; qualify what is not in pg_catalog.',
    cause,
  })
}
