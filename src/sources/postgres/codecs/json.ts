/** json and jsonb. */
import type { Json } from '../../../core/value.js'
import { type Codec, unexpected, type Wire } from './codec.js'
import { parseJson } from './parse-json.js'

/** On the wire json is text; jsonb is text after a format version of one byte. */
function codec(prefixLength: number): Codec {
  const decode = (wire: Wire, start: number, end: number): Json => {
    if (end < start + prefixLength || (prefixLength === 1 && wire.bytes[start] !== 1))
      throw unexpected('jsonb of version 1')
    const text = wire.bytes.toString('utf8', start + prefixLength, end)
    const value = parsed(text)
    // A document that is nested too deep to be parsed stays text.
    return value === undefined ? text : value
  }
  return {
    decode,
    transcode(wire, start, end, writer) {
      // A json document may have a name twice.
      const text = prefixLength === 1 && end > start && wire.bytes[start] === 1
      if (text && writer.jsonUtf8?.(wire.bytes, start + prefixLength, end) === true) return
      const value = decode(wire, start, end)
      // The JSON null and NULL are one value to a reader of `rows()`; so they are here.
      if (value === null) writer.null()
      else writer.json(value)
    },
  }
}

/** The document; `undefined` if it is nested too deep. */
function parsed(text: string): Json | undefined {
  try {
    return parseJson(text)
  } catch (error) {
    throw error instanceof SyntaxError ? unexpected('JSON document') : error
  }
}

export const jsonCodec: Codec = codec(0)
export const jsonbCodec: Codec = codec(1)
