/** The ids of a target table, page by page in key order, each also as the exact bytes that name the record. */
import { CborCodec, RecordId, Table } from 'surrealdb'
import { askValue } from '../../connections/surreal/query.js'
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import { writeValue } from '../../core/write-value.js'
import { CborBuffer, cbor } from './cbor-buffer.js'
import { CborWriter } from './cbor-writer.js'
import { cborBinding } from './encoding.js'
import { isReadableKey, readKey } from './key-reader.js'
import type { Lane } from './lane.js'
import { idQueries } from './statements.js'
import type { TablePlan } from './table-plan.js'

/** How many ids the source is asked about at once, at most. */
const idsMax = 1_000
/** How many ids are read at once, about. */
const segmentMax = 20_000
const codec = new CborCodec({})
const recordIdTag = 8
const rangeTag = 49
const inclusiveTag = 50
const exclusiveTag = 51
const recordIdHeadSize = 2

export interface StoredId {
  /** The key part of the record id as the SDK decodes it. */
  readonly key: unknown
  /** The record id in CBOR, as the server wrote it. */
  readonly bytes: Uint8Array
}

/** What became of the ids that were passed. */
export interface Passed {
  /** How many records of theirs were deleted. */
  removed: number
}

/**
 * All ids that are there when they are passed. Records may be deleted meanwhile; whoever does so counts them.
 *
 * They are read by ranges with two ends: of one that is open SurrealDB 3.0 reads everything, whatever the limit. It counts
 * quickly, so each end is found by its number.
 */
export async function* idPages(
  lane: Lane,
  plan: TablePlan,
  options: Abortable,
  passed: Passed = { removed: 0 },
): AsyncGenerator<readonly StoredId[]> {
  let after: StoredId | undefined
  let count = 0
  for (;;) {
    options.signal?.throwIfAborted()
    const start = count - passed.removed + segmentMax - 1
    const [end] = await readIds(
      lane,
      plan,
      { kind: 'end', bindings: { table: new Table(plan.target), start } },
      options,
    )
    const range = cborBinding(lane.encoding, 'range', rangeBytes(plan.target, after, end))
    const ids = await readIds(lane, plan, { kind: 'range', bindings: range }, options)
    if (after !== undefined && ids[0] !== undefined && Buffer.compare(ids[0].bytes, after.bytes) === 0)
      throw unreadable('the same ids twice')
    for (let first = 0; first < ids.length; first += idsMax) yield ids.slice(first, first + idsMax)
    if (end === undefined) return
    count += ids.length
    after = end
  }
}

interface IdQuery {
  readonly kind: 'end' | 'range'
  readonly bindings: Record<string, unknown>
}

async function readIds(
  lane: Lane,
  plan: TablePlan,
  { kind, bindings }: IdQuery,
  options: Abortable,
): Promise<readonly StoredId[]> {
  const { label } = plan.table
  const { encoded, plain } = idQueries[kind]
  if (lane.encoding === 'function') {
    const answer = await askValue(lane.connection, encoded, bindings, options, label)
    if (answer instanceof ArrayBuffer) return splitIds(new Uint8Array(answer))
    if (answer instanceof Uint8Array) return splitIds(answer)
    throw unreadable('no bytes for a page of ids')
  }
  const ids = splitIds(codec.encode(await askValue(lane.connection, plain, bindings, options, label)))
  return ids.map((id) => ({ key: id.key, bytes: keyBytes(plan, id.key) ?? id.bytes }))
}

/** The record ids behind the one given, up to and with the other. */
function rangeBytes(target: string, after: StoredId | undefined, end: StoredId | undefined): Uint8Array {
  const range = new CborBuffer(256)
  range.putTag(recordIdTag)
  range.putHead(cbor.array, 2)
  range.putText(target)
  range.putTag(rangeTag)
  range.putHead(cbor.array, 2)
  if (after === undefined) range.putByte(cbor.null)
  else {
    range.putTag(exclusiveTag)
    range.putRaw(after.bytes.subarray(skip(after.bytes, recordIdHeadSize)))
  }
  if (end === undefined) range.putByte(cbor.null)
  else {
    range.putTag(inclusiveTag)
    range.putRaw(end.bytes.subarray(skip(end.bytes, recordIdHeadSize)))
  }
  return range.slice(0, range.position)
}

/** What the writer makes of this key: the SDK, which decoded it, would turn whole floats into integers. */
function keyBytes({ table, shape, keySites, forms }: TablePlan, id: unknown): Uint8Array | undefined {
  const key = isReadableKey(table) ? readKey(table, shape.bare, id) : undefined
  if (key === undefined) return undefined
  const writer = new CborWriter(forms, 256)
  writer.putRaw(shape.idPrefix)
  writer.keyed = true
  for (const [index, { type }] of table.key.entries()) {
    writer.site = keySites[index] ?? writer.site
    writeValue(key[index] ?? null, type, writer)
  }
  return writer.slice(0, writer.position)
}

/** Cuts an array of record ids into its elements. */
function splitIds(bytes: Uint8Array): readonly StoredId[] {
  const ids: unknown = codec.decode(bytes)
  if (!Array.isArray(ids)) throw unreadable('something else than a page of ids')
  let position = skipHead(bytes, 0)
  return ids.map((id: unknown) => {
    if (!(id instanceof RecordId)) throw unreadable('something else than a record id')
    const start = position
    position = skip(bytes, start)
    return { key: id.id, bytes: bytes.subarray(start, position) }
  })
}

/** Where the CBOR item behind this one begins. */
function skip(bytes: Uint8Array, position: number): number {
  const initial = bytes[position] ?? 0
  const argument = argumentAt(bytes, position)
  let next = skipHead(bytes, position)
  switch (initial >> 5) {
    case 2:
    case 3:
      return next + argument
    case 4:
      for (let count = 0; count < argument; count += 1) next = skip(bytes, next)
      return next
    case 5:
      for (let count = 0; count < argument * 2; count += 1) next = skip(bytes, next)
      return next
    case 6:
      return skip(bytes, next)
    default:
      return next
  }
}

function skipHead(bytes: Uint8Array, position: number): number {
  const short = (bytes[position] ?? 0) & 0x1f
  if (short > 27) throw unreadable('CBOR of indefinite length')
  return position + 1 + (short < 24 ? 0 : 2 ** (short - 24))
}

function argumentAt(bytes: Uint8Array, position: number): number {
  const short = (bytes[position] ?? 0) & 0x1f
  if (short < 24) return short
  let argument = 0
  for (let index = position + 1; index < skipHead(bytes, position); index += 1)
    argument = argument * 256 + (bytes[index] ?? 0)
  return argument
}

function unreadable(what: string): SyncError {
  return new SyncError('E_TARGET_PROTOCOL', `SurrealDB answered ${what}`)
}
