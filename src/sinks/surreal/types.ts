/** How values become SurrealDB values where there is a choice, and what happens to those that do not fit. */
import { SyncError } from '../../core/errors.js'

/** Choices of form. A value that cannot take the chosen form takes a fallback and is counted. */
export interface ValueOptions {
  /** NULL as a field that is null, or as no field at all. @defaultValue `'null'` */
  readonly nulls?: 'null' | 'none'
  /** Decimals beyond 96 bits or 28 digits after the point. @defaultValue `'string'` */
  readonly numericOverflow?: 'string' | 'float' | 'error'
  /** Infinite dates and timestamps, and years that SurrealDB cannot hold. @defaultValue `'string'` */
  readonly infinity?: 'string' | 'null' | 'error'
  /** Durations have no sign and no months: such intervals become ISO 8601 text. @defaultValue `'duration'` */
  readonly interval?: 'duration' | 'string' | 'object'
  /** @defaultValue `'datetime'`, at midnight UTC */
  readonly date?: 'datetime' | 'string'
  /** @defaultValue `'uuid'` */
  readonly uuid?: 'uuid' | 'string'
  /** @defaultValue `'geometry'` */
  readonly geometry?: 'geometry' | 'object'
  /** @defaultValue `'range'` */
  readonly ranges?: 'range' | 'object'
}

/** The values allowed for each option, the default first. */
export const choices = {
  nulls: ['null', 'none'],
  numericOverflow: ['string', 'float', 'error'],
  infinity: ['string', 'null', 'error'],
  interval: ['duration', 'string', 'object'],
  date: ['datetime', 'string'],
  uuid: ['uuid', 'string'],
  geometry: ['geometry', 'object'],
  ranges: ['range', 'object'],
} as const satisfies { readonly [Name in keyof ValueOptions]-?: readonly NonNullable<ValueOptions[Name]>[] }

export type ValueForms = { readonly [Name in keyof typeof choices]: (typeof choices)[Name][number] }

/** The options with their defaults. @throws SyncError `E_CONFIG` */
export function valueForms(options: ValueOptions): ValueForms {
  return {
    nulls: choose('nulls', choices.nulls, options.nulls),
    numericOverflow: choose('numericOverflow', choices.numericOverflow, options.numericOverflow),
    infinity: choose('infinity', choices.infinity, options.infinity),
    interval: choose('interval', choices.interval, options.interval),
    date: choose('date', choices.date, options.date),
    uuid: choose('uuid', choices.uuid, options.uuid),
    geometry: choose('geometry', choices.geometry, options.geometry),
    ranges: choose('ranges', choices.ranges, options.ranges),
  }
}

/** One of a few words, or the first of them. @throws SyncError `E_CONFIG` */
export function choose<Choice extends string>(
  name: string,
  allowed: readonly [Choice, ...Choice[]],
  given: string | undefined,
): Choice {
  if (given === undefined) return allowed[0]
  const found = allowed.find((choice) => choice === given)
  if (found !== undefined) return found
  throw new SyncError('E_CONFIG', `The option ${name} is none of ${allowed.join(', ')}`)
}

/** Why values of a column took another form than usual. */
export const fallbackReasons = {
  integer: 'do not fit into 64 bits and were stored as decimal or text',
  decimal: 'exceed 96 bits or 28 decimal places and were not stored as decimal',
  notANumber: 'are not finite and were stored as float',
  infinity: 'are infinite or beyond the years of a datetime and were not stored as datetime',
  interval: 'have months or a sign and were stored as text',
  depth: 'are nested too deeply and were stored as JSON text',
  geometry: 'cannot be a geometry and were stored as object',
  emptyRange: 'are empty ranges and were stored as text',
  text: 'contain half a surrogate pair, which was replaced by U+FFFD',
} as const satisfies Record<string, string>

export type FallbackReason = keyof typeof fallbackReasons

/** One column of one table: the forms of its values, and what a writer needs to name and count what did not fit. */
export class CellSite {
  readonly table: string
  readonly column: string
  readonly forms: ValueForms
  readonly fallbacks = new Map<FallbackReason, number>()

  constructor(table: string, column: string, forms: ValueForms) {
    this.table = table
    this.column = column
    this.forms = forms
  }

  count(reason: FallbackReason): void {
    this.fallbacks.set(reason, (this.fallbacks.get(reason) ?? 0) + 1)
  }

  tooLarge(bytesMax: number): SyncError {
    const message = `A row of ${this.table} takes more than ${bytesMax} bytes at column ${this.column}`
    return new SyncError('E_ROW_TOO_LARGE', message, {
      ...{ table: this.table, column: this.column },
      hint: 'Leave the table out, or make the value smaller.',
    })
  }

  refuse(what: string): SyncError {
    return new SyncError('E_VALUE', `Column ${this.column} of ${this.table} holds ${what}`, {
      table: this.table,
      column: this.column,
      hint: 'Change the value at the source, or choose another form of it with `values`.',
    })
  }
}
