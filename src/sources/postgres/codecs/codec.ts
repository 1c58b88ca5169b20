/** The contract of a wire type's codec. */

import { SyncError } from '../../../core/errors.js'
import type { Value, ValueWriter } from '../../../core/value.js'

/** Bytes in PostgreSQL's binary formats, twice: once for text, once for numbers. Both span the same memory. */
export interface Wire {
  readonly bytes: Buffer
  readonly view: DataView
}

/**
 * Reads cells of one wire type out of `wire`, from `start` up to `end`; never a NULL. What `transcode` writes and what
 * `writeValue` writes of `decode`'s result is the same.
 */
export interface Codec {
  decode(wire: Wire, start: number, end: number): Value
  transcode(wire: Wire, start: number, end: number, writer: ValueWriter): void
}

/** Stops where a cell is not what its column's type promises, as after an unnoticed ALTER TABLE. */
export function unexpected(what: string): SyncError {
  return new SyncError('E_SOURCE_PROTOCOL', `PostgreSQL sent a cell that is no ${what}`, {
    hint: 'Run again: the structure of the table may have changed while it was read.',
  })
}

/** A view of both kinds on some bytes. */
export function wireOf(bytes: Uint8Array): Wire {
  return {
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  }
}
