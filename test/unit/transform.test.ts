import { describe, expect, it } from 'vitest'
import { deletes, type Row, type RowBatch, upserts } from '../../src/core/batch.js'
import { applyTransforms, type Transform, transformsOf } from '../../src/engine/transform.js'
import { defineTable } from '../../src/testing/index.js'

const table = defineTable('public.users', { tenant: 'integer', id: 'integer', name: 'text', age: 'integer' }, [
  'tenant',
  'id',
])
const users: readonly Row[] = [
  { tenant: 1, id: 1, name: 'Ada', age: 36 },
  { tenant: 1, id: 2, name: 'Bob', age: null },
  { tenant: 2, id: 1, name: 'Cyd', age: 17 },
]
const batch = upserts(table, users)

const mapping =
  (reshape: (row: Row) => Row | null): Transform =>
  (rows) =>
    rows.map(reshape)

/** What a batch says, through both of its faces. */
function contentOf({ op, columns, length, ...batch }: RowBatch) {
  return { op, columns: columns.map(({ name }) => name), length, ...batch }
}

function cells(batch: RowBatch): unknown[][] {
  const cursor = batch.cursor()
  const result: unknown[][] = []
  while (cursor.next()) result.push(batch.columns.map((_, column) => cursor.get(column)))
  return result
}

describe('without transforms', () => {
  it('a batch stays the very same', async () => {
    const results = await applyTransforms(batch, [])
    expect(results).toHaveLength(1)
    expect(results[0]).toBe(batch)
  })
})

describe('a transform', () => {
  it('gets the rows and their table, and may change, add and leave out fields', async () => {
    const transform: Transform = async (rows, of) => {
      expect(of).toBe(table)
      return rows.map(({ age, ...row }) => ({ ...row, name: String(row.name).toUpperCase(), adult: Number(age) >= 18 }))
    }
    const results = await applyTransforms(batch, [transform])
    expect(results.map(contentOf)).toMatchObject([
      { op: 'upsert', columns: ['tenant', 'id', 'name', 'adult'], length: 3, table },
    ])
    const [result] = results
    expect(result && cells(result)).toEqual([
      [1, 1, 'ADA', true],
      [1, 2, 'BOB', false],
      [2, 1, 'CYD', false],
    ])
    expect(result && [...result.rows()][0]).toEqual({ tenant: 1, id: 1, name: 'ADA', adult: true })
  })

  it('I9: removes a row by null, with a delete of its key', async () => {
    const results = await applyTransforms(batch, [mapping((row) => (row.age === null ? null : row))])
    expect(results.map(({ op, length }) => [op, length])).toEqual([
      ['upsert', 2],
      ['delete', 1],
    ])
    const [kept, gone] = results
    expect(kept && [...kept.rows()]).toEqual([users[0], users[2]])
    expect(gone?.columns).toBe(table.key)
    expect(gone && cells(gone)).toEqual([[1, 2]])
  })

  it('I9: that removes every row leaves deletes only', async () => {
    const results = await applyTransforms(batch, [mapping(() => null)])
    expect(results.map(({ op, length }) => [op, length])).toEqual([['delete', 3]])
  })

  it('that removes rows of a table without a key leaves nothing to delete', async () => {
    const keyless = defineTable('public.log', { line: 'text' }, [])
    const results = await applyTransforms(upserts(keyless, [{ line: 'x' }]), [mapping(() => null)])
    expect(results).toEqual([])
  })

  it.each([
    ['changes', (row: Row): Row => ({ ...row, id: 99 })],
    ['leaves out', ({ name }: Row): Row => ({ name: name ?? null })],
  ])('that %s the key does not succeed in it', async (_, reshape) => {
    const [result] = await applyTransforms(batch, [mapping(reshape)])
    const keys = result && [...result.rows()].map(({ tenant, id }) => [tenant, id])
    expect(keys).toEqual(users.map(({ tenant, id }) => [tenant, id]))
    expect(result?.columns.slice(0, 2)).toEqual(table.key)
  })

  it('may use names that JavaScript has given a meaning', async () => {
    const odd = (row: Row): Row => ({ ...row, constructor: 'c', ['__proto__']: 'p', id: 7 })
    const [result] = await applyTransforms(batch, [mapping(odd)])
    expect(result?.columns.map(({ name }) => name)).toEqual(['tenant', 'id', 'name', 'age', 'constructor', '__proto__'])
    expect(result && cells(result)[0]).toEqual([1, 1, 'Ada', 36, 'c', 'p'])
  })

  it('that adds a field to some rows says that the others lack it', async () => {
    const [result] = await applyTransforms(batch, [mapping((row) => (row.id === 2 ? { ...row, note: 'second' } : row))])
    expect(result && cells(result).map((row) => row.at(-1))).toEqual([null, 'second', null])
    const cursor = result?.cursor()
    const has = users.map(() => cursor?.next() && cursor.has?.(4))
    expect(has).toEqual([false, true, false])
    expect(result && [...result.rows()].map((row) => Object.hasOwn(row, 'note'))).toEqual([false, true, false])
  })

  it.each([
    ['fewer', (rows: readonly Row[]) => rows.slice(1)],
    ['more', (rows: readonly Row[]) => [...rows, ...rows]],
    ['no', () => []],
  ])('that returns %s results is refused, and named by its table', async (_, transform) => {
    await expect(applyTransforms(batch, [transform])).rejects.toMatchObject({
      code: 'E_CONFIG',
      retryable: false,
      details: { table: 'public.users' },
    })
  })

  it('that throws is not hidden', async () => {
    const error = new Error('no such field')
    await expect(applyTransforms(batch, [() => Promise.reject(error)])).rejects.toBe(error)
  })

  it('does not see deletes', async () => {
    const gone = deletes(table, users)
    const results = await applyTransforms(gone, [() => Promise.reject(new Error('must not be called'))])
    expect(results).toHaveLength(1)
    expect(results[0]).toBe(gone)
  })
})

