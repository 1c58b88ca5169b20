/** What became of a table's columns, where no other value changed with them. */
import type { Column, Table } from './schema.js'

/** Columns that came or went, where no value of any other changed. */
export interface Alteration {
  /** The table as it was. */
  readonly before: Table
  /** The table as it is: with the same key, and the same columns but for those below. */
  readonly table: Table
  /** Columns that came. Every row that was there is NULL in them; rows that were written since come in batches. */
  readonly added: readonly Column[]
  /** Columns that went. */
  readonly dropped: readonly Column[]
}
