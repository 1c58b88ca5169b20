/** How rows are selected and shaped on their way. Plain, so that whoever compares both sides can read it, too. */
import type { Row } from './batch.js'
import type { Table } from './schema.js'
import type { Value } from './value.js'

/**
 * Reshapes rows. Gets rows that exist at the source and returns as many results in the same order: the row to write, or
 * `null` if it must not exist in the sink (I9). Fields may be changed, added and left out; the key stays what it was.
 * Runs in both phases, so it must give the same result for the same row.
 */
export type Transform<Fields = Row> = (
  rows: readonly Fields[],
  table: Table,
) => readonly (Row | null)[] | Promise<readonly (Row | null)[]>

/**
 * What takes a cell's place. NULL stays NULL in any case.
 *
 * - `'hash'`: HMAC-SHA-256 of the value's text, as 64 hexadecimal digits. Needs `maskSecret`.
 * - `{ truncate: n }`: the first n characters of the value's text.
 * - `null`, also `'null'`: NULL.
 * - a function of the value, which must give the same result for the same value.
 *
 * The value's text is what PostgreSQL prints for `column::text`, with times in UTC.
 */
export type Mask = 'hash' | 'null' | null | { readonly truncate: number } | ((value: Exclude<Value, null>) => Value)

/**
 * What becomes of the record of a row that is gone: deleted at the source, outside of the filter, or removed by a
 * transform.
 *
 * - `'hard'`: it is deleted.
 * - `'soft'`, `{ soft: 'field' }`: it stays, and its field `deleted_at`, or that field, is set to the time at which the target
 *   applied the delete; a time that is there already stays. When the row comes back, the field goes.
 * - `'ignore'`: it stays as it is.
 */
export type Deletes = 'hard' | 'soft' | 'ignore' | { readonly soft: string }

/**
 * What works out a field of a row from that row alone: every time the same from the same row.
 *
 * - A function, in this process, of the row as it is after masks, renames and fields of the other kind.
 * - `{ sql }`: an SQL expression that the source evaluates in the statements that read the row, so that it may stand in a
 *   config file without code. Trusted, as all configuration is, and of what `where` may use: all columns of the row, by the
 *   source's names and before masks, and immutable functions. Its result is written as a column of its type is.
 */
export type ComputedField<Fields = Row> = ((row: Fields, table: Table) => Value) | { readonly sql: string }

/**
 * How the rows of one table are shaped. Everything is optional; names of columns are those of the source.
 *
 * `Fields` is what its functions see of a row: {@link defineShape} gives it a type.
 */
export interface TableShape<Fields = Row> {
  /** The table's name in the target. @defaultValue its own */
  readonly as?: string
  /** Only these columns, also with `*` and `?`. Those of the key always stay. @defaultValue all */
  readonly columns?: readonly string[]
  /** All columns but these, also with `*` and `?`. They are not read from the source. */
  readonly excludeColumns?: readonly string[]
  /**
   * Only rows for which this SQL expression is true. Evaluated by the source; trusted, as all configuration is. It may use
   * the row's columns and immutable functions: anything else changes without a change of the row, which nobody would notice.
   */
  readonly where?: string
  /** The target's names of columns. */
  readonly rename?: { readonly [column: string]: string }
  /** What takes the place of the values of columns, also with `*` and `?`, before anything else sees them. */
  readonly mask?: { readonly [column: string]: Mask }
  /** Fields that are worked out, by the target's names. A column of the same name is replaced; those of the key cannot be. */
  readonly compute?: { readonly [field: string]: ComputedField<Fields> }
  /** Reshapes the rows of this table, after `compute` and before the engine's `transforms`. */
  readonly transform?: Transform<Fields>
  /** @defaultValue `'hard'` */
  readonly deletes?: Deletes
}

/**
 * A shape whose functions know the columns of their table. Nothing checks at run time that rows are what is said of them: a
 * column is a `number`, a `bigint` or a `string` as the source's types have it.
 *
 * @example
 * ```ts
 * interface User { readonly id: number; readonly name: string | null }
 * const users = defineShape<User>({ compute: { initial: (user) => user.name?.slice(0, 1) ?? null } })
 * ```
 */
export function defineShape<Fields extends { readonly [Name in keyof Fields]: Value }>(
  shape: TableShape<Fields>,
): TableShape {
  // Whoever names the table's rows answers for that: to the engine they are rows like any other.
  return shape as unknown as TableShape
}

/**
 * Shapes by table: `users`, `sales.orders`, `shop.*`. Where several apply, a later one counts more, member by member of
 * {@link TableShape}, and of `rename`, `mask` and `compute` name by name.
 */
export type Shaping = { readonly [table: string]: TableShape }

/** The field that tells since when a row has been gone. */
const deletedAt = 'deleted_at'

/** The policy in one form: a field's name, or what to do without one. */
export function deletesOf({ shape }: Table): 'hard' | 'ignore' | { readonly soft: string } {
  const { deletes = 'hard' } = shape ?? {}
  return deletes === 'soft' ? { soft: deletedAt } : deletes
}
