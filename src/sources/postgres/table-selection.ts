/** Which tables a source offers, and what would keep it from reading them. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Table } from '../../core/schema.js'
import { introspect, type SkippedTable, type TableSelection, type UnknownTable } from './introspect.js'
import { isKeyedByAddress, keyedByAddress } from './keyless-table.js'
import type { PostgresTable } from './postgres-table.js'
import { checkFilters } from './row-filter.js'
import type { Session } from './session.js'
import { keylessSkip } from './skipped-table.js'
import type { TableShaper } from './table-shape.js'

/**
 * What to do with tables without a primary key, or a unique index on columns that are not NULL, to tell rows apart by.
 * `refuse`: leave them out with a warning, and refuse them where they are named. `copy`: full syncs copy them.
 */
export type KeylessTables = 'refuse' | 'copy'

export interface SelectionOptions {
  readonly keyless: KeylessTables
  readonly warn: (warning: SyncWarning) => void
  readonly shaper: TableShaper
  /** Gets what is left out, in place of a warning. */
  readonly leftOut?: (table: SkippedTable) => void
  /** Whether tables that this role may not read are wanted, too. @defaultValue false */
  readonly unreadable?: boolean
}

/**
 * The tables that the options select. A table that was asked for by name and cannot be replicated is refused; one that
 * merely happens to be there is left out with a warning.
 * @throws SyncError
 */
export async function selectTables(
  session: Session,
  selection: TableSelection,
  { keyless, warn, shaper, leftOut, unreadable = false }: SelectionOptions,
): Promise<readonly PostgresTable[]> {
  const { tables: keyed, skipped, unknown, unknownSchemas, relations } = await introspect(session.client, selection)
  const [schema] = unknownSchemas
  if (schema !== undefined) throw unknownSchema(schema)
  const [missing] = unknown
  if (missing !== undefined) throw unknownTable(missing)
  const unshaped = [...keyed]
  for (const found of skipped) {
    const hidden = found.reason === 'no_privilege' && unreadable ? found.table : undefined
    const skip = hidden?.key.length === 0 ? keylessSkip(hidden, found.named) : found
    const { label, reason, code, message, hint, named, table } = skip
    if (table !== undefined && (reason === 'no_key' ? keyless === 'copy' : hidden !== undefined)) {
      unshaped.push(table)
      continue
    }
    if (named) throw new SyncError(code, message, { table: label, hint })
    if (leftOut !== undefined) leftOut(skip)
    else warn({ code: 'table_skipped', table: label, message: `${message}; it is left out` })
  }
  if (!shaper.empty) {
    shaper.refuseUnknown(unshaped, (pattern) => relations.some(({ schema, name }) => pattern.matches(schema, name)))
  }
  const tables: PostgresTable[] = []
  for (const shaped of await shaper.shapeAll(session, unshaped)) {
    tables.push(shaped.key.length === 0 ? keyedByAddress(shaped) : shaped)
  }
  await checkFilters(
    session,
    tables.filter(({ canSelect }) => canSelect),
  )
  for (const { label, columns } of tables) {
    for (const { name, sourceType } of columns.filter(({ unknownType }) => unknownType)) {
      const message = `Column ${name} of ${label} is stored as text: nothing else is known of its type ${sourceType}`
      warn({ code: 'type_as_text', table: label, column: name, message })
    }
  }
  if (tables.length > 0) return tables
  const hidden = skipped.find(({ code }) => code === 'E_RIGHTS')
  if (hidden !== undefined) throw new SyncError(hidden.code, hidden.message, { table: hidden.label, hint: hidden.hint })
  throw new SyncError('E_UNKNOWN_TABLE', 'There is no table to replicate in the database', {
    hint: 'Check the database name and which schemas and tables are selected.',
  })
}

function unknownSchema(pattern: string): SyncError {
  return new SyncError('E_UNKNOWN_TABLE', `The schema ${pattern} does not exist in the database`, {
    hint: 'Check the spelling in `schemas`, and the name of the database; names are case-sensitive.',
  })
}

function unknownTable({ pattern, unknownSchema }: UnknownTable): SyncError {
  const why =
    unknownSchema === undefined ? ', or this role may not see it' : `: the schema ${unknownSchema} does not exist`
  return new SyncError('E_UNKNOWN_TABLE', `There is no table ${pattern} in the database${why}`, {
    table: pattern,
    hint: 'Check the spelling and the schema; names are case-sensitive.',
  })
}

/** Finds out whether all rows of the tables can be read. @throws SyncError `E_RIGHTS`, `E_RLS_FILTERED` */
export function checkReading(tables: readonly PostgresTable[]): void {
  for (const { label, relation, canSelect, rowSecurity } of tables) {
    if (!canSelect) {
      throw new SyncError('E_RIGHTS', `This role may not read ${label}`, {
        table: label,
        hint: `Run as its owner: grant select on table ${relation} to the role, and usage on its schema.`,
      })
    }
    if (rowSecurity) {
      throw new SyncError('E_RLS_FILTERED', `Row level security would hide rows of ${label} from this role`, {
        table: label,
        hint: 'Use a role that owns the table or has BYPASSRLS.',
      })
    }
  }
}

/** A table that this source made, out of the general one. */
export function ownTable(table: Table): PostgresTable {
  if ('oid' in table && 'relation' in table) return table as PostgresTable
  throw new TypeError(`${table.label} is not a table of this source`)
}

/** Without the tables that have no key, of which a warning tells. */
export function followableTables(
  tables: readonly Table[],
  warn: (warning: SyncWarning) => void = () => {},
): readonly PostgresTable[] {
  const own = tables.map(ownTable)
  for (const { label } of own.filter(isKeyedByAddress)) {
    const message = `${label} has no key: its changes are not followed, only full syncs copy it`
    warn({ code: 'table_not_followed', table: label, message })
  }
  return own.filter((table) => !isKeyedByAddress(table))
}
