/**
 * Types of PostGIS and pgvector, in both phases. PostgreSQL from npm has no such extensions: types of the same names that pass
 * on given bytes stand in for them. Where the server has the extensions, they say themselves what is right.
 */
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../support/database.js'
import { standInSql } from '../support/stand-in.js'
import { SurrealReplica } from '../support/surreal-replica.js'

const point = '0101000000000000000000F03F0000000000000040'
const pointZ = '0101000080000000000000F03F00000000000000400000000000000840'

/** Type, bytes, and what SurrealDB then prints. */
const values = [
  ['geometry', point, '(1, 2)'],
  ['geometry', `0101000020E6100000${point.slice(10)}`, '(1, 2)'],
  ['geometry', pointZ, "{ coordinates: [1f, 2f, 3f], type: 'Point' }"],
  ['geometry', `01010000A0E6100000${pointZ.slice(10)}`, "{ coordinates: [1f, 2f, 3f], srid: 4326, type: 'Point' }"],
  ['geometry', '010700000000000000', "{ geometries: [], type: 'GeometryCollection' }"],
  ['geometry', `010700000001000000${point}`, "{ type: 'GeometryCollection', geometries: [(1, 2)] }"],
  ['geometry', '016300000000', "{ ewkb: '016300000000' }"],
  ['geography', point, '(1, 2)'],
  ['vector', '000200003F8000004048F5C3', '[1f, 3.14f]'],
  ['halfvec', '000200003C00C000', '[1f, -2f]'],
  [
    'sparsevec',
    '0000000500000002000000000000000000000003' + '3F80000040000000',
    '{ dimensions: 5, indices: [1, 4], values: [1f, 2f] }',
  ],
] as const

describe('types of extensions', () => {
  it('are read from their binary forms', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    for (const type of new Set(values.map(([name]) => name))) await client.query(standInSql(type))
    const columns = values.map(([type], index) => `c${index} ${type}`)
    await client.query(`create table t (id int primary key, ${columns.join(', ')}, list vector[])`)
    const insert = async (id: number) => {
      const cells = values.map(([, hex]) => `'\\x${hex}'`)
      await client.query(`insert into t values (${id}, ${cells.join(', ')}, array['\\x${values[8][1]}'::vector, null])`)
    }
    await insert(1)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await insert(2)
    await replica.catchUp()
    for (const [index, [type, hex, printed]] of values.entries()) {
      expect(await replica.printed(`SELECT VALUE c${index} FROM t`), `${type} ${hex}`).toBe(`[${printed}, ${printed}]`)
    }
    expect(await replica.printed('SELECT VALUE list FROM t')).toBe('[[[1f, 3.14f], NULL], [[1f, 3.14f], NULL]]')
    const fallbacks = replica.warnings.filter(({ code }) => code === 'value_fallback')
    expect(new Set(fallbacks.map(({ column }) => column))).toEqual(new Set(['c2', 'c3', 'c4']))
  })

  it('are objects on request, with the number of their reference system', async () => {
    await using database = await createDatabase()
    const client = await database.client()
    await client.query(standInSql('geometry'))
    await client.query('create table t (id int primary key, place geometry)')
    await client.query(`insert into t values (1, '\\x0101000020E6100000${point.slice(10)}')`)
    await using replica = await SurrealReplica.open({ url: database.url, sink: { geometry: 'object' } })
    await replica.full()
    expect(await replica.printed('SELECT VALUE place FROM t')).toBe(
      "[{ coordinates: [1f, 2f], srid: 4326, type: 'Point' }]",
    )
    expect(replica.warnings.filter(({ code }) => code === 'value_fallback')).toEqual([])
  })
})

/** Of every kind that GeoJSON has, and the empty, three-dimensional and curved ones that SurrealDB has not. */
const places = [
  'POINT(1 -2.5)',
  'SRID=4326;POINT(13.377704 52.516275)',
  'LINESTRING(0 0, 1 1, 2 0.1)',
  'POLYGON((0 0, 10 0, 10 10, 0 0), (5 1, 6 1, 6 2, 5 1))',
  'MULTIPOINT((1 2), (3 4))',
  'MULTILINESTRING((0 0, 1 1), (2 2, 3 3))',
  'MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))',
  'GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0, 1 1))',
  'POINT Z (1 2 3)',
  'POINT EMPTY',
  'POLYGON EMPTY',
  'MULTIPOLYGON EMPTY',
  'LINESTRING Z (0 0 1, 1 1 2)',
] as const
const curves = [
  'POINT M (1 2 3)',
  'POINT ZM (1 2 3 4)',
  'CIRCULARSTRING(0 0, 1 1, 2 0)',
  'TRIANGLE((0 0, 1 0, 0 1, 0 0))',
]

