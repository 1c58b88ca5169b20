/** A column whose values are replaced: on the server where it can, else before anybody gets them. */
import { createHmac } from 'node:crypto'
import type { Mask } from '../../core/shaping.js'
import type { LogicalType, Value } from '../../core/value.js'
import { writeValue } from '../../core/write-value.js'
import type { Codec } from './codecs/codec.js'
import { stringCodec } from './codecs/derived.js'
import { textCodec } from './codecs/text.js'
import type { PostgresColumn } from './postgres-table.js'

/** As everything that a transform gives, a result is written by what it is in JavaScript. */
const text: LogicalType = { kind: 'text' }

export function maskedColumn<C extends PostgresColumn>(column: C, mask: Mask, secret: string): C {
  if (typeof mask === 'function') return { ...column, type: text, codec: functionCodec(column.codec, mask) }
  return {
    ...column,
    type: text,
    codec: mask === 'hash' ? hashCodec(secret) : textCodec,
    select: selectOf(mask, column),
    unknownType: false,
  }
}

function selectOf(mask: Exclude<Mask, (value: never) => Value>, column: PostgresColumn): string {
  if (mask === null || mask === 'null') return 'null::pg_catalog.text'
  const printed = column.printed(column.quoted)
  return mask === 'hash' ? printed : `pg_catalog."left"(${printed}, ${mask.truncate})`
}

/** The secret never travels. */
function hashCodec(secret: string): Codec {
  return stringCodec((wire, start, end) =>
    createHmac('sha256', secret).update(wire.bytes.subarray(start, end)).digest('hex'),
  )
}

function functionCodec(codec: Codec, mask: (value: Exclude<Value, null>) => Value): Codec {
  const decode: Codec['decode'] = (wire, start, end) => {
    const value = codec.decode(wire, start, end)
    return value === null ? null : (mask(value) ?? null)
  }
  return {
    decode,
    transcode(wire, start, end, writer) {
      writeValue(decode(wire, start, end), text, writer)
    },
  }
}
