/** Which source table goes to which target table, and the plans of all that were announced. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Table } from '../../core/schema.js'
import type { ExistingRecords } from './ownership.js'
import { stateTable } from './statements.js'
import { planTable, type TablePlan } from './table-plan.js'
import type { ValueChoices } from './value-choices.js'

export class Catalog {
  readonly #choices: ValueChoices
  readonly #tableName: (table: Table) => string
  /** Target names by source label. */
  readonly #targets = new Map<string, string>()
  readonly #plans = new WeakMap<Table, TablePlan>()
  /** Labels whose renamed column was reported. */
  readonly #reported = new Set<string>()

  constructor(choices: ValueChoices, tableName: (table: Table) => string) {
    this.#choices = choices
    this.#tableName = tableName
  }

  /** Registers tables beside others. @throws SyncError `E_NAME_COLLISION`, `E_TABLE_WITHOUT_KEY` */
  register(
    tables: readonly Table[],
    warn: (warning: SyncWarning) => void,
    beside: readonly Table[] = [],
  ): readonly TablePlan[] {
    const labels = new Map(beside.map((table) => [this.#targetOf(table), table.label]))
    for (const table of tables) {
      const target = this.#targetOf(table)
      const other = labels.get(target)
      if (other !== undefined && other !== table.label) throw collision(table, `${other} and ${table.label}`, target)
      if (target === stateTable) throw collision(table, `${table.label} and the state records`, target)
      labels.set(target, table.label)
      this.#targets.set(table.label, target)
    }
    return tables.map((table) => {
      const plan = this.#make(table)
      const { renamedId } = plan.shape
      if (renamedId !== undefined && !this.#reported.has(table.label)) {
        this.#reported.add(table.label)
        warn({
          code: 'column_renamed',
          message: `Column id of ${table.label} is not its key and was renamed to ${renamedId}`,
          table: table.label,
          column: 'id',
        })
      }
      return plan
    })
  }

  /** Names what becomes of a row, and where it goes. */
  shape(table: Table, existing: ExistingRecords): string {
    const forms = [...table.columns, ...table.key].map((column) => this.#choices.forms(table, column))
    return JSON.stringify([this.#targetOf(table), existing, this.#choices.general, forms])
  }

  /** The plan of a table, made anew when the source describes it anew. */
  plan(table: Table): TablePlan {
    const known = this.#plans.get(table)
    if (known !== undefined) return known
    if (!this.#targets.has(table.label)) throw new Error(`The table ${table.label} was not announced to prepare()`)
    return this.#make(table)
  }

  #make(table: Table): TablePlan {
    if (table.key.length === 0) {
      throw new SyncError('E_TABLE_WITHOUT_KEY', `Table ${table.label} has no key, so its rows have no record ids`, {
        table: table.label,
        hint: 'Add a primary key, or leave the table out.',
      })
    }
    const plan = planTable(table, this.#targets.get(table.label) ?? this.#targetOf(table), this.#choices)
    const { field } = plan.removal
    if (field !== undefined && (field === 'id' || [...plan.shape.fieldNames.values()].includes(field))) {
      throw new SyncError(
        'E_NAME_COLLISION',
        `${table.label} has a column ${field}, which would mark deleted records`,
        {
          table: table.label,
          column: field,
          hint: 'Choose another field: `deletes: { soft: "removed_at" }`, or another name for the column.',
        },
      )
    }
    this.#plans.set(table, plan)
    return plan
  }

  #targetOf(table: Table): string {
    const target = this.#tableName(table)
    if (typeof target === 'string' && target !== '') return target
    throw new SyncError('E_CONFIG', `The option tableName returned no name for ${table.label}`, { table: table.label })
  }
}

function collision(table: Table, who: string, target: string): SyncError {
  return new SyncError('E_NAME_COLLISION', `Both ${who} would be written to the target table ${target}`, {
    table: table.label,
    hint: 'Leave one of them out, or give it another name with `tableName`.',
  })
}
