/** CBOR that is well-formed (RFC 8949, appendix C). */

/**
 * Where the item that begins at `start` ends.
 * @throws Error when it is not well-formed.
 */
export function endOfItem(bytes: Uint8Array, start: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const walk = (at: number): number => {
    const initial = view.getUint8(at)
    const [major, info] = [initial >> 5, initial & 31]
    if (info === 31) {
      if (major < 4 || major > 5) throw new Error(`An item of no length begins with ${initial}`)
      let next = at + 1
      while (view.getUint8(next) !== 0xff) next = walk(major === 5 ? walk(next) : next)
      return next + 1
    }
    if (info > 27) throw new Error(`There is no item that begins with ${initial}`)
    const size = info < 24 ? 0 : 1 << (info - 24)
    let next = at + 1 + size
    if (next > bytes.length) throw new Error('The item is cut off')
    if (major < 2 || major === 7) return next
    const argument = argumentOf(view, at, info, size)
    if (major < 4) next += argument
    else if (major === 6) next = walk(next)
    else for (let count = major === 5 ? 2 * argument : argument; count > 0; count -= 1) next = walk(next)
    if (next > bytes.length) throw new Error('The item is cut off')
    return next
  }
  return walk(start)
}

function argumentOf(view: DataView, at: number, info: number, size: number): number {
  if (size === 0) return info
  if (size === 1) return view.getUint8(at + 1)
  if (size === 2) return view.getUint16(at + 1)
  return size === 4 ? view.getUint32(at + 1) : Number(view.getBigUint64(at + 1))
}
