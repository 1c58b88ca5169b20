/** Hands a JavaScript value to a writer, for rows that exist as objects. */
import type { LogicalType, Value, ValueWriter } from './value.js'

/** Writes one cell of this type. */
export function writeValue(value: Value, type: LogicalType, writer: ValueWriter): void {
  void value
  void type
  void writer
  throw new Error('replaced by the codec work')
}
