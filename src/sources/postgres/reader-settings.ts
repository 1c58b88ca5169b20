/** Settings of a session that reads. */

/**
 * What every session that reads rows sets first. With these no role, database or server default can change what a cell
 * looks like. `extra_float_digits` makes text of floats exact, for the few types that travel as text.
 */
export const readerSettings: readonly (readonly [name: string, value: string])[] = [
  ['search_path', ''],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['extra_float_digits', '3'],
  ['bytea_output', 'hex'],
  ['lc_monetary', 'C'],
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
]
