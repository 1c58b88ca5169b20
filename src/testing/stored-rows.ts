/** The rows of one table by key, as memory sources and sinks keep them. */
import type { Key, Row } from '../core/batch.js'
import { canonicalKeyText } from '../core/key.js'
import type { Column, Table } from '../core/schema.js'
import { Decimal, type Value } from '../core/value.js'

/** A table without a key counts equal rows as one. */
export class StoredRows {
  #table: Table
  #identity: readonly Column[]
  readonly #rows: Map<string, Row>

  constructor(table: Table, rows: ReadonlyMap<string, Row> = new Map()) {
    this.#table = table
    this.#identity = identityOf(table)
    this.#rows = new Map(rows)
  }

  get table(): Table {
    return this.#table
  }

  get size(): number {
    return this.#rows.size
  }

  /** Text that is equal for equal keys. */
  identify(row: Row): string {
    return this.#identifyKey(this.keyOf(row))
  }

  keyOf(row: Row): Key {
    return this.#identity.map(({ name }) => row[name] ?? null)
  }

  has(key: Key): boolean {
    return this.#rows.has(this.#identifyKey(key))
  }

  put(row: Row): void {
    this.#rows.set(this.identify(row), row)
  }

  remove(row: Row): void {
    this.#rows.delete(this.identify(row))
  }

  clear(): void {
    this.#rows.clear()
  }

  /** The table is described anew. Rows stay where they are, under the keys they have. */
  describe(table: Table): void {
    this.#table = table
    this.#identity = identityOf(table)
  }

  /** With another table: the same rows under that table's key. */
  copy(table: Table = this.table): StoredRows {
    const copy = new StoredRows(table, table === this.table ? this.#rows : undefined)
    if (table !== this.table) for (const row of this.#rows.values()) copy.put(row)
    return copy
  }

  /** As record ids see it: 1.0 and 1.00 are one key. */
  #identifyKey(key: Key): string {
    return this.table.key.length > 0
      ? canonicalKeyText(
          key,
          this.#identity.map(({ type }) => type),
        )
      : identifyKey(key)
  }

  /** Every row, in an order that depends on the keys alone. */
  list(): readonly Row[] {
    return [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
  }
}

function identityOf({ key, columns }: Table): readonly Column[] {
  return key.length > 0 ? key : columns
}

/** These columns of a row and no others. A column that the row lacks is null. */
export function pick(row: Row, columns: readonly Column[]): Row {
  return Object.fromEntries(columns.map(({ name }) => [name, Object.hasOwn(row, name) ? (row[name] ?? null) : null]))
}

/** Text that is equal for equal keys. */
export function identifyKey(key: Key): string {
  return key.map(textOf).join(',')
}

/** A number and a bigint of the same value are one value; a number and its text are two. */
function textOf(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return `bytes(${Buffer.from(value).toString('hex')})`
  if (value instanceof Decimal) return `decimal(${value.text})`
  if (value === null || typeof value !== 'object') return String(value)
  if (isList(value)) return `[${value.map(textOf).join(',')}]`
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${textOf(field)}`).join(',')}}`
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}
