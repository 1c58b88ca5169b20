/** Tables and columns as sources describe them. */
import type { TableShape } from './shaping.js'
import type { LogicalType } from './value.js'

/** One column of a table, in the order in which batches carry it. */
export interface Column {
  readonly name: string
  /** The source's name of the column, where it was renamed. */
  readonly sourceName?: string
  readonly type: LogicalType
  /** The source's own name of the type, for messages: `numeric(12,2)`. */
  readonly sourceType: string
  readonly nullable: boolean
}

/**
 * One table. A source makes a new object when the structure changes, so sinks may cache what they derive from a table
 * by the object's identity.
 */
export interface Table {
  /** The namespace within the source; `public` for most PostgreSQL tables. */
  readonly schema: string
  /** Where the table was renamed, the name that the target is to give it. */
  readonly name: string
  /** `schema.name` at the source, for messages and as the key of per-table options. */
  readonly label: string
  readonly columns: readonly Column[]
  /** The columns that identify a row, in key order. Empty: the table has no key and can only be copied whole. */
  readonly key: readonly Column[]
  /** The source's estimate, for progress. `undefined`: unknown. */
  readonly rowCountEstimate?: number
  /**
   * How its rows are shaped. What is in here about rows, columns and names, the source has done; the engine runs the
   * functions, and the sink obeys `deletes`.
   */
  readonly shape?: TableShape
}
