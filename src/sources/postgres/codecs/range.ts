/** Ranges and multiranges. The wire format is `range_send` in PostgreSQL's utils/adt/rangetypes.c. */
import { bareObject } from '../../../core/bare-object.js'
import type { RangeBound, Value } from '../../../core/value.js'
import { type Codec, unexpected, type Wire } from './codec.js'

const isEmpty = 0x01
const lowerInclusive = 0x02
const upperInclusive = 0x04
const lowerInfinite = 0x08
const upperInfinite = 0x10

/**
 * A range of another type: `{ lower, lowerBound, upper, upperBound }`, where an unbounded end is null; the text `empty`
 * if it contains nothing.
 */
export function rangeCodec(element: Codec): Codec {
  return {
    decode(wire, start, end) {
      const flags = flagsOf(wire, start, end)
      if ((flags & isEmpty) !== 0) return 'empty'
      const [lower, upper] = bounds(flags)
      const object: { [name: string]: Value } = bareObject()
      let position = start + 1
      const next = (bound: RangeBound): Value => {
        if (bound === 'unbounded') return null
        const from = position + 4
        position = cellEnd(wire, position, end)
        return element.decode(wire, from, position)
      }
      object.lower = next(lower)
      object.lowerBound = lower
      object.upper = next(upper)
      object.upperBound = upper
      checkEnd(position, end)
      return object
    },
    transcode(wire, start, end, writer) {
      const flags = flagsOf(wire, start, end)
      if ((flags & isEmpty) !== 0) {
        writer.emptyRange()
        return
      }
      const [lower, upper] = bounds(flags)
      writer.range(lower, upper)
      let position = start + 1
      for (const bound of [lower, upper]) {
        if (bound === 'unbounded') continue
        const from = position + 4
        position = cellEnd(wire, position, end)
        element.transcode(wire, from, position, writer)
      }
      checkEnd(position, end)
    },
  }
}

/** A multirange is an array of ranges: their number, then length and value of each. */
export function multirangeCodec(range: Codec): Codec {
  return {
    decode(wire, start, end) {
      const ranges: Value[] = []
      let position = start + 4
      for (let count = countOf(wire, start, end); count > 0; count -= 1) {
        const from = position + 4
        position = cellEnd(wire, position, end)
        ranges.push(range.decode(wire, from, position))
      }
      checkEnd(position, end)
      return ranges
    },
    transcode(wire, start, end, writer) {
      const count = countOf(wire, start, end)
      writer.array(count)
      let position = start + 4
      for (let index = 0; index < count; index += 1) {
        const from = position + 4
        position = cellEnd(wire, position, end)
        range.transcode(wire, from, position, writer)
      }
      checkEnd(position, end)
    },
  }
}

function flagsOf(wire: Wire, start: number, end: number): number {
  const flags = wire.bytes[start]
  if (flags === undefined || end <= start) throw unexpected('range')
  if ((flags & isEmpty) !== 0) checkEnd(start + 1, end)
  return flags
}

function bounds(flags: number): readonly [RangeBound, RangeBound] {
  return [bound(flags, lowerInfinite, lowerInclusive), bound(flags, upperInfinite, upperInclusive)]
}

function bound(flags: number, infinite: number, inclusive: number): RangeBound {
  if ((flags & infinite) !== 0) return 'unbounded'
  return (flags & inclusive) !== 0 ? 'inclusive' : 'exclusive'
}

function countOf(wire: Wire, start: number, end: number): number {
  const count = end - start < 4 ? -1 : wire.view.getInt32(start)
  if (count < 0 || 4 * count > end - start - 4) throw unexpected('multirange')
  return count
}

function checkEnd(position: number, end: number): void {
  if (position !== end) throw unexpected('range')
}

/** The end of the cell whose length stands here. */
function cellEnd(wire: Wire, position: number, end: number): number {
  const size = position + 4 > end ? -1 : wire.view.getInt32(position)
  if (size < 0 || position + 4 + size > end) throw unexpected('range')
  return position + 4 + size
}
