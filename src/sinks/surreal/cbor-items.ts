/** Where the items of encoded CBOR (RFC 8949) begin and end. */
import { CborCodec, type RecordId } from 'surrealdb'

const codec = new CborCodec({})
const indefinite = 31
const stop = 0xff
/** The name `id` as CBOR, which is the first of every record, and the last of every mark. */
const idName = [0x62, 0x69, 0x64] as const
/** Tag and array, before the name of the table. */
const recordIdHeadSize = 2

/** Cuts so many items that follow each other apart. */
export function splitItems(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  const items: Uint8Array[] = []
  let position = 0
  for (let index = 0; index < count; index += 1) {
    const end = skipItem(bytes, position)
    items.push(bytes.subarray(position, end))
    position = end
  }
  return items
}

/** The record id of an encoded record, or the encoded record id itself, as SurrealQL writes it. */
export function recordText(item: Uint8Array): string {
  const id: RecordId = codec.decode(recordId(item))
  return id.toString()
}

/** The key part of that record id. */
export function keyBytes(item: Uint8Array): Uint8Array {
  const id = recordId(item)
  const start = skipItem(id, recordIdHeadSize)
  return id.slice(start)
}

function recordId(item: Uint8Array): Uint8Array {
  let start = 0
  if ((item[0] ?? 0) >> 5 === 5) {
    start = headSize(item, 0)
    while (!idName.every((byte, index) => item[start + index] === byte)) start = skipItem(item, skipItem(item, start))
    start += idName.length
  }
  return item.slice(start, skipItem(item, start))
}

function skipItem(bytes: Uint8Array, position: number): number {
  const initial = bytes[position] ?? 0
  const major = initial >> 5
  if ((initial & 31) === indefinite && major !== 7) {
    let next = position + 1
    while (bytes[next] !== stop) next = skipItem(bytes, next)
    return next + 1
  }
  const argument = argumentAt(bytes, position)
  let next = position + headSize(bytes, position)
  if (major === 2 || major === 3) return next + argument
  const parts = { 4: argument, 5: argument * 2, 6: 1 }[major] ?? 0
  for (let part = 0; part < parts; part += 1) next = skipItem(bytes, next)
  return next
}

function headSize(bytes: Uint8Array, position: number): number {
  const short = (bytes[position] ?? 0) & 31
  return short < 24 || short === indefinite ? 1 : 1 + 2 ** (short - 24)
}

function argumentAt(bytes: Uint8Array, position: number): number {
  const short = (bytes[position] ?? 0) & 31
  if (short < 24) return short
  let argument = 0
  for (let index = position + 1; index < position + headSize(bytes, position); index += 1) {
    argument = argument * 256 + (bytes[index] ?? 0)
  }
  return argument
}
