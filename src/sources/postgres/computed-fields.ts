/** Fields that an SQL expression works out: columns of the select list, read by the codecs of their types. */
import { createHash } from 'node:crypto'
import { SyncError } from '../../core/errors.js'
import type { TableShape } from '../../core/shaping.js'
import type { PostgresColumn, PostgresTable } from './postgres-table.js'
import { quoteName } from './quoted-name.js'
import {
  checkExpression,
  expressionsOf,
  fromOf,
  inParentheses,
  judged,
  type RowExpression,
  refusedExpression,
} from './row-expression.js'
import type { Session } from './session.js'
import { TypeResolver } from './types.js'

type FieldExpression = RowExpression & { readonly field: string }

/** Below all system columns, whose numbers are negative, too. */
const firstNumber = -1_000

/** For one run: types are asked for once, as long as the table's structure stays what it is. */
export class ComputedFields {
  readonly #known = new Map<string, readonly PostgresColumn[]>()

  /**
   * The fields of the shape that are SQL, in its order.
   * @param table As it is without a shape.
   * @throws SyncError `E_CONFIG` for an expression that cannot be kept, or whose type cannot be read
   */
  async of(session: Session, table: PostgresTable, shape: TableShape): Promise<readonly PostgresColumn[]> {
    const { compute } = shape
    const fields = expressionsOf({ ...table, shape: { compute } }).filter(
      (one): one is FieldExpression => 'field' in one,
    )
    if (fields.length === 0) return []
    const sameness = JSON.stringify([table.oid, table.relation, table.structure, fields])
    const known = this.#known.get(sameness)
    if (known !== undefined) return known
    for (const expression of fields) await checkExpression(session, table, expression)
    const columns = await described(session, table, fields)
    this.#known.set(sameness, columns)
    return columns
  }
}

/** The columns of the table and the fields that are added to them or take their place. */
export function withComputed(
  table: PostgresTable,
  columns: readonly PostgresColumn[],
  computed: readonly PostgresColumn[],
): readonly PostgresColumn[] {
  const names = new Set(computed.map(({ name }) => name))
  const key = new Set(table.key.map(({ attnum }) => attnum))
  const part = columns.find(({ name, attnum }) => names.has(name) && key.has(attnum))
  if (part === undefined) return [...columns.filter(({ name }) => !names.has(name)), ...computed]
  throw new SyncError(
    'E_CONFIG',
    `The field ${part.name} of ${table.label} belongs to its key and cannot be computed`,
    {
      table: table.label,
      column: part.name,
      hint: 'Record ids are made of keys: choose another name for the field.',
    },
  )
}

/** What the expressions give, without a row and so without evaluating any of them. */
async function described(
  session: Session,
  table: PostgresTable,
  fields: readonly FieldExpression[],
): Promise<readonly PostgresColumn[]> {
  const rows: { readonly oid: number; readonly kind: string; readonly sourceType: string }[] = []
  for (const expression of fields) {
    const doing = `looking at the type of the field ${expression.field} of ${table.label}`
    const ask = () => session.rows(doing, typeSql(table, expression))
    const [row] = await judged(table, expression, ask)
    const [oid, kind = '', sourceType = ''] = row ?? []
    const type = { oid: Number(oid), kind: kind ?? '', sourceType: sourceType ?? '' }
    if (type.kind === 'p') {
      throw refusedExpression(table, expression, `its type is ${type.sourceType}, of which nobody knows the fields`)
    }
    rows.push(type)
  }
  const types = await TypeResolver.load(
    session.client,
    rows.map(({ oid }) => oid),
  )
  return fields.flatMap(({ field, sql }, index): PostgresColumn[] => {
    const row = rows[index]
    if (row === undefined) return []
    const type = types.column(row.oid)
    const select = type.select(inParentheses(sql))
    return [
      {
        name: field,
        type: type.type,
        sourceType: row.sourceType,
        nullable: true,
        attnum: firstNumber - index,
        typeOid: row.oid,
        codec: type.codec,
        quoted: quoteName(field),
        select,
        unknownType: type.unknown,
        identity: hash([field, select, types.describe(row.oid)]),
        startsNull: false,
        printed: type.printed,
      },
    ]
  })
}

function typeSql(table: PostgresTable, { sql }: FieldExpression): string {
  return `select y.oid, y.typtype, pg_catalog.format_type(y.oid, null)
from (values (1)) one
left join (select ${inParentheses(sql)} as v from ${fromOf(table)} where false offset 0) r on true
join pg_catalog.pg_type y on y.oid = pg_catalog.pg_typeof(r.v)`
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}
