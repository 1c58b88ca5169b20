import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SyncError } from '../../src/core/errors.js'
import { CopyParser } from '../../src/sources/postgres/copy-parser.js'
import type { CopyRows } from '../../src/sources/postgres/copy-rows.js'
import { type Cell, header, int32, pieces, row, signature, stream, trailer } from '../support/copy-bytes.js'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
const limits = { bytesMax: 1000, rowsMax: 100 }

function parse(parts: readonly Buffer[], { bytesMax, rowsMax } = limits, columnCount = -1) {
  const chunks: CopyRows[] = []
  const parser = new CopyParser(columnCount, { bytesMax, rowsMax }, (rows) => chunks.push(rows))
  // A parser that kept what it got would see it change.
  for (const part of parts) {
    const borrowed = Buffer.from(part)
    parser.push(borrowed)
    borrowed.fill(0xee)
  }
  return { chunks, parser, rows: chunks.flatMap(cellsOf) }
}

function cellsOf(rows: CopyRows): Cell[][] {
  return Array.from({ length: rows.rowCount }, (_, index) =>
    Array.from({ length: rows.columnCount }, (_, column) => {
      const start = rows.start(index, column)
      expect(rows.length(index, column)).toBe(start < 0 ? -1 : rows.end(start) - start)
      return start < 0 ? null : Buffer.from(rows.bytes.subarray(start, rows.end(start)))
    }),
  )
}

const table: Cell[][] = Array.from({ length: 57 }, (_, index) => [
  int32(index),
  index % 3 === 0 ? null : Buffer.alloc((index * 37) % 90, index),
  Buffer.from('é'.repeat(index % 5)),
])

describe('the COPY parser', () => {
  it.each([1, 2, 3, 5, 7, 11, 64, 1000, 1_000_000])('reads rows from pieces of %i bytes', (size) => {
    const { rows, parser } = parse(pieces(stream(table), size))
    expect(rows).toEqual(table)
    expect(parser.complete).toBe(true)
    expect(parser.rowCount).toBe(table.length)
  })

  it('reads rows as PostgreSQL sends them, header and trailer on their own', () => {
    expect(parse([header(), ...table.map(row), trailer]).rows).toEqual(table)
  })

  it('reads any rows, however they are cut', () => {
    const cell = fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)))
    const rows = fc
      .integer({ min: 1, max: 6 })
      .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 40 }))
    const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(
        rows,
        sizes,
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 10 }),
        (expected, cuts, bytesMax, rowsMax) => {
          const bytes = stream(expected)
          const parts: Buffer[] = []
          for (let at = 0, index = 0; at < bytes.length; index += 1) {
            const size = cuts[index % cuts.length] ?? 1
            parts.push(bytes.subarray(at, at + size))
            at += size
          }
          const { rows: found, chunks, parser } = parse(parts, { bytesMax, rowsMax })
          expect(found).toEqual(expected)
          expect(parser.complete).toBe(true)
          for (const chunk of chunks) {
            expect(chunk.rowCount).toBeLessThanOrEqual(rowsMax)
            if (chunk.rowCount > 1) expect(chunk.byteCount).toBeLessThanOrEqual(bytesMax)
          }
        },
      ),
      { seed, numRuns: 500 },
    )
  })

  it('lets a row that is larger than the limit travel alone', () => {
    const rows = [[Buffer.alloc(10)], [Buffer.alloc(5000, 1)], [Buffer.alloc(10)]]
    for (const size of [1, 100, 10_000]) {
      const { chunks, rows: found } = parse(pieces(stream(rows), size))
      expect(found).toEqual(rows)
      expect(chunks.map((chunk) => chunk.rowCount)).toEqual([1, 1, 1])
    }
  })

  it('reads rows without columns, and no rows', () => {
    expect(parse([stream([[], [], []])], limits, 0).parser.rowCount).toBe(3)
    expect(parse([stream([])])).toMatchObject({ rows: [], parser: { complete: true } })
  })

  it('skips the header extension and the flags that need no attention', () => {
    expect(parse(pieces(Buffer.concat([header(1, Buffer.from('later')), row([int32(1)]), trailer]), 2)).rows).toEqual([
      [int32(1)],
    ])
  })

  it.each([
    ['a wrong signature', Buffer.concat([Buffer.from('PGCOPX'), stream([]).subarray(6)])],
    ['an early newline conversion', Buffer.concat([Buffer.from('PGCOPY\r\n'), stream([]).subarray(7)])],
    ['critical flags', Buffer.concat([header(0x10000), trailer])],
    ['oids', Buffer.concat([header(1 << 16), trailer])],
    ['a negative extension', Buffer.concat([signature, int32(0), int32(-5), trailer])],
    ['more columns in a later row', Buffer.concat([header(), row([int32(1)]), row([int32(1), int32(2)]), trailer])],
    ['a cell of length -2', Buffer.concat([header(), Buffer.from([0, 1]), int32(-2), trailer])],
    ['bytes after the trailer', Buffer.concat([stream([[int32(1)]]), Buffer.from([0])])],
    ['a column count of -2', Buffer.concat([header(), Buffer.from([0xff, 0xfe])])],
  ])('refuses %s', (_, bytes) => {
    for (const size of [1, 3, 10_000]) {
      expect(() => parse(pieces(bytes, size))).toThrowError(expect.objectContaining({ code: 'E_SOURCE_PROTOCOL' }))
    }
  })

  it('refuses another number of columns than announced', () => {
    expect(() => parse([stream([[int32(1)]])], limits, 2)).toThrowError(
      expect.objectContaining({ code: 'E_SOURCE_PROTOCOL' }),
    )
  })

  it('is not complete when the stream is cut anywhere', () => {
    const bytes = stream(table.slice(0, 5))
    for (let length = 0; length < bytes.length; length += 1) {
      const { rows, parser } = parse([bytes.subarray(0, length)])
      expect(parser.complete).toBe(false)
      expect(rows).toEqual(table.slice(0, rows.length))
    }
  })

  it('either refuses a stream with a flipped bit or reads as many rows and columns as there are', () => {
    const bytes = stream(table.slice(0, 6))
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        const { parser, rows } = parse(pieces(flipped, 50))
        if (parser.complete) for (const cells of rows) expect(cells).toHaveLength(3)
      } catch (error) {
        expect(error).toBeInstanceOf(SyncError)
      }
    }
  })
})
