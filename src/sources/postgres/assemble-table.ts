/** Puts together what the catalog says about one table. */
import { createHash } from 'node:crypto'
import type {
  CatalogColumn,
  CatalogIndex,
  CatalogIndexColumn,
  CatalogRelation,
  CatalogRights,
  CatalogStorage,
} from './catalog-tables.js'
import { firstUserOid } from './catalog-types.js'
import type { PostgresColumn, PostgresKeyColumn, PostgresTable } from './postgres-table.js'
import { quoteName, quoteQualified } from './quoted-name.js'
import type { ColumnType, TypeResolver } from './types.js'

export interface TableParts {
  readonly relation: CatalogRelation
  readonly rights: CatalogRights
  readonly storage: CatalogStorage
  readonly columns: readonly CatalogColumn[]
  readonly indexes: readonly CatalogIndex[]
  readonly types: TypeResolver
}

const bpcharOid = 1042

export function assembleTable({ relation, rights, storage, columns, indexes, types }: TableParts): PostgresTable {
  const read = columns.map((column) => ({ catalog: column, type: types.column(column.typeOid) }))
  const readable = read.map(({ catalog, type }) => postgresColumn(catalog, type, types.describe(catalog.typeOid)))
  const unusable = columns.filter(({ typeOid }) => !types.isKeyType(typeOid))
  const index = keyIndexOf(indexes, columns, unusable)
  const keyIndex = (index?.columns ?? []).map(({ attnum }) => columns.findIndex((column) => column.attnum === attnum))
  const key = (index?.columns ?? []).flatMap((indexColumn, part): PostgresKeyColumn[] => {
    const position = keyIndex[part] ?? -1
    const column = readable[position]
    const source = read[position]
    return column === undefined || source === undefined
      ? []
      : [keyColumn(column, source.catalog, source.type, indexColumn)]
  })
  const frame = hash([
    relation.oid,
    storage.partitions,
    key.map(({ attnum, castType, equality }) => [attnum, castType, equality]),
  ])
  const structure = hash([frame, readable.map(({ identity }) => identity)])
  const storageHash = hash([storage.files])
  return {
    schema: relation.schema,
    name: relation.name,
    label: `${relation.schema}.${relation.name}`,
    columns: readable,
    identities: readable.map(({ attnum, name, identity }) => ({ attnum, name, identity })),
    key,
    keyIndex,
    rowCountEstimate: storage.rowCountEstimate,
    oid: relation.oid,
    relation: quoteQualified(relation.schema, relation.name),
    partitioned: relation.kind === 'p',
    only: relation.kind !== 'p',
    fingerprint: hash([structure, storageHash]),
    structure,
    frame,
    storage: storageHash,
    pages: storage.pages,
    userTypes: columns.some(({ typeOid }) => typeOid >= firstUserOid),
    refusedKeyType: index === undefined ? refusedKeyType(indexes, unusable) : undefined,
    ...rights,
  }
}

function postgresColumn(column: CatalogColumn, type: ColumnType, description: unknown): PostgresColumn {
  const quoted = quoteName(column.name)
  const select = type.select(quoted)
  return {
    name: column.name,
    type: type.type,
    sourceType: column.sourceType,
    nullable: column.nullable,
    attnum: column.attnum,
    typeOid: column.typeOid,
    codec: type.codec,
    quoted,
    select,
    unknownType: type.unknown,
    identity: hash([identityOf(column), select, description]),
    startsNull: column.nullable && column.generated === '' && !column.missing,
    printed: type.printed,
  }
}

function keyColumn(
  column: PostgresColumn,
  catalog: CatalogColumn,
  type: ColumnType,
  index: CatalogIndexColumn,
): PostgresKeyColumn {
  const schema = index.equalitySchema ?? 'pg_catalog'
  const anyLength = catalog.typeOid === bpcharOid && catalog.typmod < 0
  return {
    ...column,
    castType: type.castType,
    builtin: type.builtin,
    equality: `OPERATOR(${schema === 'pg_catalog' ? schema : quoteName(schema)}.${index.equalityName ?? '='})`,
    // Blanks at the end do not count in char(n), but there every value has the same length.
    exactText: type.exactText && catalog.deterministic && schema === 'pg_catalog' && !anyLength,
  }
}

/** The primary key, else the replica identity, else the smallest unique index on columns that are never NULL. */
function keyIndexOf(
  indexes: readonly CatalogIndex[],
  columns: readonly CatalogColumn[],
  unusable: readonly CatalogColumn[],
): CatalogIndex | undefined {
  const usable = columns.filter((column) => !unusable.includes(column))
  const byNumber = new Map(usable.map((column) => [column.attnum, column]))
  const candidates = indexes.filter((index) =>
    index.columns.every((part) => identifies(part, byNumber.get(part.attnum))),
  )
  return (
    candidates.find(({ primary }) => primary) ??
    candidates.find(({ replicaIdentity }) => replicaIdentity) ??
    candidates.find(({ immediate }) => immediate)
  )
}

/** What keeps an index from being the key, where nothing but a type does. */
function refusedKeyType(indexes: readonly CatalogIndex[], unusable: readonly CatalogColumn[]): string | undefined {
  const parts = new Set(indexes.flatMap((index) => index.columns.map(({ attnum }) => attnum)))
  return unusable.find(({ attnum }) => parts.has(attnum))?.sourceType
}

/**
 * A key is looked up by the column's collation. Where the index has another one, it is unique by that, which is enough
 * only if the column's collation tells all texts apart.
 */
function identifies(part: CatalogIndexColumn, column: CatalogColumn | undefined): boolean {
  if (column === undefined || column.nullable) return false
  return column.deterministic || part.collationOid === column.collationOid
}

/** What of a column matters to its cells; not whether it may be NULL, nor how its type is spelled. */
function identityOf({ attnum, name, typeOid, typmod, generated, collationOid }: CatalogColumn): readonly unknown[] {
  return [attnum, name, typeOid, typmod, generated, collationOid]
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}
