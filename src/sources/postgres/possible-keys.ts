/** Which keys from the audit table the table can have at all: they may be older than the types of its key columns. */
import pg from 'pg'
import { stateOf } from '../../connections/postgres/errors.js'
import type { PostgresKeyColumn, PostgresTable } from './postgres-table.js'
import type { Session } from './session.js'

const savepoint = 'surreal_sync_keys'
const setting = 'surreal_sync.impossible_keys'

/** A statement that may fail for a key, without an end of the transaction. */
export function guarded(sql: string): string {
  return `savepoint ${savepoint}; ${sql}; release savepoint ${savepoint}`
}

/** Whether a {@link guarded} statement failed for a value, perhaps for a key that cannot be. */
export function isValueError(error: unknown): boolean {
  return stateOf(error)?.startsWith('22') === true
}

/**
 * Goes back to before a {@link guarded} statement, and leaves out the keys that no row can have: their text is not one of
 * the key's types as they are now. A table whose key got other types was or will be replaced, which removes their records.
 */
export async function possibleKeys(
  session: Session,
  table: PostgresTable,
  keys: readonly string[],
): Promise<readonly string[]> {
  const doing = `looking for keys that ${table.label} cannot have`
  await session.run(doing, `rollback to savepoint ${savepoint}`)
  await session.run(doing, `do ${pg.escapeLiteral(searchBody(table, keys))}`)
  const [row] = await session.rows(doing, 'select pg_catalog.current_setting($1)', [setting])
  const impossible = new Set((row?.[0] ?? '').split(',').map(Number))
  return keys.filter((_, index) => !impossible.has(index + 1))
}

/**
 * One part of a key from its text. Where somebody may have defined a cast from text, the type's input function is called
 * instead, as `jsonb_to_record` does.
 */
export function askedPart({ castType, builtin }: PostgresKeyColumn, index: number, key: string): string {
  if (builtin) return `(${key} ->> ${index})::${castType}`
  return `(select i.v from pg_catalog.jsonb_to_record(pg_catalog.jsonb_build_object('v', ${key} -> ${index})) i(v ${castType}))`
}

function searchBody(table: PostgresTable, keys: readonly string[]): string {
  const parts = table.key.map((column, index) => askedPart(column, index, 'asked.key'))
  return `
declare
  asked record;
  impossible text := '';
begin
  for asked in
    select e.key, e.number
    from pg_catalog.jsonb_array_elements(${jsonArray(keys)}) with ordinality e(key, number)
  loop
    begin
      perform ${parts.join(', ')};
    exception when data_exception then
      impossible := impossible || ',' || asked.number;
    end;
  end loop;
  perform pg_catalog.set_config('${setting}', impossible, true);
end
`
}

export function jsonArray(keys: readonly string[]): string {
  return `${pg.escapeLiteral(`[${keys.join(',')}]`)}::pg_catalog.jsonb`
}
