/** What a comparison needs of a source and of a sink. Both give access, and decode nothing. */
import type { Key } from '../core/batch.js'
import type { Checkpoint, Position } from '../core/checkpoint.js'
import type { Column, Table } from '../core/schema.js'
import type { Abortable } from '../core/source.js'
import type { ValueForms } from './value-forms.js'

/** Cells as the text that PostgreSQL sends, or null. */
export type TextRow = readonly (string | null)[]

/** Runs one statement. */
export type RunSql = (text: string, values?: readonly unknown[]) => Promise<readonly TextRow[]>

/** A PostgreSQL database that can be read apart from replication. */
export interface VerifiableSource {
  /** Opens a connection of its own. @throws SyncError */
  inspect(options: Abortable): Promise<SourceAccess>
}

/** One connection, in nobody else's use. */
export interface SourceAccess extends AsyncDisposable {
  readonly run: RunSql
  /** The tables that are replicated. Undefined: all permanent tables of the database. */
  readonly tables: readonly Table[] | undefined
  /** The newest change that the connection's transaction sees. Undefined: nothing is captured. */
  latest?(): Promise<Position | undefined>
  /** Negative: `a` is before `b`. Zero: the same point. */
  compare?(a: Position, b: Position): number
}

/** A SurrealDB database, 3.0 or newer, that can be read apart from replication. */
export interface VerifiableTarget {
  /** Opens a connection of its own. @param id The pipeline's. @throws SyncError */
  inspect(id: string, options: Abortable): Promise<TargetAccess>
}

/** What a target table is to its pipeline: its own, or one where others have records too. */
export type Holding = 'owned' | 'shared'

/** One connection to a target, for a comparison. */
export interface TargetAccess extends AsyncDisposable {
  /** The results of all statements of a query. @throws SyncError */
  query(text: string, bindings?: Record<string, unknown>): Promise<readonly unknown[]>
  /** The target's name for a table. */
  tableName(table: Table): string
  forms(table: Table, column: Column): ValueForms
  /** The key behind the CBOR of the key part of a record id. Undefined: no row of the table can have it. */
  keyOf(table: Table, id: Uint8Array): Key | undefined
  /** The pipeline's checkpoint, as it is now. */
  checkpoint(): Promise<Checkpoint | undefined>
  /** The target tables that the pipeline writes to. */
  holdings(): Promise<ReadonlyMap<string, Holding>>
}