describe('the shape of a table', () => {
  it("computes fields from the row, then transforms it, then come the engine's transforms", async () => {
    const shape = {
      compute: { title: (row: Row) => `Mx ${row.name}`, name: (row: Row) => String(row.name).toLowerCase() },
      transform: mapping((row) => (row.age === 17 ? null : { ...row, from: row.title ?? null })),
    }
    const shaped = upserts({ ...table, shape }, users)
    const transforms = transformsOf(shaped, [mapping((row) => ({ ...row, last: row.from ?? null }))])
    const [kept, gone] = await applyTransforms(shaped, transforms)
    expect(kept && [...kept.rows()].map(({ name, title, last }) => [name, title, last])).toEqual([
      ['ada', 'Mx Ada', 'Mx Ada'],
      ['bob', 'Mx Bob', 'Mx Bob'],
    ])
    expect(gone && cells(gone)).toEqual([[2, 1]])
    expect(transformsOf(deletes(shaped.table, users), transforms)).toEqual([])
    expect(transformsOf(batch, transforms)).toBe(transforms)
  })
})

describe('several transforms', () => {
  it('run in order, each on what the ones before it kept', async () => {
    const seen: unknown[][] = []
    const first = mapping((row) => (row.id === 2 ? null : { ...row, age: Number(row.age) + 1 }))
    const second: Transform = (rows) => {
      seen.push(rows.map(({ age }) => age))
      return rows.map((row) => (Number(row.age) < 20 ? null : row))
    }
    const [kept, gone] = await applyTransforms(batch, [first, second])
    expect(seen).toEqual([[37, 18]])
    expect(kept && [...kept.rows()]).toEqual([{ tenant: 1, id: 1, name: 'Ada', age: 37 }])
    expect(gone && cells(gone)).toEqual([
      [1, 2],
      [2, 1],
    ])
  })

  it('are not called once no row is left', async () => {
    const never: Transform = () => Promise.reject(new Error('must not be called'))
    const results = await applyTransforms(batch, [mapping(() => null), never])
    expect(results.map(({ op }) => op)).toEqual(['delete'])
  })
})
