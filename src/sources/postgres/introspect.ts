/** Finds the tables that are wanted, and all that is needed to read them, in pg_catalog. */
import type { ClientBase } from 'pg'
import { assembleTable, type TableParts } from './assemble-table.js'
import {
  type CatalogRelation,
  readColumns,
  readIndexes,
  readRelations,
  readRights,
  readSchemas,
  readStorage,
} from './catalog-tables.js'
import type { PostgresTable } from './postgres-table.js'
import { type SkippedTable, skipOf } from './skipped-table.js'
import { TablePattern, type TableSelection } from './table-pattern.js'
import { TypeResolver } from './types.js'

export type { PostgresTable } from './postgres-table.js'
export type { SkippedTable } from './skipped-table.js'
export type { TableSelection } from './table-pattern.js'

export interface Introspection {
  /** Sorted by schema and name. */
  readonly tables: readonly PostgresTable[]
  /** What the selection matches and cannot be replicated. Whoever named it should be refused, others warned. */
  readonly skipped: readonly SkippedTable[]
  /** The patterns in `tables` that match nothing at all. */
  readonly unknown: readonly UnknownTable[]
  /** The patterns in `schemas` that match nothing at all. */
  readonly unknownSchemas: readonly string[]
  /** All relations of the database that rows could be read from, selected or not. */
  readonly relations: readonly Pick<CatalogRelation, 'schema' | 'name'>[]
}

/** A pattern of tables, and the schema that it names if that does not exist either. */
export interface UnknownTable {
  readonly pattern: string
  readonly unknownSchema?: string
}

/** Our own tables, in whatever schema they are. */
const ownTable = /^surreal_sync_/

/** Reads the catalog. Several statements: run it in a transaction to see one state. */
export async function introspect(client: ClientBase, selection: TableSelection = {}): Promise<Introspection> {
  const selector = new Selector(selection)
  const all = await readRelations(client)
  const relations = all.filter((relation) => selector.wants(relation))
  const skipped: SkippedTable[] = []
  const wanted: CatalogRelation[] = []
  for (const relation of relations) {
    const named = selector.names(relation)
    // Partitions are read under their root's name, extensions' tables are the extensions' business.
    if ((relation.isPartition || relation.isExtension) && !named) continue
    const skip = skipOf(relation, named)
    if (skip === undefined) wanted.push(relation)
    else skipped.push(skip)
  }
  const tables: PostgresTable[] = []
  for (const { relation, table } of await readTables(client, wanted)) {
    const skip = skipOf(relation, selector.names(relation), table)
    if (skip === undefined) tables.push(table)
    else skipped.push(skip)
  }
  const schemas = await readSchemas(client)
  return {
    tables,
    skipped,
    unknown: selector.unknown(relations, schemas),
    unknownSchemas: selector.unknownSchemas(schemas),
    relations: all,
  }
}

/**
 * These tables as they are now, in no particular order; those that are gone or can no longer be replicated are missing.
 * @param keyless Whether tables without a key are wanted, too.
 */
export async function introspectTables(
  client: ClientBase,
  oids: readonly number[],
  keyless = false,
): Promise<readonly PostgresTable[]> {
  const relations = await readRelations(client, oids)
  const found = await readTables(
    client,
    relations.filter((relation) => skipOf(relation, true) === undefined),
  )
  return found.flatMap(({ relation, table }) => {
    const skip = skipOf(relation, true, table)
    return skip === undefined || (keyless && skip.reason === 'no_key') ? [table] : []
  })
}

async function readTables(
  client: ClientBase,
  relations: readonly CatalogRelation[],
): Promise<readonly { readonly relation: CatalogRelation; readonly table: PostgresTable }[]> {
  if (relations.length === 0) return []
  const oids = relations.map(({ oid }) => oid)
  const rights = await readRights(client, oids)
  const storage = await readStorage(client, oids)
  const columns = await readColumns(client, oids)
  const indexes = await readIndexes(client, oids)
  const types = await TypeResolver.load(
    client,
    [...columns.values()].flat().map(({ typeOid }) => typeOid),
  )
  return relations.flatMap((relation) => {
    const parts: Partial<TableParts> = { rights: rights.get(relation.oid), storage: storage.get(relation.oid) }
    // Dropped in between.
    if (parts.rights === undefined || parts.storage === undefined) return []
    const table = assembleTable({
      relation,
      rights: parts.rights,
      storage: parts.storage,
      columns: columns.get(relation.oid) ?? [],
      indexes: indexes.get(relation.oid) ?? [],
      types,
    })
    return [{ relation, table }]
  })
}

/** The patterns of a selection. */
class Selector {
  readonly #schemas: readonly TablePattern[] | undefined
  readonly #tables: readonly TablePattern[] | undefined
  readonly #excluded: readonly TablePattern[]

  constructor(selection: TableSelection) {
    this.#schemas = selection.schemas?.map((text) => new TablePattern(text))
    this.#tables = selection.tables?.map((text) => new TablePattern(text))
    this.#excluded = (selection.excludeTables ?? []).map((text) => new TablePattern(text))
  }

  wants(relation: CatalogRelation): boolean {
    const { schema, name } = relation
    if (ownTable.test(name) || this.#excluded.some((pattern) => pattern.matches(schema, name))) return false
    if (this.#tables === undefined) return this.#inSchemas(schema)
    return this.#tables.some((pattern) => this.#selects(pattern, relation))
  }

  /** Whether the relation is named by itself, not by a wildcard or by default. */
  names(relation: CatalogRelation): boolean {
    return this.#tables?.some((pattern) => pattern.literal && this.#selects(pattern, relation)) ?? false
  }

  unknown(relations: readonly CatalogRelation[], schemas: readonly string[]): readonly UnknownTable[] {
    const patterns = this.#tables ?? []
    return patterns
      .filter((pattern) => !relations.some((it) => this.#selects(pattern, it)))
      .map((pattern) => {
        const known = schemas.some((schema) => pattern.matchesSchema(schema))
        return { pattern: pattern.text, unknownSchema: known ? undefined : pattern.schema }
      })
  }

  unknownSchemas(schemas: readonly string[]): readonly string[] {
    const patterns = this.#schemas ?? []
    return patterns.filter((pattern) => !schemas.some((name) => pattern.matchesName(name))).map(({ text }) => text)
  }

  #selects(pattern: TablePattern, { schema, name }: CatalogRelation): boolean {
    return pattern.matches(schema, name) && (pattern.qualified || this.#inSchemas(schema))
  }

  #inSchemas(schema: string): boolean {
    return this.#schemas === undefined || this.#schemas.some((pattern) => pattern.matchesName(schema))
  }
}
