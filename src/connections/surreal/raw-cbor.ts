/**
 * A codec that passes CBOR through, for servers that cannot decode it in a query: SurrealDB 2, or 3 with the function denied.
 * The SDK's own encoder has no floats without a fraction, no negative zero, and refuses whole numbers beyond 2^53.
 */
import { randomBytes } from 'node:crypto'
import { CborCodec } from 'surrealdb'

const placeholderSize = 32
/** The head of a byte string of that size. */
const headSize = 2

/** A binding whose bytes go into the request as they are. To every other codec it is a short byte string. */
export class RawCbor extends Uint8Array {
  readonly content: Uint8Array

  constructor(content: Uint8Array) {
    super(randomBytes(placeholderSize))
    this.content = content
  }
}

/** Encodes as the SDK does, then puts the content of each {@link RawCbor} in its place. */
export class RawCborCodec extends CborCodec {
  override encode<T>(data: T): Uint8Array {
    let encoded = super.encode(data)
    for (const binding of bindingsOf(data)) {
      if (!(binding instanceof RawCbor)) continue
      const start = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength).indexOf(binding)
      if (start < headSize) throw new Error('A request lost its content while it was encoded')
      encoded = Buffer.concat([
        encoded.subarray(0, start - headSize),
        binding.content,
        encoded.subarray(start + placeholderSize),
      ])
    }
    return encoded
  }
}

/** The parameters of a query, in a request as the SDK builds it. */
function bindingsOf(request: unknown): readonly unknown[] {
  const params = typeof request === 'object' && request !== null ? Reflect.get(request, 'params') : undefined
  const bindings: unknown = Array.isArray(params) ? params[1] : undefined
  return typeof bindings === 'object' && bindings !== null ? Object.values(bindings) : []
}
