/** The record id of a row: the same for full and incremental sync, because both call this. */
import type { Table } from '../../core/schema.js'
import type { LogicalType } from '../../core/value.js'
import { CborBuffer, cbor } from './cbor-buffer.js'
import type { ValueForms } from './types.js'

/** How a table's rows are named and which columns become fields. */
export interface RecordShape {
  /** The bytes in front of the key cells: the tag, the table's name, and the head of an array unless the key is bare. */
  readonly idPrefix: Uint8Array
  /** The key is the only cell and needs no array around it. */
  readonly bare: boolean
  /** Field names by column name. A column without one is the record id itself. */
  readonly fieldNames: ReadonlyMap<string, string>
  /** The name that a column `id` outside the key got instead. */
  readonly renamedId?: string
}

const recordIdHead = [0xc8, cbor.array | 2]

/**
 * One key column that SurrealDB accepts as a key is the key; any other is wrapped in an array of one, several form an array
 * in key order. Key columns stay fields too, except a single key column named `id`.
 * @param keyForms Those of the first key column.
 */
export function recordShape(table: Table, target: string, keyForms: ValueForms): RecordShape {
  const [first, ...others] = table.key
  const bare = first !== undefined && others.length === 0 && isBare(first.type, keyForms)
  const prefix = new CborBuffer(256)
  for (const byte of recordIdHead) prefix.putByte(byte)
  prefix.putText(target)
  if (!bare) prefix.putHead(cbor.array, table.key.length)

  const idIsKey = table.key.some((column) => column.name === 'id')
  const fieldNames = new Map<string, string>()
  let renamedId: string | undefined
  for (const { name } of table.columns) {
    if (name !== 'id') fieldNames.set(name, name)
    else if (!idIsKey || others.length > 0) {
      const field = freeName(table)
      fieldNames.set(name, field)
      if (!idIsKey) renamedId = field
    }
  }
  return { idPrefix: prefix.slice(0, prefix.position).slice(), bare, fieldNames, renamedId }
}

/** Whether SurrealDB accepts values of this type as a key without an array around them. */
export function isBare(type: LogicalType, forms: ValueForms): boolean {
  switch (type.kind) {
    case 'integer':
    case 'text':
    case 'uuid':
    case 'time':
      return true
    case 'date':
      return forms.date === 'string'
    case 'interval':
      return forms.interval === 'string'
    default:
      return false
  }
}

/** `id` is the record id in SurrealDB, so a column of that name becomes `id_`, or `id__` if that is taken, and so on. */
function freeName(table: Table): string {
  const taken = new Set(table.columns.map((column) => column.name))
  let name = 'id_'
  while (taken.has(name)) name += '_'
  return name
}
