/** The ids of a target table, page by page in key order, each also as the exact bytes that name the record. */
import { BoundExcluded, CborCodec, RecordId, RecordIdRange } from 'surrealdb'
import { SyncError } from '../../core/errors.js'
import type { Abortable } from '../../core/source.js'
import { CborBuffer, cbor } from './cbor-buffer.js'
import type { Lane } from './lane.js'
import { askValue } from './query.js'
import { encodedPage, plainPage } from './statements.js'
import type { TablePlan } from './table-plan.js'

/** How many ids the source is asked about at once, at most. */
const idsMax = 1_000
const codec = new CborCodec({})
const recordIdHeadSize = 2

export interface StoredId {
  /** The key part of the record id as the SDK decodes it. */
  readonly key: unknown
  /** The record id in CBOR, as the server wrote it. */
  readonly bytes: Uint8Array
}

/** All ids that are there when they are passed. Records may be deleted meanwhile. */
export async function* idPages(
  lane: Lane,
  { target, table }: TablePlan,
  options: Abortable,
): AsyncGenerator<readonly StoredId[]> {
  let last: StoredId | undefined
  for (;;) {
    options.signal?.throwIfAborted()
    const bytes = lane.encoded
      ? await encodedIds(lane, target, last, options, table.label)
      : await plainIds(lane, target, last, options, table.label)
    const page = splitIds(bytes)
    const first = page[0]
    if (first === undefined) return
    if (last !== undefined && Buffer.compare(first.bytes, last.bytes) === 0)
      throw unreadable('the same page of ids twice')
    yield page
    if (page.length < idsMax) return
    last = page.at(-1)
  }
}

async function encodedIds(
  lane: Lane,
  target: string,
  after: StoredId | undefined,
  options: Abortable,
  label: string,
): Promise<Uint8Array> {
  const range = new CborBuffer(256)
  range.putTag(8)
  range.putHead(cbor.array, 2)
  range.putText(target)
  range.putTag(49)
  range.putHead(cbor.array, 2)
  if (after === undefined) range.putByte(cbor.null)
  else {
    range.putTag(51)
    range.putRaw(after.bytes.subarray(skip(after.bytes, recordIdHeadSize)))
  }
  range.putByte(cbor.null)
  const bindings = { bytes: range.slice(0, range.position), limit: idsMax }
  const answer = await askValue(lane.connection, encodedPage, bindings, options, label)
  if (answer instanceof ArrayBuffer) return new Uint8Array(answer)
  if (answer instanceof Uint8Array) return answer
  throw unreadable('no bytes for a page of ids')
}

async function plainIds(
  lane: Lane,
  target: string,
  after: StoredId | undefined,
  options: Abortable,
  label: string,
): Promise<Uint8Array> {
  const last = after === undefined ? undefined : codec.decode<RecordId>(after.bytes)
  const range = new RecordIdRange(target, last === undefined ? undefined : new BoundExcluded(last.id), undefined)
  const answer = await askValue(lane.connection, plainPage, { range, limit: idsMax }, options, label)
  return codec.encode(answer)
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