async function install(client: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_available_extensions where name = $1', [name])
  if (rowCount === 1) await client.query(`create extension ${name}`)
  return rowCount === 1
}

describe('with the extensions themselves', () => {
  it('PostGIS says the same in GeoJSON', async ({ skip }) => {
    await using database = await createDatabase()
    const client = await database.client()
    if (!(await install(client, 'postgis'))) return skip('the server has no PostGIS')
    await client.query(`
      create table places (id int primary key, g geometry, h geography(Point, 4326), list geometry[]);
      create table keyed (place geometry primary key, n int)`)
    const insert = async (first: number) => {
      for (const [index, place] of [...places, ...curves].entries()) {
        const id = first + index
        const values = [id, place, `POINT(${index} 50)`]
        await client.query(`insert into places values ($1, $2, $3, array[$2::geometry, null])`, values)
        await client.query(
          `insert into keyed values (st_translate($2::geometry, $1::int, 0), $1) on conflict do nothing`,
          [id, place],
        )
      }
    }
    await insert(1)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await insert(101)
    await client.query('delete from keyed where n = 2; update keyed set n = 1000 where n = 3')
    await replica.catchUp()
    const { rows } = await client.query<{ id: number; json: string; point: string }>(
      `select id, st_asgeojson(g, 17, 0) as json, st_asgeojson(h, 17, 0) as point
       from places where (id - 1) % 100 < ${places.length} order by id`,
    )
    const [records] = await replica.db.query<[{ g: unknown; h: unknown; list: unknown[] }[]]>(
      `SELECT g, h, list, id FROM places WHERE (record::id(id) - 1) % 100 < ${places.length} ORDER BY id`,
    )
    expect(records).toHaveLength(2 * places.length)
    for (const [index, { json, point: expected }] of rows.entries()) {
      const { g, h, list } = JSON.parse(JSON.stringify(records[index]))
      const { srid, ...found } = g
      expect(found, json).toEqual(JSON.parse(json))
      expect(srid).toBeUndefined()
      expect(list).toEqual([g, null])
      expect(h).toEqual(JSON.parse(expected))
    }
    expect(
      await replica.printed('SELECT VALUE g FROM places WHERE record::id(id) > 113 AND record::id(id) < 118'),
    ).toBe(
      `[{ coordinates: [1f, 2f, 3f], dimensions: 'XYM', type: 'Point' }, { coordinates: [1f, 2f, 3f, 4f], type: 'Point' }, ` +
        `{ coordinates: [[0f, 0f], [1f, 1f], [2f, 0f]], type: 'CircularString' }, ` +
        `{ coordinates: [[[0f, 0f], [1f, 0f], [0f, 1f], [0f, 0f]]], type: 'Triangle' }]`,
    )
    const { rows: kept } = await client.query<{ n: number }>('select n from keyed order by n')
    const [numbers] = await replica.db.query<[number[]]>('SELECT VALUE n FROM keyed ORDER BY n')
    expect(numbers).toEqual(kept.map(({ n }) => n))
  })

  it('pgvector has the same numbers', async ({ skip }) => {
    await using database = await createDatabase()
    const client = await database.client()
    if (!(await install(client, 'vector'))) return skip('the server has no pgvector')
    await client.query(`
      create table t (id int primary key, v vector, h halfvec(3), s sparsevec(5));
      insert into t values (1, '[1,-2.5,3.14]', '[1,-2.5,0.1]', '{1:1.5,4:-2}/5')`)
    await using replica = await SurrealReplica.open({ url: database.url })
    await replica.full()
    await client.query('insert into t select 2, v, h, s from t')
    await replica.catchUp()
    expect(await replica.printed('SELECT VALUE v FROM t')).toBe('[[1f, -2.5f, 3.14f], [1f, -2.5f, 3.14f]]')
    const { rows } = await client.query<{ h: string }>('select h::text as h from t')
    const [records] = await replica.db.query<[unknown[]]>('SELECT h, s FROM t')
    const record = {
      h: JSON.parse(rows[0]?.h ?? ''),
      s: { dimensions: 5, indices: [1, 4], values: [1.5, -2] },
    }
    expect(records).toEqual([record, record])
  })
})
