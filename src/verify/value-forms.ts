/** The choices of form that a target was written with; see docs/postgresql-data-types.md. */

/** What was chosen for the values of one column. */
export interface ValueForms {
  readonly nulls: 'null' | 'none'
  readonly numericOverflow: 'string' | 'float' | 'error'
  readonly infinity: 'string' | 'null' | 'error'
  readonly interval: 'duration' | 'string' | 'object'
  readonly date: 'datetime' | 'string'
  readonly uuid: 'uuid' | 'string'
  readonly geometry: 'geometry' | 'object'
  readonly ranges: 'range' | 'object'
}

export const defaultForms: ValueForms = {
  nulls: 'null',
  numericOverflow: 'string',
  infinity: 'string',
  interval: 'duration',
  date: 'datetime',
  uuid: 'uuid',
  geometry: 'geometry',
  ranges: 'range',
}
