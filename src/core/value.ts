/** The values that travel from sources to sinks, and the writer that receives them without building objects. */

/**
 * An exact decimal number that a JavaScript number cannot hold. It appears inside JSON values, where no column type
 * says that a text is a number.
 */
export class Decimal {
  /** Plain or exponent notation as in JSON, for example `-12.50` or `1e400`. */
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }

  toJSON(): string {
    return this.text
  }
}

/** A parsed JSON document. Integers beyond 2^53 are bigints, other numbers that a double cannot hold are {@link Decimal}. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | Decimal
  | readonly Json[]
  | { readonly [name: string]: Json }

/**
 * One cell as a JavaScript value. `null` is the database's NULL.
 *
 * Whatever a JavaScript number cannot hold exactly is a bigint or text, and the column's {@link LogicalType} says which:
 * `integer` is a number, or a bigint beyond 2^53; `decimal` is text (`NaN`, `Infinity` and `-Infinity` included);
 * `uuid` is text; `date` is `2024-01-31`; `time` is text as PostgreSQL prints it; `timestamp` is
 * `2024-01-31T12:00:00.123456Z` with up to nine fraction digits, a sign and six digits for years outside 0000 to 9999,
 * or `infinity` / `-infinity`; `interval` is an ISO 8601 duration; `bytes` is a `Uint8Array`.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Decimal
  | readonly Value[]
  | { readonly [name: string]: Value }

/** What a column's values mean, independent of the source's own type names. */
export type LogicalType =
  | {
      readonly kind:
        | 'boolean'
        | 'integer'
        | 'float'
        | 'decimal'
        | 'text'
        | 'bytes'
        | 'uuid'
        | 'date'
        | 'time'
        | 'timestamp'
        | 'interval'
        | 'json'
        | 'geometry'
    }
  | { readonly kind: 'array'; readonly element: LogicalType }
  | { readonly kind: 'range'; readonly element: LogicalType }
  | { readonly kind: 'object'; readonly fields: readonly { readonly name: string; readonly type: LogicalType }[] }
  /** Names and text values, as in hstore. */
  | { readonly kind: 'dictionary' }

/** One end of a range. `unbounded` has no cell. */
export type RangeBound = 'inclusive' | 'exclusive' | 'unbounded'

/** Shapes on a plane. Coordinates are `x, y` pairs, flat: `[x1, y1, x2, y2]`. */
export type Shape =
  | { readonly kind: 'point' | 'line' | 'polygon'; readonly coordinates: readonly number[] }
  /**
   * As GeoJSON (RFC 7946) has it, `{ type: 'Point', coordinates: [1, 2] }`, and beyond: more coordinates, kinds that GeoJSON does
   * not have, and the number of the reference system as `srid`.
   */
  | { readonly kind: 'geojson'; readonly value: { readonly [name: string]: Value } }
  /** A shape that none of the above can hold, as named numbers. */
  | { readonly kind: 'other'; readonly value: { readonly [name: string]: Value } }

/**
 * Receives cells in the cheapest form that the source has. Implemented by sinks that encode bytes.
 *
 * Every cell is exactly one call, except `array`, `object` and `range`, which are followed by the cells they announce.
 * Byte arguments are borrowed: they are valid during the call only.
 */
export interface ValueWriter {
  null(): void
  boolean(value: boolean): void
  integer(value: number | bigint): void
  float(value: number): void
  /** Plain decimal notation, never an exponent; or `NaN`, `Infinity`, `-Infinity`. */
  decimal(text: string): void
  string(value: string): void
  /** Text that need not become a JavaScript string. Valid UTF-8. */
  utf8(source: Uint8Array, start: number, end: number): void
  bytes(source: Uint8Array, start: number, end: number): void
  /** Sixteen bytes. */
  uuid(source: Uint8Array, start: number): void
  /** Days since 1970-01-01. */
  date(days: number): void
  /** Seconds since 1970-01-01T00:00:00Z, rounded down, and the nanoseconds above that. */
  timestamp(seconds: number, nanos: number): void
  /** A date or timestamp later (or, if negative, earlier) than every other. */
  infinity(negative: boolean): void
  interval(months: number, days: number, micros: bigint): void
  json(value: Json): void
  /**
   * A JSON text that need not be parsed: valid UTF-8, no name twice in an object. False, with nothing written: the document
   * must come by `json`.
   */
  jsonUtf8?(source: Uint8Array, start: number, end: number): boolean
  /** Then `length` cells. */
  array(length: number): void
  /** Then `length` times `name` and one cell. */
  object(length: number): void
  name(value: string): void
  /** Then one cell for each bound that is not `unbounded`, the lower one first. */
  range(lower: RangeBound, upper: RangeBound): void
  /** A range that contains nothing. */
  emptyRange(): void
  geometry(shape: Shape): void
}
