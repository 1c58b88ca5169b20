import { CborCodec, RecordId, Uuid } from 'surrealdb'
import { describe, expect, it } from 'vitest'
import { deletes, type Row, upserts } from '../../src/core/batch.js'
import type { Table } from '../../src/core/schema.js'
import { CborWriter } from '../../src/sinks/surreal/cbor-writer.js'
import { readKey } from '../../src/sinks/surreal/key-reader.js'
import { quoteIdentifier } from '../../src/sinks/surreal/quote.js'
import { type PieceLimits, RowEncoder } from '../../src/sinks/surreal/row-encoder.js'
import { planTable } from '../../src/sinks/surreal/table-plan.js'
import type { ValueOptions } from '../../src/sinks/surreal/types.js'
import { ValueChoices } from '../../src/sinks/surreal/value-choices.js'
import { defineTable } from '../../src/testing/define-table.js'

const codec = new CborCodec({})
const wide: PieceLimits = { rowsMax: 1_000, bytesMax: 1_000_000, rowBytesMax: 1_000_000, rowHint: '' }
const uuid = '0189e0a5-b07c-7d4e-8f8a-6b9c0d1e2f3a'

function encoder(
  table: Table,
  batch: 'upsert' | 'delete',
  rows: readonly Row[],
  limits = wide,
  options: ValueOptions = {},
) {
  const choices = new ValueChoices(options)
  const made = batch === 'upsert' ? upserts(table, rows) : deletes(table, rows)
  return new RowEncoder(new CborWriter(choices.general), planTable(table, table.name, choices), made, limits)
}

/** The pieces as the SDK decodes them. */
function pieces(...parameters: Parameters<typeof encoder>): unknown[][] {
  const all: unknown[][] = []
  const source = encoder(...parameters)
  for (let piece = source.next(); piece !== undefined; piece = source.next()) all.push(codec.decode(piece.bytes))
  return all
}

describe('record ids and fields', () => {
  it('a key column named id is the record id and no field', () => {
    const table = defineTable('public.t', { id: 'integer', a: 'text' }, ['id'])
    expect(pieces(table, 'upsert', [{ id: 1, a: 'x' }])).toEqual([[{ id: new RecordId('t', 1), a: 'x' }]])
    expect(pieces(table, 'delete', [{ id: 1 }])).toEqual([[new RecordId('t', 1)]])
  })

  it('other key columns stay fields, in any order of columns', () => {
    const table = defineTable('public.t', { b: 'text', id: 'uuid', a: 'integer' }, ['a', 'id'])
    expect(pieces(table, 'upsert', [{ a: 1, b: null, id: uuid }])).toEqual([
      [{ id: new RecordId('t', [1, new Uuid(uuid)]), a: 1, b: null, id_: new Uuid(uuid) }],
    ])
  })

  it('a column id that is no key gets the next free name', () => {
    const table = defineTable('public.t', { k: 'text', id: 'integer', id_: 'integer', id__: 'integer' }, ['k'])
    expect(pieces(table, 'upsert', [{ k: 'a', id: 1, id_: 2, id__: 3 }])).toEqual([
      [{ id: new RecordId('t', 'a'), k: 'a', id___: 1, id_: 2, id__: 3 }],
    ])
  })

  it('refuses what cannot be a key, instead of a batch that nobody can read', () => {
    const table = defineTable('public.t', { id: 'integer' }, ['id'])
    expect(() => pieces(table, 'upsert', [{ id: null }])).toThrow(/Column id of public\.t holds NULL/)
    expect(() => pieces(table, 'upsert', [{ id: true }])).toThrow(/Column id of public\.t/)
  })

  it('leaves nulls out on request', () => {
    const table = defineTable('public.t', { id: 'integer', a: 'text', b: 'text' }, ['id'])
    expect(pieces(table, 'upsert', [{ id: 1, a: null, b: 'x' }], wide, { nulls: 'none' })).toEqual([
      [{ id: new RecordId('t', 1), b: 'x' }],
    ])
  })
})

describe('pieces', () => {
  const table = defineTable('public.t', { id: 'integer', a: 'text' }, ['id'])
  const rows = Array.from({ length: 10 }, (_, id) => ({ id, a: 'x'.repeat(100) }))

  it('hold at most so many rows, all of them in order', () => {
    const found = pieces(table, 'upsert', rows, { ...wide, rowsMax: 4 })
    expect(found.map((piece) => piece.length)).toEqual([4, 4, 2])
    expect(found.flat()).toEqual(pieces(table, 'upsert', rows)[0])
  })

  it('hold at most so many bytes, unless one row is larger', () => {
    const found = pieces(table, 'upsert', rows, { ...wide, bytesMax: 300 })
    expect(found.map((piece) => piece.length)).toEqual([2, 2, 2, 2, 2])
    expect(found.flat()).toEqual(pieces(table, 'upsert', rows)[0])
    expect(pieces(table, 'upsert', rows, { ...wide, bytesMax: 10 }).map((piece) => piece.length)).toEqual(
      Array(10).fill(1),
    )
  })

  it('hold no row beyond the limit', () => {
    expect(() => pieces(table, 'upsert', rows, { ...wide, rowBytesMax: 100 })).toThrow(
      expect.objectContaining({ code: 'E_ROW_TOO_LARGE', details: expect.objectContaining({ table: 'public.t' }) }),
    )
  })

  it('are none for an empty batch', () => {
    expect(pieces(table, 'upsert', [])).toEqual([])
  })
})

describe('reading keys back', () => {
  it('knows what cannot be a key of the table', () => {
    const number = defineTable('public.t', { id: 'integer' }, ['id'])
    expect(readKey(number, true, 5)).toEqual([5])
    expect(readKey(number, true, 2n ** 60n)).toEqual([2n ** 60n])
    for (const id of ['5x', [5], { id: 5 }, new Uuid(uuid), 1.5]) expect(readKey(number, true, id)).toBeUndefined()
    const pair = defineTable('public.t', { a: 'text', b: 'uuid' }, ['a', 'b'])
    expect(readKey(pair, false, ['x', new Uuid(uuid)])).toEqual(['x', uuid])
    for (const id of ['x', ['x'], ['x', 1], [null, new Uuid(uuid)], ['x', new Uuid(uuid), 1]]) {
      expect(readKey(pair, false, id)).toBeUndefined()
    }
  })
})

it('quotes identifiers with nothing but backslash and backtick escaped', () => {
  expect(quoteIdentifier('select')).toBe('`select`')
  expect(quoteIdentifier('a\\`b⟩;')).toBe('`a\\\\\\`b⟩;`')
})
