/** Damaged and hostile streams, from the wire to the bytes for SurrealDB: they are read or refused, and nothing else. */
import { ok, strictEqual } from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { SyncError } from '../../src/core/errors.js'
import { seededRandom } from '../../src/demo/seeded-random.js'
import { Catalog } from '../../src/sinks/surreal/catalog.js'
import { CborWriter } from '../../src/sinks/surreal/cbor-writer.js'
import { RowEncoder } from '../../src/sinks/surreal/row-encoder.js'
import { CellSite, valueForms } from '../../src/sinks/surreal/types.js'
import { ValueChoices } from '../../src/sinks/surreal/value-choices.js'
import { wireOf } from '../../src/sources/postgres/codecs/codec.js'
import { CopyBatch } from '../../src/sources/postgres/copy-batch.js'
import { CopyParser } from '../../src/sources/postgres/copy-parser.js'
import type { CopyRows } from '../../src/sources/postgres/copy-rows.js'
import type { PostgresTable } from '../../src/sources/postgres/postgres-table.js'
import { type Cell, stream } from '../support/copy-bytes.js'
import { endOfItem } from '../support/well-formed.js'
import { arrayCell, type WireColumn, wireColumns } from '../support/wire-columns.js'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const streamCount = Number(process.env.FUZZ_STREAMS ?? 12_000)
const caseMsMax = 2_000
/** What one stream of some hundred bytes may become. */
const outputBytesMax = 64 * 1024 * 1024
const random = seededRandom(seed)

const integer = (below: number) => Math.floor(random() * below)
function pick<Item>(items: readonly Item[]): Item {
  const item = items[integer(items.length)]
  if (item === undefined) throw new Error('There is nothing to pick from')
  return item
}

const hostileSizes = [-1, -2, 0, 1, 5, 0x7f, 0xffff, 0x10_0000, 0x7fff_ffff, -0x8000_0000]

function damage(bytes: Buffer, from = 0): Buffer {
  const length = bytes.length - from
  const at = from + integer(length)
  switch (length > 0 ? integer(6) : 5) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      for (let count = 1 + integer(8); count > 0; count -= 1) {
        const index = from + integer(length)
        bytes[index] = (bytes[index] ?? 0) ^ (1 << integer(8))
      }
      return bytes
    case 2: {
      const source = from + integer(length)
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(source, source + integer(40)), bytes.subarray(at)])
    }
    case 3:
      if (length >= 4) bytes.writeInt32BE(pick(hostileSizes), from + integer(length - 3))
      return bytes
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + integer(20))])
    default:
      return Buffer.concat([bytes, noise(integer(20))])
  }
}

function noise(length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => integer(256)))
}

/** A cell that is right, damaged with its length right, or anything. */
function cellOf({ cells }: WireColumn): Cell {
  const chance = random()
  if (chance < 0.1) return null
  const cell = Buffer.from(pick(cells))
  if (chance < 0.5) return cell
  return chance < 0.9 ? damage(cell) : noise(integer(40))
}

function tableOf(columns: readonly WireColumn[]): PostgresTable {
  const made = columns.map((column, index) => ({
    ...{ name: `c${index}`, type: column.type, sourceType: 'text', nullable: true, codec: column.codec },
    ...{ attnum: index + 1, typeOid: 25, quoted: '', select: '', unknownType: false, selectFrom: () => '' },
  }))
  const key = made.slice(0, 1)
  return { label: 'public.t', schema: 'public', name: 't', columns: made, key } as unknown as PostgresTable
}

const choices = new ValueChoices({}, undefined)
const writer = new CborWriter(choices.general)
const limits = { rowsMax: 100, bytesMax: 4_096, rowBytesMax: outputBytesMax, rowHint: '' }

/** Throws whatever the code under test throws. */
function copy(bytes: Buffer, columns: readonly WireColumn[]): void {
  const table = tableOf(columns)
  const [plan] = new Catalog(choices, ({ name }) => name).register([table], () => {})
  if (plan === undefined) throw new Error('There is no plan')
  const chunks: CopyRows[] = []
  const chunkLimits = { bytesMax: 16 + integer(2_000), rowsMax: 1 + integer(10), rowBytesMax: 1_000_000 }
  const parser = new CopyParser(columns.length, chunkLimits, (rows) => chunks.push(rows))
  try {
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + integer(pick([3, 50, 5_000]))
      parser.push(bytes.subarray(at, at + size))
      at += size
    }
  } finally {
    for (const rows of chunks) {
      const batch = new CopyBatch('upsert', table, table.columns, rows)
      refusedOr(() => [...batch.rows()])
      refusedOr(() => {
        const encoder = new RowEncoder(writer, plan, batch, limits)
        for (let piece = encoder.next(); piece !== undefined; piece = encoder.next()) {
          strictEqual(endOfItem(piece.bytes, 0), piece.bytes.length)
          ok(piece.bytes.length < outputBytesMax)
        }
      })
    }
  }
}

