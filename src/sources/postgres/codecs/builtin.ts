/** Which codec reads what which send function sends. */
import type { LogicalType } from '../../../core/value.js'
import { bitCodec, lsnCodec, tidCodec, xid8Codec, xidCodec } from './bits.js'
import type { Codec } from './codec.js'
import { hstoreCodec } from './composite.js'
import { dateCodec, timeCodec, timestampCodec, timetzCodec } from './datetime.js'
import { ewkbCodec } from './ewkb.js'
import { float4Codec } from './float4.js'
import { boxCodec, circleCodec, lineCodec, lsegCodec, pathCodec, pointCodec, polygonCodec } from './geometry.js'
import { intervalCodec } from './interval.js'
import { jsonbCodec, jsonCodec } from './json.js'
import { inetCodec, macCodec } from './network.js'
import { boolCodec, float8Codec, int2Codec, int4Codec, int8Codec, oidCodec } from './number.js'
import { numericCodec } from './numeric.js'
import { bpcharCodec, byteaCodec, charCodec, textCodec, uuidCodec, versionedTextCodec } from './text.js'
import { halfvecCodec, sparsevecCodec, vectorCodec } from './vector.js'

export interface WireType {
  readonly type: LogicalType
  readonly codec: Codec
  /** Whether equal values always have equal text. */
  readonly exactText: boolean
}

const text = wireType({ kind: 'text' }, textCodec, true)
const integer = { kind: 'integer' } as const
const string = { kind: 'text' } as const
const json = { kind: 'json' } as const
const geometry = { kind: 'geometry' } as const
const floats = { kind: 'array', element: { kind: 'float' } } as const
const sparse = {
  kind: 'object',
  fields: [
    { name: 'dimensions', type: integer },
    { name: 'indices', type: { kind: 'array', element: integer } },
    { name: 'values', type: floats },
  ],
} as const

/** By the name of the send function, which is in pg_catalog. Enums and domains share those of other types. */
export const builtinTypes: ReadonlyMap<string, WireType> = new Map([
  ['boolsend', wireType({ kind: 'boolean' }, boolCodec, true)],
  ['int2send', wireType(integer, int2Codec, true)],
  ['int4send', wireType(integer, int4Codec, true)],
  ['int8send', wireType(integer, int8Codec, true)],
  ['oidsend', wireType(integer, oidCodec, true)],
  ['float4send', wireType({ kind: 'float' }, float4Codec, false)],
  ['float8send', wireType({ kind: 'float' }, float8Codec, false)],
  ['numeric_send', wireType({ kind: 'decimal' }, numericCodec, false)],
  ['textsend', text],
  ['varcharsend', text],
  ['namesend', text],
  ['enum_send', text],
  ['unknownsend', text],
  ['cstring_send', text],
  ['xml_send', wireType(string, textCodec, false)],
  ['bpcharsend', wireType(string, bpcharCodec, true)],
  ['charsend', wireType(string, charCodec, true)],
  ['byteasend', wireType({ kind: 'bytes' }, byteaCodec, true)],
  ['uuid_send', wireType({ kind: 'uuid' }, uuidCodec, true)],
  ['date_send', wireType({ kind: 'date' }, dateCodec, true)],
  ['time_send', wireType({ kind: 'time' }, timeCodec, true)],
  ['timetz_send', wireType({ kind: 'time' }, timetzCodec, true)],
  ['timestamp_send', wireType({ kind: 'timestamp' }, timestampCodec, true)],
  ['timestamptz_send', wireType({ kind: 'timestamp' }, timestampCodec, true)],
  ['interval_send', wireType({ kind: 'interval' }, intervalCodec, false)],
  ['json_send', wireType(json, jsonCodec, false)],
  ['jsonb_send', wireType(json, jsonbCodec, false)],
  ['inet_send', wireType(string, inetCodec, true)],
  ['cidr_send', wireType(string, inetCodec, true)],
  ['macaddr_send', wireType(string, macCodec, true)],
  ['macaddr8_send', wireType(string, macCodec, true)],
  ['bit_send', wireType(string, bitCodec, true)],
  ['varbit_send', wireType(string, bitCodec, true)],
  ['pg_lsn_send', wireType(string, lsnCodec, true)],
  ['xidsend', wireType(string, xidCodec, true)],
  ['cidsend', wireType(string, xidCodec, true)],
  ['xid8send', wireType(string, xid8Codec, true)],
  ['tidsend', wireType(string, tidCodec, true)],
  ['jsonpath_send', wireType(string, versionedTextCodec, false)],
  ['point_send', wireType(geometry, pointCodec, false)],
  ['lseg_send', wireType(geometry, lsegCodec, false)],
  ['box_send', wireType(geometry, boxCodec, false)],
  ['path_send', wireType(geometry, pathCodec, false)],
  ['poly_send', wireType(geometry, polygonCodec, false)],
  ['line_send', wireType(geometry, lineCodec, false)],
  ['circle_send', wireType(geometry, circleCodec, false)],
])

/** By the name of the send function and of the type, in whatever schema the extension is. */
export const extensionTypes: ReadonlyMap<string, WireType> = new Map([
  ['citextsend citext', wireType(string, textCodec, false)],
  ['hstore_send hstore', wireType({ kind: 'dictionary' }, hstoreCodec, false)],
  ['ltree_send ltree', wireType(string, versionedTextCodec, false)],
  ['lquery_send lquery', wireType(string, versionedTextCodec, false)],
  ['ltxtq_send ltxtquery', wireType(string, versionedTextCodec, false)],
  ['geometry_send geometry', wireType(geometry, ewkbCodec, false)],
  ['geography_send geography', wireType(geometry, ewkbCodec, false)],
  ['vector_send vector', wireType(floats, vectorCodec, false)],
  ['halfvec_send halfvec', wireType(floats, halfvecCodec, false)],
  ['sparsevec_send sparsevec', wireType(sparse, sparsevecCodec, false)],
])

/** What is read as text. */
export const textType = wireType(string, textCodec, false)

function wireType(type: LogicalType, codec: Codec, exactText: boolean): WireType {
  return { type, codec, exactText }
}
