/** Why a relation cannot be replicated. */
import type { SyncErrorCode } from '../../core/errors.js'
import type { CatalogRelation } from './catalog-tables.js'
import type { PostgresTable } from './postgres-table.js'
import { quoteQualified } from './quoted-name.js'

/** Why a table is left out. */
export type SkipReason =
  | 'no_key'
  | 'no_privilege'
  | 'view'
  | 'materialized_view'
  | 'foreign'
  | 'partition'
  | 'unlogged'
  | 'temporary'

export interface SkippedTable {
  readonly label: string
  readonly reason: SkipReason
  /** The error's code, if it is to be one. */
  readonly code: SyncErrorCode
  /** One sentence. */
  readonly message: string
  readonly hint: string
  /** Whether the selection names it, rather than matching it by a wildcard or by default. */
  readonly named: boolean
  /** Of a table that can be described all the same: it lacks a key, or this role the right to read it. */
  readonly table?: PostgresTable
}

const kinds: Readonly<Record<string, readonly [SkipReason, string, string]>> = {
  v: ['view', 'is a view', 'Replicate the tables that it reads.'],
  m: ['materialized_view', 'is a materialized view', 'Replicate the tables that it reads.'],
  f: ['foreign', 'is a foreign table', 'Replicate it from the server where it is.'],
}

/** The reason to skip a relation; with `table`, also the reasons that only show there. `undefined`: there is none. */
export function skipOf(relation: CatalogRelation, named: boolean, table?: PostgresTable): SkippedTable | undefined {
  const label = `${relation.schema}.${relation.name}`
  const quoted = quoteQualified(relation.schema, relation.name)
  const unsupported = (reason: SkipReason, what: string, hint: string): SkippedTable => ({
    label,
    reason,
    code: 'E_UNSUPPORTED_TABLE',
    message: `${label} ${what}`,
    hint,
    named,
  })
  const kind = kinds[relation.kind]
  if (kind !== undefined) return unsupported(...kind)
  if (relation.isPartition)
    return unsupported('partition', 'is a partition', 'Name the partitioned table that it belongs to.')
  if (relation.persistence === 't') return unsupported('temporary', 'is temporary', 'Leave it out.')
  if (relation.persistence === 'u') {
    const hint = `Changes of unlogged tables vanish in a crash: ALTER TABLE ${quoted} SET LOGGED, or leave it out.`
    return unsupported('unlogged', 'is unlogged', hint)
  }
  if (table?.canSelect === false) {
    return {
      label,
      reason: 'no_privilege',
      code: 'E_RIGHTS',
      message: `The role may not read ${label}`,
      hint: `GRANT USAGE ON SCHEMA and GRANT SELECT ON ${quoted} to it, or leave the table out.`,
      named,
      table,
    }
  }
  if (table?.refusedKeyType !== undefined) {
    return {
      label,
      reason: 'no_key',
      code: 'E_TABLE_WITHOUT_KEY',
      message: `The key of table ${label} is of type ${table.refusedKeyType}: to look rows up by it would run code of the type's owner`,
      hint: 'Drop the implicit casts from the type and the domains inside it, add a unique index on other columns that are NOT NULL, or leave the table out.',
      named,
      table,
    }
  }
  return table?.key.length === 0 ? keylessSkip(table, named) : undefined
}

/** Of a table that has nothing to tell its rows apart by. */
export function keylessSkip(table: PostgresTable, named: boolean): SkippedTable {
  return {
    label: table.label,
    reason: 'no_key',
    code: 'E_TABLE_WITHOUT_KEY',
    message: `Table ${table.label} has no primary key`,
    hint: "Add a primary key or a unique index on columns that are NOT NULL, leave the table out, or have only full syncs copy it: `keyless: 'copy'`.",
    named,
    table,
  }
}
