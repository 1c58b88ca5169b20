/** How CBOR gets to the server. */
import { CborCodec } from 'surrealdb'
import type { Connection } from '../../connections/surreal/connection.js'
import { ask } from '../../connections/surreal/query.js'
import { RawCbor } from '../../connections/surreal/raw-cbor.js'
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import { probeFunction, probeValue } from './statements.js'

/**
 * `function`: as bytes that a function of the server decodes, the cheapest way. `raw`: as a part of the request. `objects`:
 * decoded here and encoded again by the SDK, which loses the kind of some numbers.
 */
export type Encoding = 'function' | 'raw' | 'objects'

const codec = new CborCodec({})
/** The float 1e300, which the SDK cannot encode. */
const probe = Uint8Array.of(0xfb, 0x7e, 0x37, 0xe4, 0x3c, 0x88, 0x00, 0x75, 0x9c)

/** Finds out what this connection can do. */
export async function findEncoding(connection: Connection, options: Abortable): Promise<Encoding> {
  if (await answers(connection, probeFunction, { bytes: probe }, options)) return 'function'
  if (await answers(connection, probeValue, { value: new RawCbor(probe) }, options)) return 'raw'
  return 'objects'
}

/** The parameter by which a query gets this CBOR: as bytes that it has to decode, or as a value. */
export function cborBinding(encoding: Encoding, name: string, bytes: Uint8Array): Record<string, unknown> {
  if (encoding === 'function') return { [name]: bytes }
  return { [name]: encoding === 'raw' ? new RawCbor(bytes) : codec.decode(bytes) }
}

async function answers(
  connection: Connection,
  text: string,
  bindings: Record<string, unknown>,
  options: Abortable,
): Promise<boolean> {
  try {
    const { results, failure } = await connection.call((db) => ask(db, text, bindings), options)
    return failure === undefined && results.at(-1) === 1e300
  } catch (error) {
    // A server that does not know the function rejects the text as a whole.
    if (error instanceof SyncError && !error.retryable && error.code !== 'E_AUTH') return false
    throw error
  }
}
