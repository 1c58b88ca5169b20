/**
 * The function that logs the keys of changed rows of one table. It runs as its owner in the sessions of writers, so every
 * name and operator in it is qualified, and no code of the table's owner runs in it: no cast, no user's operator.
 */
import pg from 'pg'
import type { PostgresTable } from './postgres-table.js'
import type { AuditNames } from './schema.sql.js'

/** Whether triggers fire for each row, or once for each statement with all of its rows. */
export type TriggerLevel = 'row' | 'statement'

/** What a capture function must be. */
export interface CaptureFunction {
  readonly body: string
  /** Settings that make the text of a key independent of the writer's session, as `name=value`. */
  readonly settings: readonly string[]
}

/** Names of the transition tables, which exist only inside of a statement trigger. */
export const transitionTables = { old: 'surreal_sync_old', new: 'surreal_sync_new' } as const

/** The unquoted name of a table's capture function. It follows the oid, so that renaming the table keeps it. */
export function captureName(oid: number): string {
  return `surreal_sync_capture_${oid}`
}

/** The same, quoted and qualified. */
export function captureFunction({ schema }: AuditNames, oid: number): string {
  return `${schema}.${captureName(oid)}`
}

export function captureBody(names: AuditNames, table: PostgresTable, level: TriggerLevel): CaptureFunction {
  const body = level === 'row' ? rowBody(names, table) : statementBody(names, table)
  return { body, settings: table.key.every(({ typeOid }) => steadyTypes.has(typeOid)) ? [] : textSettings }
}

/** Creates or replaces a table's capture function, callable by nobody. */
export function createCapture(names: AuditNames, table: PostgresTable, level: TriggerLevel): string {
  const name = captureFunction(names, table.oid)
  const { body, settings } = captureBody(names, table, level)
  const sets = settings.map((setting) => {
    const [key, value] = setting.split('=')
    return ` set ${key} = ${pg.escapeLiteral(value ?? '')}`
  })
  return `
create or replace function ${name}() returns trigger language plpgsql security definer${sets.join('')} as ${pg.escapeLiteral(body)};
revoke all on function ${name}() from public`
}

/** The operation and the key; both keys if the key changed, by its bytes and not by an equality that may be lax. */
function rowBody(names: AuditNames, table: PostgresTable): string {
  const row = (operation: string, record?: 'new' | 'old') =>
    values(table, operation, record === undefined ? 'null' : keyOf(table, record))
  const image = (record: 'new' | 'old') => `row(${table.key.map(({ quoted }) => `${record}.${quoted}`).join(', ')})`
  const log = (...rows: readonly string[]) =>
    `${insertInto(names)} values ${rows.map((each) => `(${each})`).join(', ')};`
  return `
begin
  if ${operationIs('UPDATE')} then
    if pg_catalog.record_image_eq(${image('old')}, ${image('new')}) then
      ${log(row('UPDATE', 'new'))}
    else
      ${log(row('DELETE', 'old'), row('INSERT', 'new'))}
    end if;
  elsif ${operationIs('INSERT')} then
    ${log(row('INSERT', 'new'))}
  elsif ${operationIs('DELETE')} then
    ${log(row('DELETE', 'old'))}
  else
    ${log(row('TRUNCATE'))}
  end if;
  return null;
end
`
}

/** Old and new rows of an UPDATE do not come in pairs: keys that only old rows have are logged as deleted. */
function statementBody(names: AuditNames, table: PostgresTable): string {
  const insert = insertInto(names)
  const key = keyOf(table, 'r')
  const from = (operation: string, record: 'new' | 'old') =>
    `select ${values(table, operation, key)} from ${transitionTables[record]} r`
  const keys = (record: 'new' | 'old') => `select ${key} from ${transitionTables[record]} r`
  const gone = `select ${values(table, 'DELETE', 'gone.key')} from (${keys('old')} except ${keys('new')}) gone(key)`
  return `
begin
  if ${operationIs('UPDATE')} then
    ${insert} ${from('UPDATE', 'new')} union all ${gone};
  elsif ${operationIs('INSERT')} then
    ${insert} ${from('INSERT', 'new')};
  elsif ${operationIs('DELETE')} then
    ${insert} ${from('DELETE', 'old')};
  else
    ${insert} values (${values(table, 'TRUNCATE', 'null')});
  end if;
  return null;
end
`
}

function insertInto({ changes }: AuditNames): string {
  return `insert into ${changes} (table_id, table_name, operation, row_id)`
}

function operationIs(operation: string): string {
  return `tg_op operator(pg_catalog.=) '${operation}'`
}

function values(table: PostgresTable, operation: string, key: string): string {
  return `${table.oid}, ${pg.escapeLiteral(table.label)}, '${operation}', ${key}`
}

/** int2, int4 and int8, whose conversion to JSON is built in. */
const integerTypes = new Set([21, 23, 20])

/** Types whose text does not depend on settings: the integers, bool, name, text, char, varchar, numeric, uuid, oid. */
const steadyTypes = new Set([...integerTypes, 16, 19, 25, 1042, 1043, 1700, 2950, 26])

const textSettings = [
  'DateStyle=ISO, YMD',
  'IntervalStyle=postgres',
  'TimeZone=UTC',
  'bytea_output=hex',
  'extra_float_digits=1',
  'lc_monetary=C',
]

/** `format` calls the type's output function and never a user's cast. */
function keyOf(table: PostgresTable, record: 'new' | 'old' | 'r'): string {
  const parts = table.key.map(({ typeOid, quoted }) =>
    integerTypes.has(typeOid) ? `${record}.${quoted}` : `pg_catalog.format('%s', ${record}.${quoted})`,
  )
  return `pg_catalog.jsonb_build_array(${parts.join(', ')})`
}
