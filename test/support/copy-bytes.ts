/** Streams in the binary format of COPY, made by hand. */

export type Cell = Buffer | null

export const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
export const trailer = Buffer.from([0xff, 0xff])

export function header(flags = 0, extension = Buffer.alloc(0)): Buffer {
  return Buffer.concat([signature, int32(flags), int32(extension.length), extension])
}

export function row(cells: readonly Cell[]): Buffer {
  const parts = cells.map((cell) => (cell === null ? int32(-1) : Buffer.concat([int32(cell.length), cell])))
  return Buffer.concat([int16(cells.length), ...parts])
}

export function stream(rows: readonly (readonly Cell[])[]): Buffer {
  return Buffer.concat([header(), ...rows.map(row), trailer])
}

/** The bytes in pieces of this size. */
export function pieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  )
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
