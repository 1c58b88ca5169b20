/** Codecs of types that end up as one text each. */
import type { Codec, Wire } from './codec.js'

/** A codec from a function that gives the text. */
export function stringCodec(textOf: (wire: Wire, start: number, end: number) => string): Codec {
  return {
    decode: textOf,
    transcode(wire, start, end, writer) {
      writer.string(textOf(wire, start, end))
    },
  }
}

/** A codec from a function that gives the decimal number as text. */
export function decimalCodec(textOf: (wire: Wire, start: number, end: number) => string): Codec {
  return {
    decode: textOf,
    transcode(wire, start, end, writer) {
      writer.decimal(textOf(wire, start, end))
    },
  }
}
