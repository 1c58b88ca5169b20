/** What tables, keys and columns become in SurrealDB, told without a connection. */
import type { SyncWarning } from '../../core/events.js'
import type { Column, Table } from '../../core/schema.js'
import type { LogicalType } from '../../core/value.js'
import { Catalog } from './catalog.js'
import type { SurrealSinkSettings } from './options.js'
import type { TablePlan } from './table-plan.js'
import type { ValueForms } from './types.js'
import { ValueChoices } from './value-choices.js'

/** What one table becomes. */
export interface TargetTable {
  /** `schema.name` at the source. */
  readonly label: string
  /** Its name in SurrealDB. */
  readonly name: string
  /** How record ids are made of the key: `users:<id>`, `orders:[<customer>, <number>]`. */
  readonly recordId: string
  /** In the order of the columns. */
  readonly fields: readonly TargetField[]
}

/** What one column becomes. */
export interface TargetField {
  /** `undefined`: no column gives it. */
  readonly column: string | undefined
  /** Its name in SurrealDB. `undefined`: the column is the record id and no field beside it. */
  readonly field: string | undefined
  /** SurrealDB's type of its values: `int`, `array<string>`, …; `any` for JSON, whose values have types of their own. */
  readonly type: string
  /** In a few words: which values take another form, if any can. */
  readonly note?: string
  /** Whether something is lost of those values, by a choice in the options. */
  readonly lossy: boolean
}

/** What tables become in the target. */
export interface Mapping {
  /** In the order of the tables given. */
  readonly tables: readonly TargetTable[]
  readonly warnings: readonly SyncWarning[]
}

/**
 * What these tables become with these settings of a {@link SurrealSink}. Connects to nothing.
 * @throws SyncError `E_NAME_COLLISION`, `E_CONFIG`, as a run would
 */
export function describeMapping(tables: readonly Table[], settings: SurrealSinkSettings = {}): Mapping {
  const warnings: SyncWarning[] = []
  const choices = new ValueChoices(settings, settings.values)
  const catalog = new Catalog(choices, settings.tableName ?? ((table) => table.name))
  const plans = catalog.register(tables, (warning) => warnings.push(warning))
  const mapped = plans.map((plan) => describe(plan, choices))
  for (const { label, fields } of mapped) {
    for (const { column, note } of fields.filter(({ lossy }) => lossy)) {
      const message = `Column ${column} of ${label} loses something: ${note}`
      warnings.push({ code: 'value_lossy', table: label, column, message })
    }
  }
  return { tables: mapped, warnings }
}

function describe({ table, target, shape, removal }: TablePlan, choices: ValueChoices): TargetTable {
  const key = table.key.map(({ name }) => `<${name}>`).join(', ')
  const fields = table.columns.map((column) => {
    const forms = choices.forms(table, column)
    const form = formOf(column.type, forms, column)
    return { column: column.name, field: shape.fieldNames.get(column.name), lossy: false, ...form }
  })
  const mark = removal.field === undefined ? [] : [markOf(removal.field)]
  return {
    label: table.label,
    name: target,
    recordId: `${target}:${shape.bare ? key : `[${key}]`}`,
    fields: [...fields, ...mark],
  }
}

/** The field that no column gives. */
function markOf(field: string): TargetField {
  return { column: undefined, field, type: 'datetime', note: 'when the row was found deleted', lossy: false }
}

type Form = Pick<TargetField, 'type' | 'note'> & Partial<Pick<TargetField, 'lossy'>>

function formOf(type: LogicalType, forms: ValueForms, column: Pick<Column, 'sourceType'>): Form {
  switch (type.kind) {
    case 'boolean':
      return { type: 'bool' }
    case 'integer':
      return { type: 'int' }
    case 'float':
      return { type: 'float' }
    case 'decimal':
      return decimal(forms, column)
    case 'text':
    case 'time':
      return { type: 'string' }
    case 'bytes':
      return { type: 'bytes' }
    case 'uuid':
      return { type: forms.uuid }
    case 'date':
      return forms.date === 'string' ? { type: 'string' } : { type: 'datetime', ...infinite(forms, 'midnight UTC') }
    case 'timestamp':
      return {
        type: 'datetime',
        ...infinite(forms, /without time zone/.test(column.sourceType) ? 'taken as UTC' : undefined),
      }
    case 'interval':
      if (forms.interval !== 'duration') return { type: forms.interval }
      return { type: 'duration', note: 'text with months or a sign' }
    case 'json':
      return { type: 'any', ...(column.sourceType === 'json' ? { note: 'of duplicate names the last counts' } : {}) }
    case 'geometry':
      return forms.geometry === 'object' ? { type: 'object' } : { type: 'geometry', note: 'an object where it is none' }
    case 'range':
      if (forms.ranges === 'object') return { type: 'object' }
      return { type: 'range', note: 'text if it is empty' }
    case 'array': {
      const element = formOf(type.element, forms, column)
      return { ...element, type: `array<${element.type}>` }
    }
    case 'object':
    case 'dictionary':
      return { type: 'object' }
  }
}

/** Digits that always fit. */
const digitsMax = 28

function decimal({ numericOverflow }: ValueForms, { sourceType }: Pick<Column, 'sourceType'>): Form {
  const [, precision, scale = '0'] = /^numeric\((\d+),(-?\d+)\)/.exec(sourceType) ?? []
  const fits =
    precision !== undefined && Number(precision) <= digitsMax && Number(scale) >= 0 && Number(scale) <= digitsMax
  if (fits || sourceType.startsWith('money')) return { type: 'decimal' }
  const beyond = `beyond ${digitsMax} digits`
  if (numericOverflow === 'string') return { type: 'decimal', note: `text ${beyond}` }
  if (numericOverflow === 'error') return { type: 'decimal', note: `refused ${beyond}` }
  return { type: 'decimal', note: `a float, which loses digits, ${beyond}`, lossy: true }
}

function infinite({ infinity }: ValueForms, note: string | undefined): Omit<Form, 'type'> {
  const notes = note === undefined ? [] : [note]
  if (infinity === 'null') return { note: [...notes, 'null if infinite'].join('; '), lossy: true }
  if (infinity === 'error') return { note: [...notes, 'refused if infinite'].join('; ') }
  return { note: [...notes, 'text if infinite'].join('; ') }
}
