/** Tables as PostgreSQL's catalog describes them. */
import type { Column, Table } from '../../core/schema.js'
import type { Codec } from './codecs/codec.js'

export interface PostgresColumn extends Column {
  readonly attnum: number
  readonly typeOid: number
  /** Reads the cells that `select` gives. */
  readonly codec: Codec
  /** The column's quoted name. */
  readonly quoted: string
  /** The expression to read the column by: its quoted name, that name converted to text on the server, or SQL of a shape. */
  readonly select: string
  /** Whether it is text for want of a codec for a type that is not PostgreSQL's own. */
  readonly unknownType: boolean
  /** A hash of everything that decides how its cells are read and what they are. */
  readonly identity: string
  /** Rows that were there when it was added are NULL in it, or have been rewritten. */
  readonly startsNull: boolean
  /** The expression for a cell as PostgreSQL prints it, of a reference to the column. */
  printed(reference: string): string
}

export interface PostgresKeyColumn extends PostgresColumn {
  /**
   * The type to cast a key's text to, qualified and quoted: `pg_catalog.int8`, `"public"."mood"`. A domain's base type, so
   * that no check of the domain runs; without a modifier, because a key's text already fits it.
   */
  readonly castType: string
  /** Whether that type and its casts are PostgreSQL's own; a cast that somebody defined is code. */
  readonly builtin: boolean
  /** The equality by which the key is unique: `OPERATOR(pg_catalog.=)`, `OPERATOR("public".=)` for citext. */
  readonly equality: string
  /** Whether equal values always have equal text; false for citext, numeric, floats, nondeterministic collations … */
  readonly exactText: boolean
}

/** A table that can be read. Made anew by each introspection. */
export interface PostgresTable extends Table {
  readonly oid: number
  /** Quoted and qualified: `"public"."users"`. */
  readonly relation: string
  /** Read under the root's name; the partitions are no tables of their own. */
  readonly partitioned: boolean
  /** Whether to read and lock it with ONLY: children by inheritance are tables of their own. */
  readonly only: boolean
  readonly columns: readonly PostgresColumn[]
  /** All columns, also those that are not read. */
  readonly identities: readonly Pick<PostgresColumn, 'attnum' | 'name' | 'identity'>[]
  readonly key: readonly PostgresKeyColumn[]
  /** Where the key columns stand in `columns`. */
  readonly keyIndex: readonly number[]
  /**
   * A hash of `structure` and `storage`: while it stays the same, no row has changed without a trigger. It also changes
   * where rows did not, as by VACUUM FULL.
   */
  readonly fingerprint: string
  /** A hash of everything that decides how rows are read and keyed: columns, types, key, partitions. */
  readonly structure: string
  /** A hash of that part of `structure` that is not in columns: key and partitions. */
  readonly frame: string
  /** A hash of the files that the rows are in: changes when the table is rewritten or truncated. */
  readonly storage: string
  /** Whether this role may do what the owner may. */
  readonly owned: boolean
  readonly canSelect: boolean
  readonly canTrigger: boolean
  /** Whether row level security would hide rows from this role. */
  readonly rowSecurity: boolean
  /** The pages of the table's file (for a partitioned table of all partitions), at the time of the introspection. */
  readonly pages: number
  /** Whether any of its columns, selected or not, is of a type that somebody made. */
  readonly userTypes: boolean
  /** Of a table without a key: the type of a column that would be one, but for code that its owner could run. */
  readonly refusedKeyType: string | undefined
}
