/** Types made of named parts: rows and hstore. */
import { bareObject } from '../../../core/bare-object.js'
import { type Codec, unexpected, type Wire } from './codec.js'

/** One attribute of a composite type. */
export interface CompositeField {
  readonly name: string
  readonly typeOid: number
  readonly codec: Codec
}

/** A row as an object by attribute name. On the wire: the number of attributes, then type, length and value of each. */
export function compositeCodec(fields: readonly CompositeField[]): Codec {
  return {
    decode(wire, start, end) {
      checkCount(wire, start, end, fields.length)
      const object = bareObject()
      let position = start + 4
      for (const field of fields) {
        const size = fieldSize(wire, position, end, field)
        position += 8
        object[field.name] = size < 0 ? null : field.codec.decode(wire, position, position + size)
        position += Math.max(size, 0)
      }
      if (position !== end) throw unexpected('row')
      return object
    },
    transcode(wire, start, end, writer) {
      checkCount(wire, start, end, fields.length)
      writer.object(fields.length)
      let position = start + 4
      for (const field of fields) {
        const size = fieldSize(wire, position, end, field)
        position += 8
        writer.name(field.name)
        if (size < 0) writer.null()
        else field.codec.transcode(wire, position, position + size, writer)
        position += Math.max(size, 0)
      }
      if (position !== end) throw unexpected('row')
    },
  }
}

function checkCount(wire: Wire, start: number, end: number, count: number): void {
  if (end - start < 4 || wire.view.getInt32(start) !== count) throw unexpected(`row of ${count} attributes`)
}

function fieldSize(wire: Wire, position: number, end: number, field: CompositeField): number {
  if (position + 8 > end || wire.view.getUint32(position) !== field.typeOid) throw unexpected('row of the known type')
  const size = wire.view.getInt32(position + 4)
  if (size < -1 || position + 8 + size > end) throw unexpected('row')
  return size
}

/** hstore: the number of pairs, then length and text of each name and value; a value of length -1 is NULL. */
export const hstoreCodec: Codec = {
  decode(wire, start, end) {
    const object = bareObject()
    walkPairs(wire, start, end, (name, from, to) => {
      object[name] = from < 0 ? null : wire.bytes.toString('utf8', from, to)
    })
    return object
  },
  transcode(wire, start, end, writer) {
    writer.object(pairCount(wire, start, end))
    walkPairs(wire, start, end, (name, from, to) => {
      writer.name(name)
      if (from < 0) writer.null()
      else writer.utf8(wire.bytes, from, to)
    })
  },
}

function walkPairs(
  wire: Wire,
  start: number,
  end: number,
  visit: (name: string, from: number, to: number) => void,
): void {
  let position = start + 4
  for (let count = pairCount(wire, start, end); count > 0; count -= 1) {
    if (position + 4 > end) throw unexpected('hstore')
    const nameEnd = position + 4 + wire.view.getInt32(position)
    if (nameEnd < position + 4 || nameEnd + 4 > end) throw unexpected('hstore')
    const size = wire.view.getInt32(nameEnd)
    const valueEnd = nameEnd + 4 + Math.max(size, 0)
    if (size < -1 || valueEnd > end) throw unexpected('hstore')
    visit(wire.bytes.toString('utf8', position + 4, nameEnd), size < 0 ? -1 : nameEnd + 4, valueEnd)
    position = valueEnd
  }
  if (position !== end) throw unexpected('hstore')
}

/** Each pair takes at least the lengths of its two texts. */
function pairCount(wire: Wire, start: number, end: number): number {
  const count = end - start < 4 ? -1 : wire.view.getInt32(start)
  if (count < 0 || 8 * count > end - start - 4) throw unexpected('hstore')
  return count
}
