/**
 * The function that logs the keys of changed rows of one table. It runs as its owner in the sessions of writers, so every
 * name and operator in it is qualified, and no code of the table's owner runs in it: no cast, no user's operator.
 */
import pg from 'pg'
import { resyncOperation } from './audit-rows.js'
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
  const steady = table.key.every(({ typeOid }) => steadyTypes.includes(typeOid))
  return { body: bodyText(level, partsOf(names, table)), settings: steady ? [] : textSettings }
}

/** Creates or replaces a table's capture function, callable by nobody. */
export function createCapture(names: AuditNames, table: PostgresTable, level: TriggerLevel): string {
  const name = captureFunction(names, table.oid)
  const { body, settings } = captureBody(names, table, level)
  return `
create or replace function ${name}() returns trigger language plpgsql security definer${settingClauses(settings)} as ${pg.escapeLiteral(body)};
revoke all on function ${name}() from public`
}

/** As CREATE FUNCTION wants them. */
export function settingClauses(settings: readonly string[]): string {
  const clauses = settings.map((setting) => {
    const [name, value = ''] = setting.split('=')
    return ` set ${name} = ${value === '""' ? "''" : pg.escapeLiteral(value)}`
  })
  return clauses.join('')
}

/** The pieces of a capture function's text, as SQL. */
export interface BodyParts {
  /** The audit table. */
  readonly changes: string
  readonly oid: string
  /** A literal. */
  readonly label: string
  /** The key as JSON, of the new, the old, and a transition table's row. `undefined`: there is no key. */
  readonly keys: Readonly<Record<RowName, string>> | undefined
  /** Whether an UPDATE left the key as it was. */
  readonly sameKey: string
}

export type RowName = 'new' | 'old' | 'r'

/** The text of a capture function. */
export function bodyText(level: TriggerLevel, parts: BodyParts): string {
  if (parts.keys === undefined) return keylessBody(level, parts)
  return level === 'row' ? rowBody(parts, parts.keys) : statementBody(parts, parts.keys)
}

/** The operation and the key; both keys if the key changed, by its bytes and not by an equality that may be lax. */
function rowBody(parts: BodyParts, keys: Readonly<Record<RowName, string>>): string {
  const log = (...rows: readonly string[]) =>
    `${insertInto(parts)} values ${rows.map((each) => `(${each})`).join(', ')};`
  const row = (operation: string, key: string) => values(parts, operation, key)
  return `
begin
  if ${operationIs('INSERT')} then
    ${log(row('INSERT', keys.new))}
  elsif ${operationIs('UPDATE')} then
    if ${parts.sameKey} then
      ${log(row('UPDATE', keys.new))}
    else
      ${log(row('DELETE', keys.old), row('INSERT', keys.new))}
    end if;
  elsif ${operationIs('DELETE')} then
    ${log(row('DELETE', keys.old))}
  else
    ${log(row('TRUNCATE', 'null'))}
  end if;
  return null;
end
`
}

/** Old and new rows of an UPDATE do not come in pairs: keys that only old rows have are logged as deleted. */
function statementBody(parts: BodyParts, { r: key }: Readonly<Record<RowName, string>>): string {
  const insert = insertInto(parts)
  const from = (operation: string, record: 'new' | 'old') =>
    `select ${values(parts, operation, key)} from ${transitionTables[record]} r`
  const keys = (record: 'new' | 'old') => `select ${key} from ${transitionTables[record]} r`
  const gone = `select ${values(parts, 'DELETE', 'gone.key')} from (${keys('old')} except ${keys('new')}) gone(key)`
  return `
begin
  if ${operationIs('UPDATE')} then
    ${insert} ${from('UPDATE', 'new')} union all ${gone};
  elsif ${operationIs('INSERT')} then
    ${insert} ${from('INSERT', 'new')};
  elsif ${operationIs('DELETE')} then
    ${insert} ${from('DELETE', 'old')};
  else
    ${insert} values (${values(parts, 'TRUNCATE', 'null')});
  end if;
  return null;
end
`
}

/** For a table that lost its key while it was captured: writers must not fail, and the table must be read as a whole. */
function keylessBody(level: TriggerLevel, parts: BodyParts): string {
  const once = level === 'row' ? 'a row' : 'a statement'
  return `
begin
  -- There is no key: ${once} that changed is logged as a change of everything.
  ${insertInto(parts)} values (${values(parts, resyncOperation, 'null')});
  return null;
end
`
}

function insertInto({ changes }: BodyParts): string {
  return `insert into ${changes} (table_id, table_name, operation, row_id)`
}

function operationIs(operation: string): string {
  return `tg_op operator(pg_catalog.=) '${operation}'`
}

function values({ oid, label }: BodyParts, operation: string, key: string): string {
  return `${oid}, ${label}, '${operation}', ${key}`
}

/** int2, int4 and int8, whose conversion to JSON is built in. */
export const integerTypes: readonly number[] = [21, 23, 20]

/** Types whose text does not depend on settings: the integers, bool, name, text, char, varchar, numeric, uuid, oid. */
export const steadyTypes: readonly number[] = [...integerTypes, 16, 19, 25, 1042, 1043, 1700, 2950, 26]

/** With an empty search path, names in keys (`regclass`, `regtype` …) are qualified, as for the reader. */
export const textSettings: readonly string[] = [
  'search_path=""',
  'DateStyle=ISO, YMD',
  'IntervalStyle=postgres',
  'TimeZone=UTC',
  'bytea_output=hex',
  'extra_float_digits=1',
  'lc_monetary=C',
]

/**
 * Whether two rows, as SQL, are the same by their bytes; an equality of the type may be lax. Integers have no two forms of
 * the same value, and comparing them is cheaper.
 */
export function sameRows(areIntegers: boolean, [a, b]: readonly [string, string]): string {
  return areIntegers ? `${a} operator(pg_catalog.=) ${b}` : `pg_catalog.record_image_eq(${a}, ${b})`
}

/** A column of a key as it goes into the JSON array: `format` calls the type's output function and never a user's cast. */
export function keyPart(reference: string, isInteger: boolean): string {
  return isInteger ? reference : `pg_catalog.format('%s', ${reference})`
}

function partsOf({ changes }: AuditNames, { oid, label, key }: PostgresTable): BodyParts {
  const keyOf = (record: RowName) => {
    const parts = key.map(({ typeOid, quoted }) => keyPart(`${record}.${quoted}`, integerTypes.includes(typeOid)))
    return `pg_catalog.jsonb_build_array(${parts.join(', ')})`
  }
  const image = (record: 'new' | 'old') => `row(${key.map(({ quoted }) => `${record}.${quoted}`).join(', ')})`
  return {
    changes,
    oid: String(oid),
    label: pg.escapeLiteral(label),
    keys: key.length === 0 ? undefined : { new: keyOf('new'), old: keyOf('old'), r: keyOf('r') },
    sameKey: sameRows(
      key.every(({ typeOid }) => integerTypes.includes(typeOid)),
      [image('old'), image('new')],
    ),
  }
}
