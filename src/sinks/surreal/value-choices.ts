/** Which form the values of each column take: choices for all columns, for those of a type, for one column. */
import { SyncError } from '../../core/errors.js'
import type { SyncWarning } from '../../core/events.js'
import type { Column, Table } from '../../core/schema.js'
import type { PrepareOptions } from '../../core/sink.js'
import { choices, type ValueForms, type ValueOptions, valueForms } from './types.js'

/** Choices for all columns, and exceptions from them. The most exact one counts. */
export interface ValueSettings extends ValueOptions {
  /** For all columns of a type, by the source's name of it: `timestamptz`, `numeric`, `numeric(12,2)`. Arrays of it too. */
  readonly types?: { readonly [type: string]: ValueOptions }
  /** For one column: `public.events.took`, or `events.took` in whatever schema. */
  readonly columns?: { readonly [column: string]: ValueOptions }
}

/** Short names that PostgreSQL itself prints in full. */
const fullNames: { readonly [name: string]: string } = {
  bool: 'boolean',
  char: 'character',
  decimal: 'numeric',
  float4: 'real',
  float8: 'double precision',
  int: 'integer',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  time: 'time without time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  timetz: 'time with time zone',
  varbit: 'bit varying',
  varchar: 'character varying',
}

export class ValueChoices {
  /** What holds where nothing more exact does. */
  readonly general: ValueForms
  readonly #options: ValueOptions
  readonly #types: ReadonlyMap<string, ValueOptions>
  readonly #columns: ReadonlyMap<string, ValueOptions>
  readonly #forms = new Map<string, ValueForms>()

  /** @param options Choices outside of `values`, which count least. @throws SyncError `E_CONFIG` */
  constructor(options: ValueOptions, values: ValueSettings = {}) {
    const { types = {}, columns = {}, ...general } = values
    this.#options = { ...given(options, ''), ...given(general, 'values.', true) }
    this.#types = new Map(
      Object.entries(types).map(([name, chosen]) => [fullName(name), given(chosen, `values.types.${name}.`, true)]),
    )
    this.#columns = new Map(
      Object.entries(columns).map(([name, chosen]) => [name, given(chosen, `values.columns.${name}.`, true)]),
    )
    this.general = valueForms(this.#options)
  }

  forms(table: Table, { name, sourceName = name, sourceType }: Column): ValueForms {
    const found = [...typeNames(sourceType).map((type) => this.#types.get(type)), ...this.#ofColumn(table, sourceName)]
    const exceptions = found.filter((options) => options !== undefined)
    if (exceptions.length === 0) return this.general
    const options: ValueOptions = Object.assign({}, this.#options, ...exceptions)
    // Equal choices are one object, which keeps the writer's calls alike.
    const text = JSON.stringify(valueForms(options))
    const known = this.#forms.get(text) ?? valueForms(options)
    this.#forms.set(text, known)
    return known
  }

  /**
   * Warns of choices for what none of these tables has.
   * @throws SyncError `E_CONFIG` for a column, in a full sync
   */
  checkUsed(tables: readonly Table[], { phase }: PrepareOptions, warn: (warning: SyncWarning) => void): void {
    const { columns, types } = this.unused(tables)
    const [column] = columns
    if (column !== undefined && phase === 'full') {
      throw new SyncError('E_CONFIG', `A form was chosen for the values of ${column}, but no table has this column`, {
        hint: 'Write it like public.events.took.',
      })
    }
    for (const name of [...columns, ...types]) {
      warn({
        code: 'value_form_unused',
        message: `A form was chosen for the values of ${name}, but there are none`,
      })
    }
  }

  /** The names of columns, and of types, that none of these tables has. */
  unused(tables: readonly Table[]): { readonly columns: readonly string[]; readonly types: readonly string[] } {
    const columns = new Set<string>()
    const types = new Set<string>()
    for (const table of tables) {
      for (const { name, sourceName = name, sourceType } of table.columns) {
        for (const column of columnNames(table, sourceName)) columns.add(column)
        for (const type of typeNames(sourceType)) types.add(type)
      }
    }
    return {
      columns: [...this.#columns.keys()].filter((name) => !columns.has(name)),
      types: [...this.#types.keys()].filter((name) => !types.has(name)),
    }
  }

  #ofColumn(table: Table, name: string): readonly (ValueOptions | undefined)[] {
    return columnNames(table, name).map((column) => this.#columns.get(column))
  }
}

/** The names by which a column may be chosen, the most exact one last. They are those of the source. */
function columnNames({ label, schema }: Table, name: string): readonly string[] {
  return [`${label.slice(schema.length + 1)}.${name}`, `${label}.${name}`]
}

/** The name that PostgreSQL prints: `character varying(20)` for `varchar(20)`. */
function fullName(name: string): string {
  return name.includes(' ') ? name : name.replace(/^\w+/, (head) => fullNames[head] ?? head)
}

/** The names under which a type's choices are found, the most exact one last: `numeric(12,2)[]` is a `numeric` too. */
function typeNames(sourceType: string): readonly string[] {
  const element = sourceType.replace(/(\[\])+$/, '')
  const plain = element.replace(/\(\d+(,-?\d+)?\)/, '')
  return [...new Set([plain, element, sourceType])]
}

/** The choices made, checked. @param all Whether anything else is a mistake. */
function given(options: ValueOptions, where: string, all = false): ValueOptions {
  const chosen: [string, string][] = []
  for (const [name, choice] of Object.entries(options)) {
    const allowed = isOption(name) ? choices[name] : undefined
    if (choice === undefined || (allowed === undefined && !all)) continue
    if (allowed === undefined)
      throw wrong(`${where}${name}`, `does not exist: there are ${Object.keys(choices).join(', ')}`)
    if (!allowed.some((word) => word === choice)) throw wrong(`${where}${name}`, `is none of ${allowed.join(', ')}`)
    chosen.push([name, choice])
  }
  return Object.fromEntries(chosen)
}

function isOption(name: string): name is keyof typeof choices {
  return Object.hasOwn(choices, name)
}

function wrong(name: string, what: string): SyncError {
  return new SyncError('E_CONFIG', `The option ${name} ${what}`)
}