/** False: it was refused in the way that is promised. */
function refusedOr(act: () => unknown): boolean {
  try {
    act()
    return true
  } catch (error) {
    if (error instanceof SyncError) return false
    throw error
  }
}

it(`reads or refuses ${streamCount} damaged streams, with SEED=${seed}`, { timeout: 120_000 }, () => {
  let intact = 0
  for (let index = 0; index < streamCount; index += 1) {
    const key = wireColumns.find(({ name }) => name === 'int8send')
    const columns = [key ?? pick(wireColumns), ...Array.from({ length: 1 + integer(6) }, () => pick(wireColumns))]
    const rows = Array.from({ length: 1 + integer(5) }, () => columns.map(cellOf))
    let bytes = stream(rows)
    // The damage within cells is worth most behind a frame that is right.
    for (let count = index % 3 === 0 ? 1 + integer(3) : 0; count > 0; count -= 1) bytes = damage(bytes)
    const original = Buffer.from(bytes)
    const startedAt = performance.now()
    try {
      if (refusedOr(() => copy(bytes, columns))) intact += 1
    } catch (error) {
      const names = columns.map(({ name }) => name).join(' | ')
      throw new Error(`SEED=${seed}, stream ${index} of ${names}: ${original.toString('hex')}`, { cause: error })
    }
    ok(performance.now() - startedAt < caseMsMax, `SEED=${seed}, stream ${index}`)
  }
  expect(intact).toBeGreaterThan(streamCount / 2)
})

describe('a cell', () => {
  const site = new CellSite('public.t', 'c', valueForms({}))

  /** What both ways of reading make of a cell with these bytes around it. */
  function outcomes({ codec }: WireColumn, cell: Buffer, before: Buffer, after: Buffer): string {
    const wire = wireOf(new Uint8Array(Buffer.concat([before, cell, after])))
    const [start, end] = [before.length, before.length + cell.length]
    writer.reset(1_000_000)
    writer.site = site
    let [value, bytes] = ['refused', 'refused']
    const decoded = refusedOr(() => {
      value = JSON.stringify(codec.decode(wire, start, end), (_, part: unknown) =>
        typeof part === 'object' ? part : typeof part + String(part),
      )
    })
    const written = refusedOr(() => {
      codec.transcode(wire, start, end, writer)
      strictEqual(endOfItem(writer.slice(0, writer.position), 0), writer.position)
      bytes = Buffer.from(writer.slice(0, writer.position)).toString('hex')
    })
    strictEqual(written, decoded)
    return `${value} ${bytes}`
  }

  it.each(wireColumns)('of $name is never read beyond its end', (column) => {
    for (let index = 0; index < 200; index += 1) {
      let cell: Buffer = Buffer.from(pick(column.cells))
      if (index >= 2 * column.cells.length) cell = damage(cell)
      if (index > 170) cell = noise(integer(30))
      const [before, after] = [noise(4), noise(40)]
      // One looks like the rest of what is often cut off.
      const poisons = [Buffer.alloc(0), Buffer.from('\u0001rue":}]'), Buffer.alloc(40, 1), after]
      const place = `SEED=${seed}, ${cell.toString('hex')}`
      try {
        const alone = outcomes(column, cell, Buffer.alloc(0), Buffer.alloc(0))
        for (const poison of poisons) {
          strictEqual(outcomes(column, cell, before, poison), alone)
        }
      } catch (error) {
        throw new Error(place, { cause: error })
      }
    }
  })

  it.each([
    ['of 2,147,483,647 elements', [0x7fff_ffff]],
    ['of 2,147,483,647 empty rows', [0x7fff_ffff, 0]],
    ['of a length below zero', [-1]],
    ['of two lengths below zero', [-2, -2]],
  ])('that is an array %s is refused at once', (_, lengths) => {
    const column = wireColumns.find(({ name }) => name === 'int4send[]')
    const wire = wireOf(arrayCell(lengths, []))
    const startedAt = performance.now()
    const expected = lengths.includes(0) ? 'empty' : 'refused'
    const found = refusedOr(() => expect(column?.codec.decode(wire, 0, wire.bytes.length)).toEqual([]))
    expect(found ? 'empty' : 'refused').toBe(expected)
    expect(refusedOr(() => column?.codec.transcode(wire, 0, wire.bytes.length, writer))).toBe(found)
    expect(performance.now() - startedAt).toBeLessThan(100)
  })

  it('that would become far larger than a row may be is refused before the memory is gone', () => {
    writer.reset(1_000_000)
    writer.site = site
    writer.position = 2 ** 30
    expect(() => writer.decimal('1'.repeat(1_000))).toThrow(
      expect.objectContaining({ code: 'E_ROW_TOO_LARGE', details: expect.objectContaining({ column: 'c' }) }),
    )
  })

  it('whose header announces a long extension is refused', () => {
    const bytes = stream([])
    bytes.writeInt32BE(0x7fff_ffff, 15)
    expect(() => new CopyParser(1, { rowsMax: 1, bytesMax: 1 }, () => {}).push(bytes)).toThrow(SyncError)
  })
})
